// Our field, our inverses and our sums, plain and by the kernel, beside an independent code:
// reed-solomon-erasure, compiled from Rust. Its matrix is another than ours, so ours is replaced by
// its: Vandermonde rows r^c, multiplied by the inverse of the uppermost k of them.

import { createRequire } from "node:module";
import { combineFastest, combinePlain } from "@lumeofs/erasure";
import test from "ava";
import fc from "fast-check";
import { multiply } from "../src/field.js";
import { invertMatrix, type Matrix, matrixOf, multiplyMatrices } from "../src/matrix.js";

// Its entry for `import` is broken.
const peerModule: typeof import("@digitaldefiance/reed-solomon-erasure.wasm") = createRequire(
  import.meta.url,
)("@digitaldefiance/reed-solomon-erasure.wasm");
const peer = await peerModule.ReedSolomonErasure.fromCurrentDirectory();

function peerMatrix(dataCells: number, parityCells: number): Matrix {
  const power = (base: number, exponent: number): number =>
    exponent === 0 ? 1 : multiply(base, power(base, exponent - 1));
  const vandermonde = matrixOf(dataCells + parityCells, dataCells, power);
  const inverse = invertMatrix(vandermonde.slice(0, dataCells));
  return multiplyMatrices(vandermonde.slice(dataCells), inverse!);
}

const stripe = fc
  .record({
    dataCells: fc.integer({ min: 1, max: 20 }),
    parityCells: fc.integer({ min: 1, max: 12 }),
    bytes: fc.integer({ min: 1, max: 200 }),
  })
  .chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      data: fc.array(fc.uint8Array({ minLength: shape.bytes, maxLength: shape.bytes }), {
        minLength: shape.dataCells,
        maxLength: shape.dataCells,
      }),
    }),
  );

test("with the matrix of reed-solomon-erasure, parity cells have the bytes that it gives", (t) => {
  fc.assert(
    fc.property(stripe, ({ shape: { dataCells, parityCells, bytes }, data }) => {
      const shards = new Uint8Array((dataCells + parityCells) * bytes);
      for (const [n, cell] of data.entries()) shards.set(cell, n * bytes);
      t.is(peer.encode(shards, dataCells, parityCells), 0);
      for (const combine of [combinePlain, combineFastest]) {
        const parity = Array.from({ length: parityCells }, () => new Uint8Array(bytes));
        combine(peerMatrix(dataCells, parityCells), data, parity);
        for (const [n, cell] of parity.entries()) {
          t.deepEqual(cell, shards.slice((dataCells + n) * bytes, (dataCells + n + 1) * bytes));
        }
      }
    }),
    { numRuns: 200 },
  );
});
