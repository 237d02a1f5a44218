// Which cells make which others: encoding, rebuilding and verifying are all sums of multiples of
// cells, and differ only in the factors.

import { invariant } from "@lumeofs/base";
import type { Geometry } from "./geometry.js";
import { identity, invertMatrix, type Matrix, multiplyMatrices } from "./matrix.js";

/** How some cells follow from others: target t is the sum of factors[t][s] times source s. */
export interface Recovery {
  readonly sources: readonly number[];
  readonly targets: readonly number[];
  readonly factors: Matrix;
}

/**
 * Chooses the cells to rebuild others from: data cells first, because the rebuilt cell then often
 * is their plain XOR with the first parity cell.
 *
 * @param present  Numbers of cells at hand, any order, no number twice.
 * @returns        As many as the code has data cells, ascending; undefined if too few are present.
 */
export function chooseSources(
  { dataCells }: Geometry,
  present: Iterable<number>,
): readonly number[] | undefined {
  const sources = [...present].sort((a, b) => a - b).slice(0, dataCells);
  return sources.length < dataCells ? undefined : sources;
}

/**
 * The factors that make `targets` out of `sources`.
 *
 * @param parity   The code's matrix: parityMatrix().
 * @param sources  As many different cells as the code has data cells.
 */
export function planRecovery(
  parity: Matrix,
  sources: readonly number[],
  targets: readonly number[],
): Recovery {
  const dataCells = parity[0]?.length ?? 0;
  // Row n of this matrix makes cell n out of the data cells.
  const generator = [...identity(dataCells), ...parity];
  const rowOf = (cell: number): Uint8Array => {
    const row = generator[cell];
    invariant(row !== undefined, "no such cell in the code", { cell });
    return row;
  };
  const dataFromSources = invertMatrix(sources.map(rowOf));
  invariant(dataFromSources !== undefined, "cells do not determine the data", { sources });
  return { sources, targets, factors: multiplyMatrices(targets.map(rowOf), dataFromSources) };
}
