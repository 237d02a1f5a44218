// Where the bytes of a coded chunk lie in its units, by arithmetic alone: docs/formats/chunk.md.
//
// A chunk is cut into stripes of `data` cells. Data fills the cells of a stripe one after another.
//
// U1. All stripes but the last are full: each has `data × cellBytes` bytes of data.
// U2. A last, short stripe has shorter cells: an equal share of the rest, rounded up to CELL_STEP.
//     Its last cells of data may be shorter yet, or absent; bytes that are absent count as zeros.
// U3. Parity cells are as long as the first cell of data in their stripe, which is the longest.
// U4. In a unit, cells follow each other without a gap: cell n begins at `n × cellBytes`.
//     So a unit of a short chunk may have no byte at all; then it is stored nowhere.

import type { Code } from "./chunk-code.js";
import { invariant } from "./invariant.js";

/** Short cells are rounded up to this: the kernel of the code works on whole lines of memory. */
export const CELL_STEP = 64;

/** One stripe of a chunk. */
export interface Stripe {
  readonly number: number;
  /** Where its data begins in the chunk, and how much of it there is. */
  readonly offset: number;
  readonly lengthBytes: number;
  /** Where its cells begin in their units. */
  readonly cellOffset: number;
  /** Share of each data cell; the last ones may have less. */
  readonly cellBytes: number;
}

/** Bytes of a chunk that lie together in one cell. */
export interface CellRange {
  readonly stripe: Stripe;
  /** Always a data unit. */
  readonly unit: number;
  /** In the unit. */
  readonly unitOffset: number;
  /** In the chunk. */
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Stripes of a chunk with so many bytes of data. */
export function stripeCount(code: Code, lengthBytes: number): number {
  return Math.ceil(lengthBytes / (code.data * code.cellBytes));
}

/** @throws InvariantViolation if the chunk has no such stripe. */
export function stripeOf(code: Code, lengthBytes: number, number: number): Stripe {
  const full = code.data * code.cellBytes;
  const offset = number * full;
  invariant(0 <= number && offset < lengthBytes, "a chunk has this stripe", { number });
  const bytes = Math.min(full, lengthBytes - offset);
  const cellBytes = bytes === full ? code.cellBytes : roundUp(Math.ceil(bytes / code.data));
  return { number, offset, lengthBytes: bytes, cellOffset: number * code.cellBytes, cellBytes };
}

/** Bytes of a unit's cell in a stripe; 0 where it is absent. (U2, U3) */
export function cellLength(code: Code, stripe: Stripe, unit: number): number {
  const before = unit < code.data ? unit * stripe.cellBytes : 0;
  return Math.max(0, Math.min(stripe.cellBytes, stripe.lengthBytes - before));
}

/** Bytes of a unit of a chunk with so many bytes of data. */
export function unitLength(code: Code, lengthBytes: number, unit: number): number {
  const stripes = stripeCount(code, lengthBytes);
  if (stripes === 0) return 0;
  const last = stripeOf(code, lengthBytes, stripes - 1);
  return last.cellOffset + cellLength(code, last, unit);
}

/** Bytes of all units together. */
export function codedBytes(code: Code, lengthBytes: number): number {
  let bytes = 0;
  for (let unit = 0; unit < code.data + code.parity; unit++) {
    bytes += unitLength(code, lengthBytes, unit);
  }
  return bytes;
}

/** Where a range of a chunk's data lies, in the order of the data. */
export function* cellRanges(
  code: Code,
  lengthBytes: number,
  { start, end }: { readonly start: number; readonly end: number },
): Generator<CellRange, void, undefined> {
  const full = code.data * code.cellBytes;
  for (let offset = start; offset < Math.min(end, lengthBytes); ) {
    const stripe = stripeOf(code, lengthBytes, Math.floor(offset / full));
    const inStripe = offset - stripe.offset;
    const unit = Math.floor(inStripe / stripe.cellBytes);
    const inCell = inStripe - unit * stripe.cellBytes;
    const cellEnd = offset - inCell + cellLength(code, stripe, unit);
    const bytes = Math.min(cellEnd, end) - offset;
    const unitOffset = stripe.cellOffset + inCell;
    yield { stripe, unit, unitOffset, offset, lengthBytes: bytes };
    offset += bytes;
  }
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / CELL_STEP) * CELL_STEP;
}
