// Matrices over GF(2^8): as small as a code is wide, so the plain methods are fast enough.

import { invariant } from "@lumeofs/base";
import { invert, multiply } from "./field.js";

/** Rows of equal length, each entry a field element. */
export type Matrix = readonly Uint8Array[];

/** A matrix with an entry for each row and column. */
export function matrixOf(
  rows: number,
  columns: number,
  entry: (row: number, column: number) => number,
): Matrix {
  return Array.from({ length: rows }, (_, row) =>
    new Uint8Array(columns).map((_, column) => entry(row, column)),
  );
}

/** The matrix that changes nothing. */
export function identity(size: number): Matrix {
  return matrixOf(size, size, (row, column) => (row === column ? 1 : 0));
}

/** Product of `left` (a × b) and `right` (b × c). */
export function multiplyMatrices(left: Matrix, right: Matrix): Matrix {
  const columns = right[0]?.length ?? 0;
  return left.map((factors) => {
    const sum = new Uint8Array(columns);
    for (const [row, factor] of factors.entries()) addMultiple(sum, right[row], factor);
    return sum;
  });
}

/**
 * The inverse of a square matrix, by Gauss–Jordan elimination.
 *
 * @returns undefined if the matrix has none.
 */
export function invertMatrix(matrix: Matrix): Matrix | undefined {
  const size = matrix.length;
  // The matrix with the identity at its right; when the left half has become the identity, the
  // right half is the inverse.
  const rows: Uint8Array[] = matrix.map((row, n) => {
    invariant(row.length === size, "only a square matrix has an inverse", { size });
    const joined = new Uint8Array(2 * size);
    joined.set(row);
    joined[size + n] = 1;
    return joined;
  });
  for (let column = 0; column < size; column++) {
    const found = rows.findIndex((row, n) => column <= n && row[column] !== 0);
    const pivot = rows[found];
    if (pivot === undefined) return undefined;
    rows[found] = rows[column] as Uint8Array;
    rows[column] = pivot;
    const scale = invert(pivot[column] as number);
    for (let n = 0; n < pivot.length; n++) pivot[n] = multiply(scale, pivot[n] as number);
    for (const row of rows) {
      if (row !== pivot) addMultiple(row, pivot, row[column] as number);
    }
  }
  return rows.map((row) => row.slice(size));
}

function addMultiple(sum: Uint8Array, row: Uint8Array | undefined, factor: number): void {
  invariant(row !== undefined && row.length === sum.length, "rows have different lengths");
  for (let n = 0; n < sum.length; n++) {
    sum[n] = (sum[n] as number) ^ multiply(factor, row[n] as number);
  }
}
