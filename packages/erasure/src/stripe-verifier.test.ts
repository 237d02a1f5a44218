import test from "ava";
import fc from "fast-check";
import { ErasureCodec } from "./erasure-codec.js";

const codec = new ErasureCodec({ dataCells: 3, parityCells: 2 });

function stripeOf(bytes: number): Uint8Array[] {
  const data = [1, 2, 3].map((n) => new Uint8Array(bytes).map((_, at) => at * 7 * n + n));
  const parity = [new Uint8Array(bytes), new Uint8Array(bytes)];
  codec.encode(data, parity);
  return [...data, ...parity];
}

function verdictOf(stripe: readonly Uint8Array[], pieces: readonly number[]) {
  const verifier = codec.verifier();
  let at = 0;
  for (const bytes of [...pieces, Infinity]) {
    verifier.update(stripe.map((cell) => cell.subarray(at, at + bytes)));
    at += Math.min(bytes, stripe[0]!.byteLength - at);
  }
  return verifier.verdict();
}

test("an intact stripe is consistent, in whatever pieces it comes", (t) => {
  fc.assert(
    fc.property(fc.nat(200), fc.array(fc.nat(40), { maxLength: 6 }), (bytes, pieces) => {
      t.deepEqual(verdictOf(stripeOf(bytes), pieces), { kind: "consistent", bytes });
    }),
  );
});

test("one changed byte is found at its offset, and a damaged parity cell is named", (t) => {
  const change = fc.record({
    cell: fc.nat(4),
    at: fc.nat(99),
    by: fc.integer({ min: 1, max: 255 }),
  });
  fc.assert(
    fc.property(change, fc.array(fc.nat(40), { maxLength: 6 }), ({ cell, at, by }, pieces) => {
      const stripe = stripeOf(100);
      stripe[cell]![at]! ^= by;
      const parity = cell < 3 ? [3, 4] : [cell];
      t.deepEqual(verdictOf(stripe, pieces), { kind: "inconsistent", offset: at, parity });
    }),
  );
});

test("the first of several damages is told, and all parity cells that do not fit", (t) => {
  const stripe = stripeOf(100);
  stripe[3]![70]! ^= 1;
  stripe[4]![20]! ^= 1;
  t.deepEqual(verdictOf(stripe, [50]), { kind: "inconsistent", offset: 20, parity: [3, 4] });
});

test("pieces of another number or of different lengths are refused", (t) => {
  const stripe = stripeOf(10);
  const verifier = codec.verifier();
  t.throws(() => verifier.update(stripe.slice(1)), { message: /has 4 cells, expected 5/ });
  const short = [...stripe.slice(0, 4), stripe[4]!.subarray(1)];
  t.throws(() => verifier.update(short), { message: /different lengths/ });
  const shortData = [stripe[0]!.subarray(1), ...stripe.slice(1)];
  t.throws(() => verifier.update(shortData), { message: /different lengths/ });
});
