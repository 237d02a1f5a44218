import { BLOCK_BYTES, LumeoError } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { resolveRange, spansOf } from "./span.js";

test("the spans of a range are in order, do not overlap and add up to it (S1, S2)", (t) => {
  const sizes = fc.record({
    start: fc.nat(2_000_000),
    length: fc.nat(2_000_000),
    chunkBlocks: fc.integer({ min: 1, max: 8 }),
    spanBlocks: fc.integer({ min: 1, max: 5 }),
  });
  fc.assert(
    fc.property(sizes, ({ start, length, chunkBlocks, spanBlocks }) => {
      const chunkBytes = chunkBlocks * BLOCK_BYTES;
      const spanBytes = spanBlocks * BLOCK_BYTES;
      let at = start;
      for (const span of spansOf({ start, end: start + length }, chunkBytes, spanBytes)) {
        t.is(span.chunk * chunkBytes + span.offset, at);
        t.true(0 < span.length && span.length <= spanBytes);
        t.true(span.offset + span.length <= chunkBytes);
        at += span.length;
      }
      t.is(at, start + length);
    }),
  );
});

test("no block between the ends of a range is in two spans", (t) => {
  const range = { start: 100, end: 20 * BLOCK_BYTES - 100 };
  const inner = [...spansOf(range, 7 * BLOCK_BYTES, 3 * BLOCK_BYTES)].slice(1);
  t.true(inner.every(({ offset }) => offset % BLOCK_BYTES === 0));
});

test("a range that is not said is the whole file, and one behind the end stops there", (t) => {
  t.deepEqual(resolveRange({}, 10), { start: 0, end: 10 });
  t.deepEqual(resolveRange({ start: 4 }, 10), { start: 4, end: 10 });
  t.deepEqual(resolveRange({ end: 99 }, 10), { start: 0, end: 10 });
  t.deepEqual(resolveRange({ start: 10 }, 10), { start: 10, end: 10 });
  t.deepEqual(resolveRange({}, 0), { start: 0, end: 0 });
});

test("an impossible range is refused", (t) => {
  const wrong = [{ start: -1 }, { start: 0.5 }, { start: 5, end: 4 }, { start: 11 }, { end: NaN }];
  for (const asked of wrong) {
    t.throws(() => resolveRange(asked, 10), { instanceOf: LumeoError, code: "INVALID_ARGUMENT" });
  }
});
