// What a store does behind: it writes the index, gives free segments back, empties those that are
// mostly dead, and measures the disk. One round at a time; a failure is the end of the store.

import type { Timers, Wal } from "@lumeofs/base";
import type { Catalog } from "./catalog.js";
import type { Compactor } from "./compactor.js";
import type { IndexFloor } from "./index-floor.js";
import type { Space } from "./space.js";

/** The index is at most this far behind the log, but for the round that is under way. */
export const ROUND_MS = 200;
const MEASURE_MS = 1_000;

export interface HousekeepingParts {
  readonly timers: Timers;
  readonly catalog: Catalog;
  readonly wal: Wal;
  readonly space: Space;
  readonly floor: IndexFloor;
  readonly compactor: Compactor;
  /** Room on the disk without which nothing is moved. */
  readonly roomBytesMin: number;
  /** Runs work; its failure is the end of the store, which has been told when this rejects. */
  readonly io: <T>(work: () => Promise<T>) => Promise<T>;
}

/** See the head of this file. */
export class Housekeeping {
  readonly #parts: HousekeepingParts;
  readonly #cancelTimers: () => void;
  #round: Promise<void> | undefined;
  #isStopped = false;

  constructor(parts: HousekeepingParts) {
    this.#parts = parts;
    const { timers, io, space } = parts;
    const rounds = timers.every(ROUND_MS, () => this.soon());
    const measuring = timers.every(MEASURE_MS, () => {
      io(() => space.measure()).catch(() => undefined); // everybody has been told
    });
    this.#cancelTimers = () => {
      rounds.cancel();
      measuring.cancel();
    };
  }

  /** Begins a round, unless one is under way. */
  soon(): void {
    if (this.#round !== undefined || this.#isStopped) return;
    this.#round = this.#parts
      .io(() => this.#runRound())
      .catch(() => this.#cancelTimers()) // everybody has been told
      .finally(() => {
        this.#round = undefined;
      });
  }

  /** Begins no more and waits for the round that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancelTimers();
    await this.#round;
  }

  async #runRound(): Promise<void> {
    const { catalog, space, compactor, roomBytesMin } = this.#parts;
    await catalog.flush();
    await this.#freeSegments();
    // What is moved needs room before the room of the old segment comes back.
    if (roomBytesMin <= space.unreservedBytes) await compactor.step();
  }

  /** The oldest first: when it is gone, nobody needs the tombstones that have kept it dead. */
  async #freeSegments(): Promise<void> {
    const { catalog, wal, floor } = this.#parts;
    for (let round = 0; ; round++) {
      const free = catalog.freeSegments(wal.segments).filter((one) => one !== wal.headSegment);
      if (free.length === 0) return;
      if (round === 0) await floor.raise(catalog.flushedMark);
      for (const segment of free) {
        await wal.removeSegment(segment);
        catalog.forgetSegment(segment);
      }
    }
  }
}
