import test from "ava";
import fc from "fast-check";
import { CODE_DEFAULT, type Code, unitCount } from "./chunk-code.js";
import {
  cellLength,
  cellRanges,
  codedBytes,
  stripeCount,
  stripeOf,
  unitLength,
} from "./unit-layout.js";
import { KiB, MiB } from "./units.js";

const CODES = fc
  .record({
    data: fc.integer({ min: 1, max: 12 }),
    parity: fc.integer({ min: 1, max: 6 }),
    cells: fc.integer({ min: 1, max: 8 }),
  })
  .map(({ data, parity, cells }): Code => ({ data, parity, cellBytes: cells * 4 * KiB }));
const CHUNKS = fc.record({ code: CODES, lengthBytes: fc.integer({ min: 0, max: MiB }) });

test("data units have all bytes of the data, whatever the code and the length", (t) => {
  const property = fc.property(CHUNKS, ({ code, lengthBytes }) => {
    let sum = 0;
    for (let unit = 0; unit < code.data; unit++) sum += unitLength(code, lengthBytes, unit);
    return sum === lengthBytes;
  });
  t.notThrows(() => fc.assert(property));
});

test("no unit is longer than the first, and parity units are as long", (t) => {
  const property = fc.property(CHUNKS, ({ code, lengthBytes }) => {
    const lengths = Array.from({ length: unitCount(code) }, (_, unit) =>
      unitLength(code, lengthBytes, unit),
    );
    const [first = 0] = lengths;
    const parity = lengths.slice(code.data);
    return Math.max(...lengths) === first && parity.every((length) => length === first);
  });
  t.notThrows(() => fc.assert(property));
});

test("a chunk costs its share of parity, and at most one step of rounding for each unit", (t) => {
  const property = fc.property(CHUNKS, ({ code, lengthBytes }) => {
    const ideal = (lengthBytes * unitCount(code)) / code.data;
    return codedBytes(code, lengthBytes) <= ideal + 65 * code.parity;
  });
  t.notThrows(() => fc.assert(property));
});

test("ranges of cells put together are the range that was asked for, each byte once", (t) => {
  const asked = fc.record({ chunk: CHUNKS, a: fc.nat(MiB), b: fc.nat(MiB) });
  const property = fc.property(asked, ({ chunk: { code, lengthBytes }, a, b }) => {
    const range = { start: Math.min(a, b), end: Math.max(a, b) };
    let at = range.start;
    for (const cell of cellRanges(code, lengthBytes, range)) {
      if (cell.offset !== at || cell.lengthBytes < 1 || code.data <= cell.unit) return false;
      const cellEnd = cell.stripe.cellOffset + cellLength(code, cell.stripe, cell.unit);
      if (cell.unitOffset < cell.stripe.cellOffset) return false;
      if (cellEnd < cell.unitOffset + cell.lengthBytes) return false;
      at += cell.lengthBytes;
    }
    return at === Math.max(range.start, Math.min(range.end, lengthBytes));
  });
  t.notThrows(() => fc.assert(property));
});

test("two bytes of the data never lie at one place", (t) => {
  const property = fc.property(CHUNKS, ({ code, lengthBytes }) => {
    const ends = new Array<number>(code.data).fill(0);
    for (const cell of cellRanges(code, lengthBytes, { start: 0, end: lengthBytes })) {
      if (ends[cell.unit] !== cell.unitOffset) return false; // each unit is filled without a gap
      ends[cell.unit] = cell.unitOffset + cell.lengthBytes;
    }
    return ends.every((end, unit) => end === unitLength(code, lengthBytes, unit));
  });
  t.notThrows(() => fc.assert(property));
});

test("small and large chunks of the default code are laid out as the format says", (t) => {
  const lengths = (bytes: number): readonly number[] =>
    [0, 1, 2, 3, 4, 5].map((unit) => unitLength(CODE_DEFAULT, bytes, unit));
  t.deepEqual(lengths(0), [0, 0, 0, 0, 0, 0]);
  t.deepEqual(lengths(1), [1, 0, 0, 0, 1, 1]);
  t.deepEqual(lengths(5 * KiB), [1280, 1280, 1280, 1280, 1280, 1280]);
  t.deepEqual(lengths(1000), [256, 256, 256, 232, 256, 256]);
  t.deepEqual(
    lengths(64 * MiB),
    [16, 16, 16, 16, 16, 16].map((n) => n * MiB),
  );
  t.deepEqual(lengths(4 * MiB + 1), [MiB + 1, MiB, MiB, MiB, MiB + 1, MiB + 1]);
  t.is(stripeCount(CODE_DEFAULT, 4 * MiB + 1), 2);
  t.like(stripeOf(CODE_DEFAULT, 4 * MiB + 1, 1), { offset: 4 * MiB, lengthBytes: 1 });
});
