// The workload of the enumerations: small and large chunks, several at once; repeated, replaced,
// abandoned and removed ones; reads; flushes of the index; so many that segments end and become
// free. The ledger always knows what has been promised.

import { chunkHandle, epoch, KiB, LumeoError, serverId } from "@lumeofs/base";
import type { NewChunk } from "../../src/store/chunk-store.js";
import { contentOf } from "../store-fixture.js";
import { bytesOf, type Ledger, type WrittenChunk } from "./ledger.js";
import type { StoreProcess } from "./store-machine.js";

/** What the masters give the store. */
export const MEMBERSHIP = { serverId: serverId(9), clusterId: "c1" };

/** Runs it all and closes the store. Rejects when the store fails, after everything has settled. */
export async function runScript(process: StoreProcess, ledger: Ledger): Promise<void> {
  const user = new StoreUser(process, ledger);
  ledger.opened(process.volume.uuid);
  await process.volume.join(MEMBERSHIP);
  ledger.join();
  await user.all([
    user.small(2, 700),
    user.small(4, 9_000),
    user.large(1, 70_000),
    user.small(12, 5),
  ]);
  await user.flush();
  await user.all([user.large(3, 131_072), user.small(6, 6_100), user.read(4), user.remove(2)]);
  await user.abandon(7, 66_000);
  await user.all([user.remove(1), user.small(8, 8_000), user.repeat(4), user.large(5, 65_537)]);
  await user.flush();
  await user.all([user.replace(4, 300), user.replace(5, 80_000), user.small(10, 4_096)]);
  await user.small(14, 20_000);
  await user.all([user.remove(6), user.remove(8), user.small(16, 512), user.read(3)]);
  await user.flush();
  await user.small(18, 15_000);
  await user.all([user.small(20, 9_000), user.remove(14), user.remove(3)]);
  await user.flush();
  await user.all([user.small(22, 30), user.small(24, 17_000), user.large(9, 70_001)]);
  await user.all([user.remove(20), user.remove(18)]);
  await user.flush();
  await user.flush();
  await user.all(ledger.handles.map((handle) => user.read(handle)));
  await process.store.close();
}

/** Uses the store as its services do, and writes down what it is told. */
export class StoreUser {
  readonly #process: StoreProcess;
  readonly #ledger: Ledger;

  constructor(process: StoreProcess, ledger: Ledger) {
    this.#process = process;
    this.#ledger = ledger;
  }

  /** Waits until all have settled; then rejects if any did. */
  async all(works: readonly Promise<void>[]): Promise<void> {
    const results = await Promise.allSettled(works);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  /** Lets the index be written, and whatever else the store does behind. */
  async flush(): Promise<void> {
    this.#process.timers.ring();
    await new Promise((resolve) => setImmediate(resolve));
    const [failure] = this.#process.failures;
    if (failure !== undefined) throw failure;
  }

  small(handle: number, length: number): Promise<void> {
    return this.put(handle, { epoch: 1, length, seed: handle });
  }

  large(handle: number, length: number): Promise<void> {
    return this.put(handle, { epoch: 1, length, seed: handle });
  }

  /** The same once more: nothing changes. */
  async repeat(handle: number): Promise<void> {
    const { settled } = this.#ledger.of(handle);
    if (settled !== undefined) await this.put(handle, settled);
  }

  /** Other bytes under the next epoch. */
  replace(handle: number, length: number): Promise<void> {
    const before = this.#ledger.of(handle).settled?.epoch ?? 0;
    return this.put(handle, { epoch: before + 1, length, seed: handle + 1_000 });
  }

  async remove(handle: number): Promise<void> {
    this.#ledger.begin(handle, undefined);
    await this.#process.store.remove([{ handle: chunkHandle(handle), epoch: LAST_EPOCH }]);
    this.#ledger.settle(handle);
  }

  /** Begins a large chunk and gives it up. */
  async abandon(handle: number, length: number): Promise<void> {
    const chunk = { epoch: 1, length, seed: handle };
    const write = await this.#process.store.beginLarge(newChunk(handle, chunk));
    await write.write([bytesOf(chunk)]);
    await write.abort();
  }

  /** Reads a chunk that nobody changes meanwhile. */
  async read(handle: number): Promise<void> {
    const { settled } = this.#ledger.of(handle);
    if (settled === undefined) return;
    const reader = await this.#process.store.open(chunkHandle(handle), epoch(settled.epoch));
    const bytes = new Uint8Array(reader.length);
    await reader.read(0, bytes);
    if (!same(bytes, bytesOf(settled))) throw new Error(`chunk ${handle} was served wrong`);
  }

  /** Even handles are small chunks, odd ones large. */
  async put(handle: number, chunk: WrittenChunk): Promise<void> {
    const bytes = bytesOf(chunk);
    this.#ledger.begin(handle, chunk);
    if (handle % 2 === 0) {
      await this.#process.store.putSmall(newChunk(handle, chunk), contentOf(bytes), [bytes]);
    } else await this.#putLarge(handle, chunk, bytes);
    this.#ledger.settle(handle);
  }

  async #putLarge(handle: number, chunk: WrittenChunk, bytes: Uint8Array): Promise<void> {
    const write = await this.#process.store.beginLarge(newChunk(handle, chunk));
    try {
      for (let at = 0; at < bytes.byteLength; at += 64 * KiB) {
        await write.write([bytes.subarray(at, at + 64 * KiB)]);
      }
      await write.finish(contentOf(bytes));
    } finally {
      await write.abort();
    }
  }
}

/** What the store serves under a handle; a code if it refuses; undefined if it has none. */
export async function served(
  process: StoreProcess,
  handle: number,
): Promise<{ readonly epoch: number; readonly bytes: Uint8Array } | string | undefined> {
  for (let asked = 1; asked <= EPOCHS_TRIED; asked++) {
    try {
      const reader = await process.store.open(chunkHandle(handle), epoch(asked));
      const bytes = new Uint8Array(reader.length);
      await reader.read(0, bytes);
      return { epoch: asked, bytes };
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      if (error.code === "REPLICA_MISSING") return undefined;
      if (error.code !== "STALE_EPOCH") return error.code;
    }
  }
  return "STALE_EPOCH";
}

const EPOCHS_TRIED = 60;
/** Not below any that the script writes. */
export const LAST_EPOCH = epoch(EPOCHS_TRIED);

export function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

function newChunk(handle: number, chunk: WrittenChunk): NewChunk {
  return { handle: chunkHandle(handle), epoch: epoch(chunk.epoch), author: serverId(1) };
}
