import assert from "node:assert/strict";
import test from "ava";
import fc from "fast-check";
import { crc32c, crc32cCombine } from "../src/index.js";

const text = (s: string): Uint8Array => new TextEncoder().encode(s);

test("crc32c() gives the check value of RFC 3720 for nine digits", (t) => {
  t.is(crc32c(text("123456789")), 0xe3069283);
});

test("crc32c() goes on from an earlier piece", (t) => {
  t.is(crc32c(text("56789"), crc32c(text("1234"))), crc32c(text("123456789")));
});

test("crc32cCombine() equals the CRC of the joined pieces", (t) => {
  const piece = fc.uint8Array({ maxLength: 300 });
  fc.assert(
    fc.property(piece, piece, (a, b) => {
      const joined = new Uint8Array([...a, ...b]);
      assert.equal(crc32cCombine(crc32c(a), crc32c(b), b.byteLength), crc32c(joined));
    }),
  );
  t.pass();
});
