// Tails: the growing chunks that records are appended to, at most one of a file. Here is what the
// masters know of each; what is done with them is in tails.ts.
//
// L1. A tail's record names the place of its file, and that file's inode names the tail. Where one
//     of both is missing, there is no tail: so are the files of a group founded from a backup.
// L2. The handle of a tail has no record in the table of chunks before it is sealed or released.

import {
  type ActiveSet,
  type ByteReader,
  type ByteWriter,
  type ChunkAuthority,
  type ChunkHandle,
  chunkHandle,
  epoch,
  type InodeId,
  inodeId,
  type ServerId,
  serverId,
  type WallMs,
  wallMs,
} from "@lumeofs/base";
import { putChunk, releaseChunks } from "./chunk-table.js";
import { addToCount } from "./counters.js";
import {
  corrupt,
  encodeValue,
  readFlag,
  readId,
  readIds,
  readText,
  readWhole,
  writeFlag,
  writeList,
  writeNumber,
  writeText,
} from "./fields.js";
import type { Place } from "./inodes.js";
import { numberOf, tailKey, tailsAfter } from "./keys.js";
import type { State, StateReader, StateView } from "./state.js";

export interface Tail {
  /** Of its file, which is at `place`. */
  readonly inode: InodeId;
  readonly place: Place;
  readonly openedAt: WallMs;
  /** Never sealed: what is sealed is a tail no more. */
  readonly authority: ChunkAuthority;
}

export interface NumberedTail {
  readonly handle: ChunkHandle;
  readonly tail: Tail;
}

export function getTail(view: StateView, handle: ChunkHandle): Tail | undefined {
  const bytes = view.get(tailKey(handle));
  return bytes === undefined ? undefined : decodeTail(bytes);
}

/** A tail that is not there yet. */
export function addTail(state: State, handle: ChunkHandle, tail: Tail): void {
  putTail(state, handle, tail);
  addToCount(state, "tails", 1);
}

/** A tail that is there. */
export function putTail(state: State, handle: ChunkHandle, tail: Tail): void {
  state.put(tailKey(handle), encodeTail(tail));
}

export function deleteTail(state: State, handle: ChunkHandle): void {
  state.delete(tailKey(handle));
  addToCount(state, "tails", -1);
}

/** Tails behind a handle, in the order of the handles. */
export async function tailsPage(
  reader: StateReader,
  after: number,
  countMax: number,
): Promise<readonly NumberedTail[]> {
  const { from, to } = tailsAfter(after);
  const pairs = await reader.range(from, to, countMax);
  return pairs.map(([key, value]) => ({
    handle: chunkHandle(numberOf(key)),
    tail: decodeTail(value),
  }));
}

/** All servers that may have something of a tail, the primary first. */
export function holdersOf({ newest, lastActive }: ChunkAuthority): readonly ServerId[] {
  return [...new Set([newest.primary, ...newest.members, ...lastActive.members])];
}

export function encodeTail(tail: Tail): Uint8Array {
  return encodeValue(tail, writeTail);
}

export function decodeTail(bytes: Uint8Array): Tail {
  return readWhole("tail record", bytes, readTail);
}

function writeTail(w: ByteWriter, { inode, place, openedAt, authority }: Tail): void {
  w.u53(inode).u53(place.parent).u53(openedAt);
  writeText(w, place.name);
  const { newest, lastActive } = authority;
  w.u53(newest.primary);
  writeSet(w, newest);
  writeFlag(w, newest.previous !== undefined);
  if (newest.previous !== undefined) writeSet(w, newest.previous);
  writeSet(w, lastActive);
}

function readTail(r: ByteReader): Tail {
  const inode = readId(r, inodeId);
  const parent = readId(r, inodeId);
  const openedAt = wallMs(r.u53());
  const place = { parent, name: readText(r) };
  const primary = readId(r, serverId);
  const granted = readSet(r);
  if (!granted.members.includes(primary)) throw corrupt("tail record", "its primary is no member");
  const previous = readFlag(r) ? readSet(r) : undefined;
  const newest = { ...granted, primary, previous };
  return {
    inode,
    place,
    openedAt,
    authority: { newest, lastActive: readSet(r), sealed: undefined },
  };
}

function writeSet(w: ByteWriter, set: ActiveSet): void {
  writeList(w.u53(set.epoch), set.members, writeNumber);
}

function readSet(r: ByteReader): ActiveSet {
  return { epoch: readId(r, epoch), members: readIds(r, serverId) };
}

/** The tail's file has another number, or another place. */
export function moveTail(
  state: State,
  handle: ChunkHandle | undefined,
  to: Partial<Pick<Tail, "inode" | "place">>,
): void {
  const tail = handle === undefined ? undefined : getTail(state, handle);
  if (handle !== undefined && tail !== undefined) putTail(state, handle, { ...tail, ...to });
}

/** The tail's file is gone, and what was appended with it; somebody may still be reading it. */
export function releaseTail(state: State, handle: ChunkHandle, at: WallMs): void {
  const tail = getTail(state, handle);
  if (tail === undefined) return;
  deleteTail(state, handle);
  const { newest } = tail.authority;
  const content = { lengthBytes: 0, crc32c: 0, coding: undefined };
  const chunk = { epoch: newest.epoch, ...content, inode: tail.inode };
  putChunk(state, handle, { ...chunk, members: holdersOf(tail.authority) });
  releaseChunks(state, [handle], at);
}
