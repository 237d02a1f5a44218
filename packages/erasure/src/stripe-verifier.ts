// Checks that the parity cells of a stripe belong to its data cells, while the bytes come in: one
// piece of every cell at a time, so that the memory is that of a piece, not of a stripe.

import { LumeoError } from "@lumeofs/base";
import type { Geometry } from "./geometry.js";

/** Fills the parity cells of a code: ErasureCodec.encode(). */
type Encode = (data: readonly Uint8Array[], parity: readonly Uint8Array[]) => void;

/** What a verifier has found so far. */
export type StripeVerdict =
  | { readonly kind: "consistent"; readonly bytes: number }
  | {
      readonly kind: "inconsistent";
      /** Offset in the cells of the first byte that does not fit. */
      readonly offset: number;
      /**
       * The parity cells that do not fit, in any byte so far. One alone is mostly damaged itself;
       * several point to damage in a data cell.
       */
      readonly parity: readonly number[];
    };

/** Verifies one stripe. Made by ErasureCodec.verifier(). */
export class StripeVerifier {
  readonly #geometry: Geometry;
  readonly #encode: Encode;
  readonly #differing = new Set<number>();
  #expected: readonly Uint8Array[] = [];
  #offset = 0;
  #firstDifference: number | undefined;

  constructor(geometry: Geometry, encode: Encode) {
    this.#geometry = geometry;
    this.#encode = encode;
  }

  /**
   * Takes the next bytes of every cell, data cells first; nothing of them is kept. Pieces may have
   * any length, the same for all cells of a call.
   *
   * @throws LumeoError INVALID_ARGUMENT for another number of cells or different lengths.
   */
  update(pieces: readonly Uint8Array[]): void {
    const { dataCells, parityCells } = this.#geometry;
    if (pieces.length !== dataCells + parityCells) {
      const message =
        `Cannot verify a stripe: it has ${pieces.length} cells, ` +
        `expected ${dataCells + parityCells}`;
      throw new LumeoError("INVALID_ARGUMENT", message);
    }
    const bytes = pieces[0]?.byteLength ?? 0;
    const parity = pieces.slice(dataCells);
    if (pieces.some((piece) => piece.byteLength !== bytes)) {
      const message = "Cannot verify a stripe: its pieces have different lengths";
      throw new LumeoError("INVALID_ARGUMENT", message);
    }
    if (this.#expected[0]?.byteLength !== bytes) {
      this.#expected = parity.map(() => new Uint8Array(bytes));
    }
    this.#encode(pieces.slice(0, dataCells), this.#expected);
    for (const [n, piece] of parity.entries()) {
      const at = firstDifference(piece, this.#expected[n] as Uint8Array);
      if (at === undefined) continue;
      this.#differing.add(dataCells + n);
      this.#firstDifference = Math.min(this.#firstDifference ?? Infinity, this.#offset + at);
    }
    this.#offset += bytes;
  }

  /** What all the bytes so far say. */
  verdict(): StripeVerdict {
    const offset = this.#firstDifference;
    if (offset === undefined) return { kind: "consistent", bytes: this.#offset };
    return { kind: "inconsistent", offset, parity: [...this.#differing].sort((a, b) => a - b) };
  }
}

function firstDifference(a: Uint8Array, b: Uint8Array): number | undefined {
  for (let n = 0; n < a.length; n++) if (a[n] !== b[n]) return n;
  return undefined;
}
