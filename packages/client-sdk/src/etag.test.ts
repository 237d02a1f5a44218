import { LumeoError } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { formatEtag, revisionOf } from "./etag.js";

test("an etag names its revision, quoted or not", (t) => {
  const revision = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
  const crc32c = fc.integer({ min: 0, max: 0xffffffff });
  fc.assert(
    fc.property(revision, crc32c, (n, crc) => {
      t.is(revisionOf(formatEtag(n, crc)), n);
      t.is(revisionOf(`"${formatEtag(n, crc)}"`), n);
    }),
  );
  t.is(formatEtag(47, 0x8a9136), "2f-008a9136");
});

test("what is no etag is refused", (t) => {
  for (const text of ["", "*", "2f", "0-00000000", "2f-123", "zz-00000000", "2f-000000000"]) {
    t.throws(() => revisionOf(text), { instanceOf: LumeoError, code: "INVALID_ARGUMENT" });
  }
});
