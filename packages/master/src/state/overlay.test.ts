import test from "ava";
import fc from "fast-check";
import { changesWithin, Overlay, sortedInSlices, unsortedWithin } from "./overlay.js";

const FROM = Uint8Array.of(0x01);
const TO = Uint8Array.of(0x80);

test("changes that are sorted in slices are those that are sorted at once", async (t) => {
  const key = fc.uint8Array({ minLength: 1, maxLength: 3 });
  const size = fc.integer({ min: 0, max: 14_000 });
  const run = fc.asyncProperty(fc.array(key, { maxLength: 20 }), size, async (keys, count) => {
    const [older, newer] = [new Overlay(), new Overlay()];
    for (let i = 0; i < count; i++) {
      const mixed = Math.imul(i, 0x9e3779b1) >>> 8;
      older.set(Uint8Array.of(1 + (mixed & 0x7f), mixed >>> 16, mixed >>> 8), Uint8Array.of(i));
    }
    for (const changed of keys) newer.set(changed, undefined);
    const overlays = [older, newer];
    const expected = changesWithin(overlays, FROM, TO);
    t.deepEqual(await sortedInSlices(unsortedWithin(overlays, FROM, TO)), expected);
  });
  await fc.assert(run, { numRuns: 12 });
});
