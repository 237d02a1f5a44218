import { LumeoError } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { ErasureCodec, type PartialStripe } from "./erasure-codec.js";
import { CELLS_MAX, type Geometry } from "./geometry.js";

const SIX = { dataCells: 4, parityCells: 2 };

/** All six cells of a stripe with fixed bytes, which differ between cells. */
function stripeOf(codec: ErasureCodec, bytes: number, seed = 1): Uint8Array[] {
  const { dataCells, parityCells } = codec.geometry;
  let state = seed;
  const data = Array.from({ length: dataCells }, () =>
    new Uint8Array(bytes).map(() => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return state >>> 16;
    }),
  );
  const parity = Array.from({ length: parityCells }, () => new Uint8Array(bytes).fill(0xee));
  codec.encode(data, parity);
  return [...data, ...parity];
}

function lose(stripe: readonly Uint8Array[], lost: readonly number[]): PartialStripe {
  return stripe.map((cell, n) => (lost.includes(n) ? undefined : cell));
}

function rebuild(codec: ErasureCodec, stripe: PartialStripe, wanted: readonly number[]) {
  const bytes = stripe.find((cell) => cell !== undefined)?.byteLength ?? 0;
  const rebuilt = new Map(wanted.map((cell) => [cell, new Uint8Array(bytes).fill(0x55)]));
  codec.reconstruct(stripe, rebuilt);
  return rebuilt;
}

const pairs = [0, 1, 2, 3, 4, 5].flatMap((a) =>
  [0, 1, 2, 3, 4, 5].filter((b) => a < b).map((b) => [a, b] as const),
);

test("4+2: every single loss and every double loss is rebuilt", (t) => {
  const codec = new ErasureCodec(SIX);
  const stripe = stripeOf(codec, 1_001);
  const losses = [...stripe.keys()].map((cell) => [cell]);
  t.is(pairs.length, 15);
  for (const lost of [...losses, ...pairs]) {
    const rebuilt = rebuild(codec, lose(stripe, lost), lost);
    for (const cell of lost) t.deepEqual(rebuilt.get(cell), stripe[cell], `lost ${lost}`);
  }
});

test("4+2: one of two lost cells is rebuilt alone, from four cells", (t) => {
  const codec = new ErasureCodec(SIX);
  const stripe = stripeOf(codec, 100);
  for (const lost of pairs) {
    const present = [...stripe.keys()].filter((cell) => !lost.includes(cell as never));
    const sources = codec.sourcesFor(present);
    t.is(sources.length, 4);
    for (const wanted of lost) {
      const partial = stripe.map((cell, n) => (sources.includes(n) ? cell : undefined));
      t.deepEqual(rebuild(codec, partial, [wanted]).get(wanted), stripe[wanted]);
    }
  }
});

test("a range of a lost cell is rebuilt from that range of the others", (t) => {
  const codec = new ErasureCodec(SIX);
  const stripe = stripeOf(codec, 1_000);
  const range = stripe.map((cell) => cell.subarray(333, 444));
  t.deepEqual(rebuild(codec, lose(range, [1, 2]), [2]).get(2), range[2]);
});

test("whatever k + m ≤ 32, length and loss of up to m cells: the lost cells come back", (t) => {
  const geometry: fc.Arbitrary<Geometry> = fc
    .integer({ min: 1, max: CELLS_MAX - 1 })
    .chain((dataCells) =>
      fc.record({
        dataCells: fc.constant(dataCells),
        parityCells: fc.integer({ min: 1, max: CELLS_MAX - dataCells }),
      }),
    );
  const trial = geometry.chain(({ dataCells, parityCells }) =>
    fc.record({
      geometry: fc.constant({ dataCells, parityCells }),
      bytes: fc.nat(70),
      seed: fc.nat(),
      lost: fc.shuffledSubarray([...new Array(dataCells + parityCells).keys()], {
        minLength: 1,
        maxLength: parityCells,
      }),
    }),
  );
  fc.assert(
    fc.property(trial, ({ geometry, bytes, seed, lost }) => {
      const codec = new ErasureCodec(geometry);
      const stripe = stripeOf(codec, bytes, seed);
      const rebuilt = rebuild(codec, lose(stripe, lost), lost);
      for (const cell of lost) t.deepEqual(rebuilt.get(cell), stripe[cell]);
    }),
    { numRuns: 150 },
  );
});

test("sources stay as they are", (t) => {
  const codec = new ErasureCodec(SIX);
  const stripe = stripeOf(codec, 64);
  const before = stripe.map((cell) => cell.slice());
  rebuild(codec, lose(stripe, [0, 5]), [0, 5]);
  t.deepEqual(stripe, before);
});

test("more lost cells than parity cells is UNAVAILABLE and says how many are needed", (t) => {
  const codec = new ErasureCodec(SIX);
  const stripe = lose(stripeOf(codec, 8), [0, 1, 2]);
  const error = t.throws(() => rebuild(codec, stripe, [0]), { instanceOf: LumeoError });
  t.is(error?.code, "UNAVAILABLE");
  t.regex(error?.message ?? "", /3 of 6 cells are present, 4 are needed/);
});

test("wrong arguments are refused before anything is written", (t) => {
  const codec = new ErasureCodec(SIX);
  const cells = (count: number, bytes = 8): Uint8Array[] =>
    Array.from({ length: count }, () => new Uint8Array(bytes).fill(7));
  const shared = new Uint8Array(64);
  const overlapping = [shared.subarray(0, 8), shared.subarray(7, 15)];
  const stripe = lose(stripeOf(codec, 8), [0]);
  const wrong: readonly (readonly [RegExp, () => void])[] = [
    [/has 3 data cells, expected 4/, () => codec.encode(cells(3), cells(2))],
    [/has 1 parity cells, expected 2/, () => codec.encode(cells(4), cells(1))],
    [/cells have 8 and 9 bytes/, () => codec.encode(cells(4), cells(2, 9))],
    [/shares bytes/, () => codec.encode(cells(4), overlapping)],
    [/shares bytes/, () => codec.encode([...cells(3), shared.subarray(0, 8)], overlapping)],
    [/has 5 cells, expected 6/, () => codec.reconstruct(stripe.slice(0, 5), new Map())],
    [/cell 1: it is not lost/, () => rebuild(codec, stripe, [1])],
    [/cell 6: it is not in 0–5/, () => rebuild(codec, stripe, [6])],
    [
      /cells have 8 and 4 bytes/,
      () => codec.reconstruct(stripe, new Map([[0, shared.slice(0, 4)]])),
    ],
    [/cell 2 is named twice/, () => codec.sourcesFor([0, 1, 2, 2])],
    [/cell -1 is not in 0–5/, () => codec.sourcesFor([0, 1, 2, -1])],
    [/Cannot code 0\+2/, () => new ErasureCodec({ dataCells: 0, parityCells: 2 })],
  ];
  for (const [message, call] of wrong) {
    const error = t.throws(call, { instanceOf: LumeoError, message });
    t.is(error?.code, "INVALID_ARGUMENT");
  }
  t.true(shared.every((byte) => byte === 0));
});

test("cells without bytes are coded and rebuilt to cells without bytes", (t) => {
  const codec = new ErasureCodec(SIX);
  t.is(rebuild(codec, lose(stripeOf(codec, 0), [3]), [3]).get(3)?.byteLength, 0);
});
