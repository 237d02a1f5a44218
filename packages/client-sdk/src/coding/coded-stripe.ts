// Bytes of a chunk become the cells of one stripe.

import { type Code, cellLength, type Stripe, unitCount } from "@lumeofs/base";
import type { ErasureCodec } from "@lumeofs/erasure";
import type { FrameRow } from "./frame-row.js";

/** What a stripe is coded with. */
export interface StripeCoder {
  readonly code: Code;
  readonly codec: ErasureCodec;
}

/**
 * Takes a stripe's bytes out of the row, and makes its parity cells.
 *
 * @param memory  One piece of memory for each cell, as long as the stripe's cells at least.
 * @returns       The cells, by unit, cut to what is stored of them: some may be empty.
 */
export function codeStripe(
  { code, codec }: StripeCoder,
  stripe: Stripe,
  row: FrameRow,
  memory: readonly Uint8Array[],
): readonly Uint8Array[] {
  // Shorter cells count as if zeros followed; all are as long as the first one.
  const codedBytes = cellLength(code, stripe, 0);
  const whole = memory.map((cell) => cell.subarray(0, codedBytes));
  const cells: Uint8Array[] = [];
  for (let unit = 0; unit < unitCount(code); unit++) {
    const cell = (whole[unit] as Uint8Array).subarray(0, cellLength(code, stripe, unit));
    cells.push(cell);
    if (code.data <= unit) continue;
    row.take(cell);
    whole[unit]?.fill(0, cell.byteLength);
  }
  codec.encode(whole.slice(0, code.data), whole.slice(code.data));
  return cells;
}
