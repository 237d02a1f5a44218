import test from "ava";
import fc from "fast-check";
import { type BaseChunk, segmentsOf } from "./segments.js";

function baseOf(lengths: readonly number[]): readonly BaseChunk[] {
  let offset = 0;
  return lengths.map((lengthBytes) => {
    const chunk = { offset, lengthBytes };
    offset += lengthBytes;
    return chunk;
  });
}

test("segments follow one another, add up to the file, and keep the chunks that did not change", (t) => {
  const lengths = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 8 });
  fc.assert(
    fc.property(lengths, fc.nat(90), fc.nat(90), (all, sizeBytes, changedAt) => {
      const base = baseOf(all);
      const isChanged = (start: number, end: number) => start <= changedAt && changedAt < end;
      const segments = segmentsOf(base, { sizeBytes, chunkBytes: 9 }, isChanged);
      let at = 0;
      for (const [i, { start, end, isSame }] of segments.entries()) {
        t.is(start, at);
        t.true(start < end && end - start <= 9);
        const old = base[i];
        if (old !== undefined) t.is(start, old.offset);
        const isWhole = old !== undefined && end === old.offset + old.lengthBytes;
        t.is(isSame, isWhole && !isChanged(start, end));
        at = end;
      }
      t.is(at, sizeBytes);
    }),
  );
});
