import { type Code, KiB, unitCount } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { unitsOf } from "../../test/coded-chunks.js";
import { sample } from "../../test/replicas.js";
import { encoderBytes, StripeEncoder } from "./stripe-encoder.js";

const code: fc.Arbitrary<Code> = fc.record({
  data: fc.integer({ min: 1, max: 6 }),
  parity: fc.integer({ min: 1, max: 4 }),
  cellBytes: fc.constantFrom(64 * KiB, 128 * KiB),
});
/** Around the ends of cells and stripes, and anywhere. */
const length = fc.oneof(
  fc.integer({ min: 1, max: 1_500_000 }),
  fc
    .tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: -2, max: 2 }))
    .map(([blocks, more]) => blocks * 64 * KiB + more),
);
const cuts = fc.array(fc.integer({ min: 1, max: 400_000 }), { minLength: 1, maxLength: 5 });

test("units are as the format says, however the data comes in pieces", async (t) => {
  await fc.assert(
    fc.asyncProperty(code, length, cuts, async (one, bytes, pieces) => {
      const data = sample(bytes, bytes);
      const got: Uint8Array[][] = Array.from({ length: unitCount(one) }, () => []);
      const encoder = new StripeEncoder(one, bytes, async (unit, part) => {
        got[unit]?.push(part.slice());
      });
      for (let at = 0, i = 0; at < bytes; i++) {
        const piece = data.slice(at, at + (pieces[i % pieces.length] ?? 1));
        at += piece.byteLength;
        await encoder.add(piece);
        piece.fill(0xff); // it is the caller's again
      }
      const isSame = unitsOf(one, data).every((unit, number) => {
        return Buffer.concat(got[number] ?? []).equals(unit);
      });
      return encoder.isComplete && isSame;
    }),
    { numRuns: 60 },
  );
  t.is(encoderBytes({ data: 4, parity: 2, cellBytes: 64 * KiB }), 6 * 64 * KiB);
});

test("a unit that fails ends the stripe when all others have taken their cells", async (t) => {
  const one: Code = { data: 2, parity: 1, cellBytes: 64 * KiB };
  let taken = 0;
  const encoder = new StripeEncoder(one, 100, async (unit) => {
    if (unit === 0) throw new Error("no room");
    await Promise.resolve();
    taken++;
  });
  await t.throwsAsync(encoder.add(sample(100, 1)), { message: "no room" });
  t.is(taken, 2);
});
