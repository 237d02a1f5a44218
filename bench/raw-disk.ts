// The ceiling: what the disk and the page cache give to plain code, in the same run and the same
// folder as the store that is measured beside it.

import { open, rm } from "node:fs/promises";
import { join } from "node:path";

const PIECE_BYTES = 2 ** 20;
const SYNCS = 500;

export interface RawCeiling {
  /** MiB/s of user data when three copies are written side by side, each synced at its end. */
  readonly threeCopies: number;
  /** MiB/s of reading one of them back from the page cache. */
  readonly cachedRead: number;
  /** Milliseconds of appending 4 KiB and syncing, one after the other: the middle value. */
  readonly syncMs: number;
}

export async function measureCeiling(folder: string, bytes: number): Promise<RawCeiling> {
  const copies = [0, 1, 2].map((n) => join(folder, `raw-copy-${n}`));
  try {
    const piece = Buffer.alloc(PIECE_BYTES, 0x5a);
    const began = performance.now();
    await Promise.all(copies.map((path) => writeCopy(path, piece, bytes)));
    const threeCopies = rate(bytes, began);
    const [first = ""] = copies;
    await readAll(first, piece); // once, so that the pages are there
    const readBegan = performance.now();
    await readAll(first, piece);
    const cachedRead = rate(bytes, readBegan);
    return { threeCopies, cachedRead, syncMs: (await measureSync(folder)).p50Ms };
  } finally {
    await Promise.all(copies.map((path) => rm(path, { force: true })));
  }
}

/** Times of appending 4 KiB and syncing it, one after the other. */
export interface SyncTimes {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export async function measureSync(folder: string): Promise<SyncTimes> {
  const path = join(folder, "raw-sync");
  const piece = Buffer.alloc(4096, 1);
  const times: number[] = [];
  try {
    await using file = await open(path, "w");
    for (let n = 0; n < SYNCS; n++) {
      const began = performance.now();
      await file.write(piece, 0, piece.byteLength, n * piece.byteLength);
      await file.datasync();
      times.push(performance.now() - began);
    }
  } finally {
    await rm(path, { force: true });
  }
  times.sort((a, b) => a - b);
  return { p50Ms: quantile(times, 0.5), p99Ms: quantile(times, 0.99) };
}

export function rate(bytes: number, began: number): number {
  return bytes / 2 ** 20 / ((performance.now() - began) / 1000);
}

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

async function writeCopy(path: string, piece: Uint8Array, bytes: number): Promise<void> {
  await using file = await open(path, "w");
  for (let at = 0; at < bytes; at += piece.byteLength) {
    await file.write(piece, 0, Math.min(piece.byteLength, bytes - at), at);
  }
  await file.datasync();
}

async function readAll(path: string, into: Uint8Array): Promise<void> {
  await using file = await open(path, "r");
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(into, 0, into.byteLength, at);
    if (bytesRead === 0) return;
    at += bytesRead;
  }
}
