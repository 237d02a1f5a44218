// One disk of a chunkserver: its folder, its store, and whether it still works.
//
// E1. The first failure of anything that uses the disk is the end of all use of it.

import {
  type ChunkHandle,
  type Closable,
  type Crc32c,
  type Disk,
  InvariantViolation,
  type Logger,
  LumeoError,
  type Timers,
} from "@lumeofs/base";
import type { ChunkIndex } from "../store/chunk-index.js";
import { DiskChunkStore } from "../store/disk-chunk-store.js";
import type { Volume } from "../store/volume.js";
import type { DiskWatch } from "./disk-watch.js";

export interface ServerDiskOptions {
  readonly folder: string;
  readonly disk: Disk;
  readonly volume: Volume;
  /** Opens the index of its store. */
  readonly openIndex: () => Promise<ChunkIndex>;
  readonly crc32c: Crc32c;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly capacityBytes: number | undefined;
  readonly lowWaterBytes: number;
  readonly compactBytesPerSecond: number;
  readonly segmentBytes?: number;
  /** A chunk was found to be other bytes than were written. */
  readonly onDamage: (handle: ChunkHandle) => void;
  /** Of all calls of `disk`. */
  readonly watch: DiskWatch;
}

/** See the head of this file. */
export class ServerDisk implements Closable {
  readonly folder: string;
  readonly disk: Disk;
  readonly volume: Volume;
  readonly #store: DiskChunkStore;
  readonly #failing: Failing;
  readonly #watch: DiskWatch;

  private constructor(options: ServerDiskOptions, store: DiskChunkStore, failing: Failing) {
    this.folder = options.folder;
    this.disk = options.disk;
    this.volume = options.volume;
    this.#store = store;
    this.#failing = failing;
    this.#watch = options.watch;
    this.#watch.onStuck = (error) => this.fail(error);
  }

  /** Opens the store. @throws LumeoError CONFIG if another process uses it; what the disk says. */
  static async open(options: ServerDiskOptions): Promise<ServerDisk> {
    const { disk, volume, crc32c, timers, logger } = options;
    const failing = new Failing();
    const { segmentBytes } = options;
    const index = await options.openIndex();
    try {
      const store = await DiskChunkStore.open({
        ...{ disk, index, crc32c, timers, logger, owner: volume.owner },
        capacityBytes: options.capacityBytes,
        lowWaterBytes: options.lowWaterBytes,
        compactBytesPerSecond: options.compactBytesPerSecond,
        ...(segmentBytes === undefined ? {} : { segmentBytes }),
        onDamage: options.onDamage,
        onFailure: (error) => failing.fail(error),
      });
      return new ServerDisk(options, store, failing);
    } catch (error) {
      await index.close();
      throw error;
    }
  }

  get uuid(): string {
    return this.volume.uuid;
  }

  get store(): DiskChunkStore {
    return this.#store;
  }

  /** Why it is not to be used now though it has not failed, for people; empty if it may be. */
  get suspicion(): string {
    return this.failedBy === undefined ? this.#watch.suspicion : "";
  }

  /** What has ended it; undefined while it works. */
  get failedBy(): LumeoError | undefined {
    return this.#failing.by;
  }

  /** Told once; at once if it has failed already. */
  set onFailure(tell: (error: LumeoError) => void) {
    this.#failing.listen(tell);
  }

  /** Somebody beside the store has met a failure (E1). */
  fail(error: LumeoError): void {
    this.#failing.fail(error);
  }

  /** Makes a call of the kernel past `disk`. @throws as `work`; STORE_FAILED if it hangs. */
  call<T>(what: string, work: () => Promise<T>): Promise<T> {
    return this.#watch.run(what, work);
  }

  /** Runs work on the disk beside the store; its failure is that of the disk (E1). */
  async io<T>(work: () => Promise<T>): Promise<T> {
    if (this.failedBy !== undefined) throw this.failedBy;
    try {
      return await work();
    } catch (error) {
      if (error instanceof InvariantViolation) throw error;
      const failure = error instanceof LumeoError ? error : failureOf(error);
      this.fail(failure);
      throw failure;
    }
  }

  async close(): Promise<void> {
    await this.#store.close();
    await this.#watch.close();
  }
}

/** That something has failed, for one listener that may come later. */
class Failing {
  by: LumeoError | undefined;
  #tell: ((error: LumeoError) => void) | undefined;

  listen(tell: (error: LumeoError) => void): void {
    this.#tell = tell;
    if (this.by !== undefined) tell(this.by);
  }

  fail(error: LumeoError): void {
    if (this.by !== undefined) return;
    this.by = error;
    this.#tell?.(error);
  }
}

function failureOf(cause: unknown): LumeoError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new LumeoError("STORE_FAILED", `The disk has failed: ${why}`, { cause });
}
