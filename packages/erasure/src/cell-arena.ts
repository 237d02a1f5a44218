// Memory for cells in which the fast kernel works without copying: whoever receives bytes straight
// into these cells, and sends them from there, codes them where they lie.
//
// Where there is no WebAssembly with SIMD, an arena is plain memory and the plain version works in
// it: the same bytes, slower.

import { LumeoError } from "@lumeofs/base";
import { type Combine, combinePlain } from "./combine.js";
import { Kernel } from "./kernel/kernel.js";

/** Bytes of an arena, at the most; a process may have several. */
export const ARENA_BYTES_MAX = 2 ** 30;

/** Cells begin at multiples of this: a line of the processor's caches. */
const ALIGNMENT = 64;
/** Between cells, so that equal offsets in cells of 2^n bytes fall into different cache sets. */
const GAP_BYTES = 5 * ALIGNMENT;

export interface ArenaShape {
  readonly cells: number;
  readonly cellBytes: number;
}

export class CellArena {
  /** Views of the cells, all zeros at first; valid as long as the arena. */
  readonly cells: readonly Uint8Array[];
  /** For an ErasureCodec: works on cells of this arena in place, and on any others by copies. */
  readonly combine: Combine;

  /**
   * @param how  "plain" keeps the kernel out, for comparison.
   * @throws LumeoError INVALID_ARGUMENT if the cells take more than ARENA_BYTES_MAX.
   */
  constructor({ cells, cellBytes }: ArenaShape, how: "fastest" | "plain" = "fastest") {
    const stride = Math.ceil(cellBytes / ALIGNMENT) * ALIGNMENT + GAP_BYTES;
    const whole = [cells, cellBytes].every((size) => Number.isSafeInteger(size) && 0 <= size);
    if (!whole || ARENA_BYTES_MAX < cells * stride) {
      const message =
        `Cannot make an arena of ${cells} cells of ${cellBytes} bytes: ` +
        `an arena has ${ARENA_BYTES_MAX} bytes at most`;
      throw new LumeoError("INVALID_ARGUMENT", message);
    }
    const numbers = [...new Array(cells).keys()];
    if (how === "fastest" && Kernel.isSupported()) {
      const kernel = new Kernel(cells * stride);
      this.cells = numbers.map((n) => kernel.view(n * stride, cellBytes));
      this.combine = kernel.combine;
    } else {
      this.cells = numbers.map(() => new Uint8Array(cellBytes));
      this.combine = combinePlain;
    }
  }
}

let shared: Combine | undefined;

/** The fastest version that this machine has, for cells that lie anywhere. */
export const combineFastest: Combine = (factors, sources, targets) => {
  shared ??= new CellArena({ cells: 0, cellBytes: 0 }).combine;
  shared(factors, sources, targets);
};
