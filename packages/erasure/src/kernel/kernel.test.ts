import test from "ava";
import fc from "fast-check";
import { CellArena } from "../cell-arena.js";
import { combinePlain } from "../combine.js";
import { multiply, powerOfTwo } from "../field.js";
import type { Matrix } from "../matrix.js";
import { Kernel } from "./kernel.js";

const ROOM = 3 * 16_384; // more than two slices of the stage

/** Rows as the kernel tells them apart: any, all ones, powers of two, and one near to another. */
const matrix: fc.Arbitrary<Matrix> = fc.integer({ min: 1, max: 17 }).chain((sources) => {
  const anyRow = fc.uint8Array({ minLength: sources, maxLength: sources });
  const ones = new Uint8Array(sources).fill(1);
  const powers = ones.map((_, n) => powerOfTwo(n));
  const bits = fc.uint8Array({ minLength: sources, maxLength: sources, max: 1 });
  const twins = fc
    .tuple(anyRow, bits)
    .map(([row, bit]) => [row, row.map((factor, n) => factor ^ (bit[n] as number))]);
  // What rebuilds one or two data cells: A · (P + Σ d) + B · (Q + Σ 2^e · d), with P or without.
  const exponents = fc.shuffledSubarray([...new Array(31).keys()], {
    minLength: sources - 1,
    maxLength: sources - 1,
  });
  const solutions = fc
    .record({ a: fc.nat(255), b: fc.nat(255), exponents, hasP: fc.boolean(), twins: fc.boolean() })
    .map(({ a, b, exponents, hasP, twins }) => {
      const ascending = exponents.sort((x, y) => x - y);
      const data = ascending.map((e) => (hasP ? a : 0) ^ multiply(b, powerOfTwo(e)));
      if (hasP && 0 < data.length) data[data.length - 1] = a;
      const row = Uint8Array.from([...data, b]);
      return twins ? [row, row.map((factor, n) => (n < data.length ? factor ^ 1 : factor))] : [row];
    });
  const rows = fc.oneof(
    solutions,
    anyRow.map((row) => [row]),
    fc.constantFrom([ones], [powers], [ones, powers]),
    twins,
  );
  return fc.array(rows, { minLength: 1, maxLength: 6 }).map((parts) => parts.flat());
});

const trial = fc.record({
  factors: matrix,
  bytes: fc.oneof(fc.nat(300), fc.nat(2 * 16_384 + 200)),
  offset: fc.nat(70),
  seed: fc.nat(),
  /** Bit n: cell n lies outside the kernel's memory. */
  outside: fc.oneof(fc.constant(0), fc.nat(2 ** 30), fc.constant(2 ** 30 - 1)),
});

test("this machine has the kernel", (t) => {
  t.true(Kernel.isSupported());
});

test("the kernel gives what the plain version gives, in its memory, outside and mixed", (t) => {
  const arena = new CellArena({ cells: 29, cellBytes: ROOM });
  fc.assert(
    fc.property(trial, ({ factors, bytes, offset, seed, outside }) => {
      let state = seed;
      const cells = [...new Array((factors[0]?.length ?? 0) + factors.length).keys()].map((n) => {
        const whole = (outside >> n) & 1 ? new Uint8Array(ROOM) : arena.cells[n]!;
        for (let at = 0; at < offset + bytes + 64; at++) {
          state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
          whole[at] = state >>> 16;
        }
        return whole;
      });
      const sources = cells.slice(0, factors[0]!.length);
      const targets = cells.slice(sources.length);
      const before = cells.map((cell) => cell.slice(0, offset + bytes + 64));
      const part = (cell: Uint8Array): Uint8Array => cell.subarray(offset, offset + bytes);
      combinePlain(
        factors,
        before.slice(0, sources.length).map(part),
        before.slice(sources.length).map(part),
      );
      arena.combine(factors, sources.map(part), targets.map(part));
      // Bytes before and behind the targets, and the sources, are as they were.
      for (const [n, cell] of cells.entries()) {
        if (Buffer.compare(before[n]!, cell.subarray(0, offset + bytes + 64)) !== 0) return false;
      }
      return true;
    }),
    { numRuns: 300 },
  );
  t.pass();
});
