// Memory in which stripes are coded and from which they are sent, used again and again: a kernel
// works in its own memory at several times the speed of foreign memory.
//
// M1. Cells are filled again only when no connection waits to send them any more.
// M2. Memory that came back is kept for ARENAS_IDLE_MAX chunks; the rest is left to the collector.

import { type Code, formatCode, unitCount } from "@lumeofs/base";
import { CellArena, ErasureCodec } from "@lumeofs/erasure";

/** Stripes of one chunk in memory: one is filled while another one leaves. */
const STRIPES_PER_ARENA = 2;
/** As many as chunks of one body are under way at once. */
const ARENAS_IDLE_MAX = 3;

/** Bytes of the cells of one arena. */
export function arenaBytes(code: Code): number {
  return STRIPES_PER_ARENA * unitCount(code) * code.cellBytes;
}

/** Room for one stripe. */
export interface StripeRoom {
  /** A cell for each unit. */
  readonly cells: readonly Uint8Array[];
  /** To be called once for each cell: it has left, or never will. */
  readonly sent: () => void;
}

/** The memory of one chunk under way. */
export class StripeArena {
  readonly codec: ErasureCodec;
  readonly #rooms: readonly (readonly Uint8Array[])[];
  readonly #free: (readonly Uint8Array[])[];
  #waiting: (() => void)[] = [];

  constructor(code: Code) {
    const { data: dataCells, parity: parityCells, cellBytes } = code;
    const units = unitCount(code);
    const arena = new CellArena({ cells: STRIPES_PER_ARENA * units, cellBytes });
    this.codec = new ErasureCodec({ dataCells, parityCells }, arena.combine);
    const rooms = [...new Array(STRIPES_PER_ARENA).keys()];
    this.#rooms = rooms.map((n) => arena.cells.slice(n * units, (n + 1) * units));
    this.#free = [...this.#rooms];
  }

  /** Whether no connection uses its memory. */
  get isUnused(): boolean {
    return this.#free.length === this.#rooms.length;
  }

  /** Waits until there is room for one more stripe. */
  async take(): Promise<StripeRoom> {
    for (;;) {
      const cells = this.#free.pop();
      if (cells === undefined) {
        await new Promise<void>((resolve) => this.#waiting.push(resolve));
        continue;
      }
      let left = cells.length;
      return {
        cells,
        sent: () => {
          left--;
          if (0 < left) return;
          this.#free.push(cells);
          for (const wake of this.#waiting.splice(0)) wake();
        },
      };
    }
  }

  /** Resolves when no connection uses its memory. */
  async whenUnused(): Promise<void> {
    while (!this.isUnused) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

/** The arenas of a client. */
export class StripeArenas {
  readonly #idle: { readonly key: string; readonly arena: StripeArena }[] = [];

  take(code: Code): StripeArena {
    const key = formatCode(code);
    const found = this.#idle.findLastIndex((one) => one.key === key);
    if (found < 0) return new StripeArena(code);
    return (this.#idle.splice(found, 1)[0] as { arena: StripeArena }).arena;
  }

  /** Takes memory back, as soon as what was to leave from it has left (M1). */
  give(code: Code, arena: StripeArena): void {
    void arena.whenUnused().then(() => {
      this.#idle.push({ key: formatCode(code), arena });
      if (ARENAS_IDLE_MAX < this.#idle.length) this.#idle.shift();
    });
  }
}
