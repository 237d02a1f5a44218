import { ByteReader, ByteSlab, ByteWriter, utf8Length, writeUtf8 } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";

const text = fc.string({ unit: "binary", maxLength: 80 });
/** Any units of UTF-16, also halves of pairs. */
const units = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 80 });
const broken = units.map((all) => String.fromCharCode(...all));

test("text is written as the host's encoder writes it, and has the length that was told", (t) => {
  fc.assert(
    fc.property(fc.oneof(text, broken, fc.string({ maxLength: 60 })), (given) => {
      const expected = new TextEncoder().encode(given);
      const into = new Uint8Array(3 * given.length + 2);
      t.is(utf8Length(given), expected.byteLength);
      t.is(writeUtf8(given, into, 2), expected.byteLength);
      t.deepEqual(into.subarray(2, 2 + expected.byteLength), expected);
    }),
  );
});

test("a writer gives text with its length in front, also where it has to grow", (t) => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 5 }), (texts) => {
      const writer = new ByteWriter(4);
      for (const one of texts) writer.text(one);
      const reader = new ByteReader(writer.finish());
      for (const one of texts)
        t.is(Buffer.from(reader.sized()).toString(), Buffer.from(one).toString());
      t.is(reader.remaining, 0);
    }),
  );
});

test("arrays cut from a slab share no byte, and stay as they are", (t) => {
  const slab = new ByteSlab();
  const lengths = [0, 1, 63, 64, 65, 5_000, 4_096, 32 * 1024];
  const all = Array.from({ length: 40 }, (_, i) => slab.take(lengths[i % lengths.length] ?? 0));
  t.true(
    all.every((one, i) => one.length === lengths[i % lengths.length] && one.every((b) => b === 0)),
  );
  for (const [i, one] of all.entries()) one.fill(i + 1);
  t.true(all.every((one, i) => one.every((b) => b === i + 1)));
  const writer = new ByteWriter().u8(7);
  const copy = writer.copyTo(slab);
  writer.clear().u8(9);
  t.deepEqual(copy, Uint8Array.of(7));
});
