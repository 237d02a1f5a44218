// How wide a code is, and its matrix: of which multiples of data cells a parity cell is the sum.
//
// The matrix is an extended Cauchy matrix whose columns are scaled so that its first two rows are
// those of RAID-6. With g = 2 and column j = 0 … k − 1:
//
//   row 0      1                                     the XOR of the data cells
//   row 1      g^j                                   computed by doubling alone
//   row i ≥ 2  (1 + e_i) · g^j / (g^j + e_i)         with e_i = g^(255 − i)
//
// C1. Any k of the k + m cells determine the others (the code is MDS), because every square part of
//     the matrix has an inverse. Dividing column j by g^j and row i by (1 + e_i) changes nothing
//     about that, and leaves the rows 1/(g^j + 0), 1 and 1/(g^j + e_i). Suppose that n of these
//     rows, taken at n columns, had a sum of multiples Σ λ_i · row_i = 0. Multiplied by all the
//     denominators it is a polynomial in g^j of a degree below n with n different roots, hence 0,
//     hence every λ_i is 0. The e_i are different from one another, from 0 and from every g^j,
//     since 255 − i ≥ 224 and j ≤ 30.
// C2. The first column is all ones. No entry is 0.
// C3. The matrix of a narrower code is the upper left part of that of a wider one: a parity cell
//     stays what it is when others join, and data cells that are absent count as zeros.
//
// Sources: F. J. MacWilliams, N. J. A. Sloane, The Theory of Error-Correcting Codes, 10 and 11;
// R. M. Roth, G. Seroussi, On generator matrices of MDS codes, 1985 (extended Cauchy);
// H. P. Anvin, The mathematics of RAID-6, 2004 (the first two rows).

import { LumeoError } from "@lumeofs/base";
import { invert, multiply, powerOfTwo } from "./field.js";
import { type Matrix, matrixOf } from "./matrix.js";

/** Data and parity cells of a stripe, at the most. */
export const CELLS_MAX = 32;

/** Cells of a stripe. Cell n is a data cell below `dataCells`, from there on a parity cell. */
export interface Geometry {
  readonly dataCells: number;
  readonly parityCells: number;
}

/** Any two of six cells may be lost, at one and a half times the bytes. */
export const DEFAULT_GEOMETRY: Geometry = { dataCells: 4, parityCells: 2 };

/** @throws LumeoError INVALID_ARGUMENT unless both counts are at least 1 and CELLS_MAX together. */
export function checkGeometry({ dataCells, parityCells }: Geometry): void {
  const counts = [dataCells, parityCells];
  const whole = counts.every((count) => Number.isSafeInteger(count) && 1 <= count);
  if (whole && dataCells + parityCells <= CELLS_MAX) return;
  throw new LumeoError(
    "INVALID_ARGUMENT",
    `Cannot code ${dataCells}+${parityCells} cells: data and parity cells must be 1 or more, ` +
      `together ${CELLS_MAX} at most`,
  );
}

/** The matrix of a code: a row for each parity cell, a column for each data cell. */
export function parityMatrix({ dataCells, parityCells }: Geometry): Matrix {
  return matrixOf(parityCells, dataCells, (row, column) => {
    const power = powerOfTwo(column);
    if (row === 0) return 1;
    if (row === 1) return power;
    const e = powerOfTwo(255 - row);
    return multiply(1 ^ e, multiply(power, invert(power ^ e)));
  });
}
