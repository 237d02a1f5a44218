import assert from "node:assert/strict";
import { crc32c } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { nativeCrc32c } from "./native-crc32c.js";

test("nativeCrc32c() equals the pure version, whole and in two pieces", (t) => {
  const bytes = fc.uint8Array({ maxLength: 5_000 });
  fc.assert(
    fc.property(bytes, fc.nat(5_000), (data, cut) => {
      const expected = crc32c(data);
      assert.equal(nativeCrc32c(data), expected);
      const [head, tail] = [data.subarray(0, cut), data.subarray(cut)];
      assert.equal(nativeCrc32c(tail, nativeCrc32c(head)), expected);
    }),
  );
  t.pass();
});
