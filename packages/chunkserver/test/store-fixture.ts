// A store on a simulated disk, a fixed workload for it, and the check of what must be left of it.

import {
  chunkHandle,
  type Disk,
  epoch,
  KiB,
  type LumeoError,
  crc32c as pureCrc32c,
  SILENT_LOGGER,
  serverId,
  type Timers,
} from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { blockCrcs } from "@lumeofs/node/frames";
import type { ChunkIndex } from "../src/store/chunk-index.js";
import type { ChunkContent, ChunkStore, NewChunk, ReplicaName } from "../src/store/chunk-store.js";
import { DiskChunkStore } from "../src/store/disk-chunk-store.js";
import { sample } from "./replicas.js";

/** A chunk as the workload writes it: under epoch 1. */
export function named(handle: number): ReplicaName {
  return { handle: chunkHandle(handle), epoch: epoch(1) };
}

/** Timers that ring when the test says so. */
export class HandTimers implements Timers {
  readonly #wakes = new Set<() => void>();

  after(_delayMs: number, wake: () => void) {
    return this.every(0, wake);
  }

  every(_periodMs: number, wake: () => void) {
    this.#wakes.add(wake);
    return { cancel: () => void this.#wakes.delete(wake) };
  }

  ring(): void {
    for (const wake of [...this.#wakes]) wake();
  }
}

export interface Opened {
  readonly store: DiskChunkStore;
  readonly timers: HandTimers;
  readonly failures: LumeoError[];
}

export async function openStore(disk: Disk, index: ChunkIndex): Promise<Opened> {
  const timers = new HandTimers();
  const failures: LumeoError[] = [];
  const store = await DiskChunkStore.open({
    disk,
    index,
    owner: new Uint8Array(16).fill(7),
    crc32c: nativeCrc32c,
    timers,
    logger: SILENT_LOGGER,
    capacityBytes: undefined,
    lowWaterBytes: 0,
    segmentBytes: 24 * KiB,
    onFailure: (error) => failures.push(error),
  });
  return { store, timers, failures };
}

export function newChunk(handle: number): NewChunk {
  return { handle: chunkHandle(handle), epoch: epoch(1), author: serverId(1) };
}

export function contentOf(bytes: Uint8Array): ChunkContent {
  const crcs = blockCrcs([bytes], nativeCrc32c);
  return { length: bytes.byteLength, crc32c: nativeCrc32c(bytes), crcs };
}

export async function putSmall(store: ChunkStore, handle: number, bytes: Uint8Array) {
  await store.putSmall(newChunk(handle), contentOf(bytes), [bytes]);
}

export async function putLarge(store: ChunkStore, handle: number, bytes: Uint8Array) {
  const write = await store.beginLarge(newChunk(handle));
  try {
    for (let at = 0; at < bytes.byteLength; at += 64 * KiB) {
      await write.write([bytes.subarray(at, at + 64 * KiB)]);
    }
    await write.finish(contentOf(bytes));
  } finally {
    await write.abort();
  }
}

export async function readAll(store: ChunkStore, handle: number): Promise<Uint8Array> {
  const reader = await store.open(chunkHandle(handle), epoch(1));
  const bytes = new Uint8Array(reader.length);
  await reader.read(0, bytes);
  if (pureCrc32c(bytes) !== reader.crc32c) throw new Error("blocks are right, the whole is not");
  return bytes;
}

/** What the workload writes under a handle. Even handles are small chunks, odd ones files. */
export function bytesFor(handle: number): Uint8Array {
  return sample(handle % 2 === 0 ? 1_000 * handle + 5 : 70_000 + 13 * handle, handle);
}

/** What the workload was told. */
export interface Told {
  readonly stored: Set<number>;
  /** A removal was begun. */
  readonly removing: Set<number>;
  readonly removed: Set<number>;
}

export function nothingTold(): Told {
  return { stored: new Set(), removing: new Set(), removed: new Set() };
}

/** Writes 14 chunks, several at once, removes some, lets the index be written in between. */
export async function work({ store, timers }: Opened, told: Told): Promise<void> {
  const put = async (handle: number): Promise<void> => {
    const write = handle % 2 === 0 ? putSmall : putLarge;
    await write(store, handle, bytesFor(handle));
    told.stored.add(handle);
  };
  const remove = async (handle: number): Promise<void> => {
    told.removing.add(handle);
    await store.remove([named(handle)]);
    told.removed.add(handle);
  };
  await Promise.all([1, 2, 4, 6].map(put));
  timers.ring();
  await Promise.all([put(8), put(3), remove(2), remove(1)]);
  await Promise.all([10, 12, 14, 5, 7].map(put));
  timers.ring();
  await remove(5);
  await Promise.all([16, 18, 20].map(put));
}

export const HANDLES = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 18, 20] as const;
