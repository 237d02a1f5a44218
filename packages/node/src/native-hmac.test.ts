import { createHmac } from "node:crypto";
import test from "ava";
import fc from "fast-check";
import { nativeHmacSha256 } from "./native-hmac.js";

function hex(key: Uint8Array, message: Uint8Array): string {
  return Buffer.from(nativeHmacSha256(key, message)).toString("hex");
}

test("nativeHmacSha256 gives the codes of RFC 4231", (t) => {
  t.is(
    hex(new Uint8Array(20).fill(0x0b), Buffer.from("Hi There")),
    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
  );
  t.is(
    hex(Buffer.from("Jefe"), Buffer.from("what do ya want for nothing?")),
    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
  );
});

test("nativeHmacSha256 agrees with Node's Hmac for every key and message", (t) => {
  const bytes = fc.uint8Array({ maxLength: 400 });
  fc.assert(
    fc.property(bytes, bytes, bytes, (key, message, other) => {
      const expected = createHmac("sha256", key).update(message).digest("hex");
      t.is(hex(key, message), expected);
      hex(key, other);
      t.is(hex(key, message), expected, "again, after another message");
    }),
    { numRuns: 200 },
  );
});
