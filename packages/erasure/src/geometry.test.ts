import test from "ava";
import fc from "fast-check";
import { powerOfTwo } from "./field.js";
import { CELLS_MAX, checkGeometry, type Geometry, parityMatrix } from "./geometry.js";
import { identity, invertMatrix, type Matrix } from "./matrix.js";

/** Every code that there is. */
const GEOMETRIES: readonly Geometry[] = Array.from(
  { length: CELLS_MAX - 1 },
  (_, n) => n + 1,
).flatMap((dataCells) =>
  Array.from({ length: CELLS_MAX - dataCells }, (_, n) => ({ dataCells, parityCells: n + 1 })),
);

const anyGeometry = fc.constantFrom(...GEOMETRIES);

function* choices(from: number, count: number, start = 0): Generator<readonly number[]> {
  if (count === 0) return yield [];
  const last = from - count; // enough must be left for the others
  for (let first = start; first <= last; first++) {
    for (const rest of choices(from, count - 1, first + 1)) yield [first, ...rest];
  }
}

function generator(geometry: Geometry): Matrix {
  return [...identity(geometry.dataCells), ...parityMatrix(geometry)];
}

test("C1: any k of k + m cells determine the data, all choices of all codes up to 12 cells", (t) => {
  let checked = 0;
  for (const geometry of GEOMETRIES) {
    const { dataCells, parityCells } = geometry;
    if (12 < dataCells + parityCells) continue;
    const rows = generator(geometry);
    for (const choice of choices(rows.length, dataCells)) {
      const taken = choice.map((cell) => rows[cell]!);
      if (invertMatrix(taken) === undefined) t.fail(`${dataCells}+${parityCells}: ${choice}`);
      checked++;
    }
  }
  t.is(checked, 8_166); // the sum of 2^n − 2 for n = 2 … 12
});

test("C1: any k of k + m cells determine the data, random choices of all codes", (t) => {
  const chosen = anyGeometry.chain((geometry) => {
    const cells = [...identity(geometry.dataCells + geometry.parityCells).keys()];
    const { dataCells } = geometry;
    const choice = fc.shuffledSubarray(cells, { minLength: dataCells, maxLength: dataCells });
    return fc.record({ geometry: fc.constant(geometry), choice });
  });
  fc.assert(
    fc.property(chosen, ({ geometry, choice }) => {
      const rows = generator(geometry);
      return invertMatrix(choice.map((cell) => rows[cell]!)) !== undefined;
    }),
    { numRuns: 1_000 },
  );
  t.pass();
});

test("C1: the points of the rows differ from one another and from those of the columns", (t) => {
  const columns = Array.from({ length: CELLS_MAX - 1 }, (_, j) => powerOfTwo(j));
  const rows = Array.from({ length: CELLS_MAX - 3 }, (_, n) => powerOfTwo(255 - (n + 2)));
  t.is(new Set([0, ...columns, ...rows]).size, 1 + columns.length + rows.length);
});

test("C2, C3: first column of ones, no zeros, and narrower codes are parts of wider ones", (t) => {
  for (const { dataCells, parityCells } of GEOMETRIES) {
    const matrix = parityMatrix({ dataCells, parityCells });
    t.true(matrix.every((row) => row[0] === 1 && !row.includes(0)));
    const wider = parityMatrix({ dataCells: CELLS_MAX - parityCells, parityCells });
    t.deepEqual(
      matrix,
      wider.map((row) => row.slice(0, dataCells)),
    );
  }
});

test("4+2 is the code of RAID-6", (t) => {
  const matrix = parityMatrix({ dataCells: 4, parityCells: 2 });
  t.deepEqual(matrix, [Uint8Array.of(1, 1, 1, 1), Uint8Array.of(1, 2, 4, 8)]);
});

test("a geometry without data, without parity or with more than 32 cells is refused", (t) => {
  for (const [dataCells, parityCells] of [
    [0, 2],
    [4, 0],
    [31, 2],
    [1.5, 2],
    [4, Number.NaN],
  ]) {
    const geometry = { dataCells: dataCells!, parityCells: parityCells! };
    t.throws(() => checkGeometry(geometry), { message: /^Cannot code .* 32 at most$/ });
  }
  t.notThrows(() => checkGeometry({ dataCells: 31, parityCells: 1 }));
  t.notThrows(() => checkGeometry({ dataCells: 1, parityCells: 31 }));
});
