import test from "ava";
import fc from "fast-check";
import { decodeRoster, encodeRoster, type Roster } from "./roster.js";

const numbers = fc.integer({ min: 0, max: 2 ** 40 });
const rosters: fc.Arbitrary<Roster> = fc.record({
  generation: numbers,
  disks: fc.array(
    fc.record({
      uuid: fc.uuid(),
      folder: fc.string({ maxLength: 40 }),
      loss: fc.option(
        fc.record({ sinceMs: fc.integer({ min: 1, max: 2 ** 40 }), why: fc.string() }),
        { nil: undefined },
      ),
    }),
    { maxLength: 8 },
  ),
  tailsOn: fc.uuid(),
  tailFloor: fc.oneof(numbers, fc.constant("unknown" as const)),
  lossAtMs: numbers,
});

test("a roster is read as it was written", (t) => {
  fc.assert(
    fc.property(rosters, (roster) => {
      t.deepEqual(decodeRoster(encodeRoster(roster)), roster);
    }),
  );
});

test("bytes that are no roster are CORRUPT, or a short one", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        t.true(decodeRoster(bytes).disks.length <= 64);
      } catch (error) {
        t.is((error as { code?: string }).code, "CORRUPT");
      }
    }),
  );
});
