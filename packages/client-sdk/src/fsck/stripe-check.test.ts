import { type ChunkCoding, cellRanges, KiB, unitCount, unitLength } from "@lumeofs/base";
import { ErasureCodec } from "@lumeofs/erasure";
import test from "ava";
import fc from "fast-check";
import { StripeCheck } from "./stripe-check.js";

const CODING: ChunkCoding = { data: 4, parity: 2, cellBytes: 64 * KiB, unitCrcs: [] };

/** Units of a chunk of so many bytes: they are coded byte by byte, so as one long cell each. */
function unitsOf(coding: ChunkCoding, lengthBytes: number): readonly Uint8Array[] {
  const count = unitCount(coding);
  const lengths = Array.from({ length: count }, (_, unit) => unitLength(coding, lengthBytes, unit));
  const units = lengths.map(() => new Uint8Array(Math.max(...lengths)));
  for (const range of cellRanges(coding, lengthBytes, { start: 0, end: lengthBytes })) {
    for (let i = 0; i < range.lengthBytes; i++) {
      (units[range.unit] as Uint8Array)[range.unitOffset + i] = (range.offset + i) * 31 + 7;
    }
  }
  const codec = new ErasureCodec({ dataCells: coding.data, parityCells: coding.parity });
  codec.encode(units.slice(0, coding.data), units.slice(coding.data));
  return units.map((unit, i) => unit.subarray(0, lengths[i]));
}

/** Reads all units at once, each in pieces of its own length. */
async function readAll(check: StripeCheck, units: readonly Uint8Array[], pieceBytes: number) {
  await Promise.all(
    units.map(async (unit, number) => {
      const step = pieceBytes + 997 * number;
      for (let at = 0; at < unit.byteLength; at += step) {
        await check.take(number, [unit.subarray(at, at + step)]);
      }
    }),
  );
}

test("units of a chunk of any length fit, read in pieces of any length", async (t) => {
  const lengths = fc.oneof(fc.constantFrom(1, 64, 1_000), fc.integer({ min: 1, max: 1_500_000 }));
  const property = fc.asyncProperty(
    lengths,
    fc.integer({ min: 5_000, max: 700_000 }),
    async (lengthBytes, pieceBytes) => {
      const check = new StripeCheck(CODING, lengthBytes);
      t.is(check.unfit(), undefined, "before all has come");
      await readAll(check, unitsOf(CODING, lengthBytes), pieceBytes);
      t.deepEqual(check.unfit(), []);
    },
  );
  await fc.assert(property, { numRuns: 30 });
});

test("a parity unit that is not that of the data is named", async (t) => {
  const units = unitsOf(CODING, 1_400_000);
  const wrong = units.map((unit) => unit.slice());
  wrong[5]?.fill(9, 300_000, 300_001);
  const check = new StripeCheck(CODING, 1_400_000);
  await readAll(check, wrong, 100_000);
  t.deepEqual(check.unfit(), [5]);
});

test("who waits for a unit that will not come is let go, and nothing is said", async (t) => {
  const units = unitsOf(CODING, 3_000_000);
  const check = new StripeCheck(CODING, 3_000_000);
  const others = readAll(check, units.slice(0, 5), 400_000);
  await check.take(5, [(units[5] as Uint8Array).subarray(0, 1_000)]);
  check.leave();
  await others;
  t.is(check.unfit(), undefined);
});
