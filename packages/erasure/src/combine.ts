// The work of the code: sums of multiples of cells. This is the plain version, the reference for
// the kernel and its stand-in where there is no WebAssembly with SIMD.

import { productsOf } from "./field.js";
import type { Matrix } from "./matrix.js";

/**
 * Makes target t the sum of factors[t][s] times source s, byte by byte.
 *
 * Sources and targets all have the same length. A target shares no byte with a source or with
 * another target. There is at least one source.
 */
export type Combine = (
  factors: Matrix,
  sources: readonly Uint8Array[],
  targets: readonly Uint8Array[],
) => void;

/** Combine in TypeScript alone, one table look-up for each source byte and target. */
export const combinePlain: Combine = (factors, sources, targets) => {
  for (const [t, target] of targets.entries()) {
    target.fill(0);
    for (const [s, source] of sources.entries()) {
      addProduct(target, source, PRODUCTS[factors[t]?.[s] ?? 0] as Uint8Array);
    }
  }
};

const PRODUCTS = Array.from({ length: 256 }, (_, factor) => productsOf(factor));

function addProduct(target: Uint8Array, source: Uint8Array, products: Uint8Array): void {
  for (let n = 0; n < target.length; n++) {
    target[n] = (target[n] as number) ^ (products[source[n] as number] as number);
  }
}
