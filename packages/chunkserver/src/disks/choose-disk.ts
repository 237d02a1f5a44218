// The disk that a new chunk goes to: drawn from its handle, weighted by the room that each disk has
// (weighted rendezvous hashing). The same handle and the same room give the same disk, and chunks
// spread in proportion to the room, so that all disks are full at about the same time.

import type { ChunkHandle } from "@lumeofs/base";

/** A disk as the choice sees it. */
export interface DiskRoom {
  readonly uuid: string;
  readonly freeBytes: number;
  /** It takes new chunks. */
  readonly isOpen: boolean;
}

/**
 * The position of the disk that a new chunk goes to. A disk that takes none is chosen only if there
 * is no other: it says itself that it is full.
 *
 * @param rooms  Of disks that work. Not empty.
 */
export function chooseDisk(handle: ChunkHandle, rooms: readonly DiskRoom[]): number {
  const open = rooms.filter((one) => one.isOpen);
  const among = open.length === 0 ? rooms : open;
  let best = among[0];
  let bestScore = Number.NEGATIVE_INFINITY;
  for (const room of among) {
    const score = scoreOf(handle, room);
    if (score <= bestScore) continue;
    best = room;
    bestScore = score;
  }
  return best === undefined ? 0 : rooms.indexOf(best);
}

/** The highest of −weight / ln(draw) falls on each disk as often as its weight says. */
function scoreOf(handle: ChunkHandle, { uuid, freeBytes }: DiskRoom): number {
  const draw = (hash(handle, uuid) + 0.5) / 2 ** 32;
  return -Math.max(1, freeBytes) / Math.log(draw);
}

/** 32 bits of handle and uuid, well mixed (FNV-1a, then the finalizer of MurmurHash3). */
function hash(handle: number, uuid: string): number {
  let mixed = 0x811c9dc5;
  const mix = (byte: number): void => {
    mixed = Math.imul(mixed ^ byte, 0x01000193);
  };
  for (let i = 0; i < uuid.length; i++) mix(uuid.charCodeAt(i) & 0xff);
  for (let rest = handle; 0 < rest; rest = Math.floor(rest / 256)) mix(rest % 256);
  mixed ^= mixed >>> 16;
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  mixed ^= mixed >>> 16;
  return mixed >>> 0;
}
