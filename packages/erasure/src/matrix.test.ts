import test from "ava";
import fc from "fast-check";
import { identity, invertMatrix, matrixOf, multiplyMatrices } from "./matrix.js";

test("a matrix times its inverse is the identity, and a singular one has none", (t) => {
  const square = fc.integer({ min: 1, max: 8 }).chain((size) =>
    fc.array(fc.uint8Array({ minLength: size, maxLength: size }), {
      minLength: size,
      maxLength: size,
    }),
  );
  fc.assert(
    fc.property(square, (matrix) => {
      const inverse = invertMatrix(matrix);
      if (inverse === undefined) return;
      t.deepEqual(multiplyMatrices(matrix, inverse), identity(matrix.length));
      t.deepEqual(multiplyMatrices(inverse, matrix), identity(matrix.length));
    }),
  );
  t.is(invertMatrix(matrixOf(3, 3, (row) => row + 1)), undefined);
});
