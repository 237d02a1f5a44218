import { LumeoError } from "@lumeofs/base";
import test from "ava";
import { CellArena } from "./cell-arena.js";
import { ErasureCodec } from "./erasure-codec.js";

const GEOMETRY = { dataCells: 4, parityCells: 2 };
const CELL_BYTES = 5_003;

for (const how of ["fastest", "plain"] as const) {
  test(`${how}: every double loss of 4+2 is rebuilt inside the arena`, (t) => {
    const arena = new CellArena({ cells: 8, cellBytes: CELL_BYTES }, how);
    const codec = new ErasureCodec(GEOMETRY, arena.combine);
    const stripe = arena.cells.slice(0, 6);
    for (const [n, cell] of stripe.entries()) {
      for (let at = 0; at < CELL_BYTES; at++) cell[at] = at * (n + 3) + (at >> 8);
    }
    codec.encode(stripe.slice(0, 4), stripe.slice(4));
    for (let a = 0; a < 6; a++) {
      for (let b = a + 1; b < 6; b++) {
        const left = stripe.map((cell, n) => (n === a || n === b ? undefined : cell));
        const rebuilt = new Map([a, b].map((cell, n) => [cell, arena.cells[6 + n]!] as const));
        codec.reconstruct(left, rebuilt);
        for (const [cell, bytes] of rebuilt) t.deepEqual(bytes, stripe[cell], `lost ${a}, ${b}`);
      }
    }
  });
}

test("cells of an arena do not overlap and have the wanted length", (t) => {
  const { cells } = new CellArena({ cells: 5, cellBytes: 65 });
  for (const [n, cell] of cells.entries()) cell.fill(n + 1);
  t.true(cells.every((cell, n) => cell.length === 65 && cell.every((byte) => byte === n + 1)));
});

test("an arena beyond its limit is refused", (t) => {
  for (const [cells, cellBytes] of [
    [32, 2 ** 26],
    [-1, 8],
    [6, 0.5],
  ]) {
    const error = t.throws(() => new CellArena({ cells: cells!, cellBytes: cellBytes! }), {
      instanceOf: LumeoError,
      message: /^Cannot make an arena of/,
    });
    t.is(error?.code, "INVALID_ARGUMENT");
  }
});
