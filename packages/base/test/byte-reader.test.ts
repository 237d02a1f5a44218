import { ByteReader, ByteWriter, LumeoError } from "@lumeofs/base";
import test from "ava";

test("numbers of every size survive their bytes, whatever else is written around them", (t) => {
  const bytes = [0, 1, 127, 128, 255];
  const words = [0, 1, 0x7fff, 0x8000, 0xffff];
  const doubles = [0, 1, 0x7fffffff, 0x80000000, 0xdeadbeef, 0xffffffff];
  const safe = [0, 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52 + 12345, 2 ** 53 - 1];
  const writer = new ByteWriter(1);
  for (const n of bytes) writer.u8(n);
  for (const n of words) writer.u16(n);
  for (const n of doubles) writer.u32(n);
  for (const n of safe) writer.u53(n);
  const reader = new ByteReader(writer.finish());
  t.deepEqual(
    bytes.map(() => reader.u8()),
    bytes,
  );
  t.deepEqual(
    words.map(() => reader.u16()),
    words,
  );
  t.deepEqual(
    doubles.map(() => reader.u32()),
    doubles,
  );
  t.deepEqual(
    safe.map(() => reader.u53()),
    safe,
  );
  t.is(reader.remaining, 0);
});

test("the bytes are little-endian, and the reader sees its own part of a larger buffer", (t) => {
  const written = new ByteWriter().u16(0x0102).u32(0x03040506).u53(0x0708090a0b0c).finish();
  t.deepEqual([...written], [2, 1, 6, 5, 4, 3, 12, 11, 10, 9, 8, 7, 0, 0]);
  const inside = new ByteReader(Uint8Array.of(9, 9, 2, 1, 9).subarray(2, 4));
  t.is(inside.u16(), 0x0102);
  t.is(inside.remaining, 0);
});

test("reading past the end, or a number above 2^53, is CORRUPT", (t) => {
  const corrupt = (read: () => unknown) => {
    const error = t.throws(read, { instanceOf: LumeoError });
    t.is(error?.code, "CORRUPT");
  };
  corrupt(() => new ByteReader(Uint8Array.of(1, 2, 3)).u32());
  corrupt(() => new ByteReader(new Uint8Array(8).fill(255)).u53());
  corrupt(() => new ByteReader(Uint8Array.of(255, 255, 255, 255, 1)).sized());
});

test("a cleared writer begins anew", (t) => {
  const writer = new ByteWriter().u32(7);
  t.deepEqual([...writer.clear().u8(1).finish()], [1]);
  t.is(writer.length, 1);
});
