// Memory in which units are coded: a few arenas that are used again, each with a cell for every
// unit of a chunk. Whoever needs one while all are taken waits.

import { BLOCK_BYTES, Budget, type Cancellation, MiB } from "@lumeofs/base";
import { CellArena } from "@lumeofs/erasure";
import { PIECE_BYTES } from "../transfer/replica-source.js";

/** Cells of one arena together, at the most: wide codes have shorter cells. */
const ARENA_BYTES = 8 * MiB;

/** An arena that nobody else uses. */
export interface ArenaLease {
  /** A cell for each unit, by its number, of `cellBytesFor(units)` bytes; any content. */
  readonly arena: CellArena;
  /** Nothing reads from or writes to the cells any more. */
  release(): void;
}

/** Bytes of each unit that are worked on together, in whole blocks: 256 KiB to 1 MiB. */
export function cellBytesFor(units: number): number {
  const share = Math.floor(ARENA_BYTES / units / BLOCK_BYTES) * BLOCK_BYTES;
  return Math.min(PIECE_BYTES, share);
}

/** See the head of this file. */
export class ArenaPool {
  readonly #places: Budget;
  readonly #free: CellArena[] = [];

  /** @param arenasMax  Arenas at once, used or kept. */
  constructor(arenasMax: number) {
    this.#places = new Budget(arenasMax);
  }

  /** Waits for an arena. Who has one must not wait for another. @throws The signal's reason. */
  async take(units: number, signal?: Cancellation): Promise<ArenaLease> {
    const place = await this.#places.take(1, signal);
    const at = this.#free.findIndex(({ cells }) => cells.length === units);
    // One that does not fit makes room for a new one: as many are kept as places are free.
    const [fit] = this.#free.splice(Math.max(at, 0), 1);
    const isFit = 0 <= at && fit !== undefined;
    const arena = isFit ? fit : new CellArena({ cells: units, cellBytes: cellBytesFor(units) });
    return {
      arena,
      release: () => {
        this.#free.push(arena);
        place.release();
      },
    };
  }
}
