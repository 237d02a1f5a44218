import { BLOCK_BYTES, crc32c, epoch, serverId } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { firstVersion } from "./version.js";
import { admit, type ExistingChunk, WriteSession } from "./write-session.js";

const ASKED = { epoch: epoch(5), author: serverId(1) };
const CONTENT = { length: 10, crc32c: 99 };

function existing(change: Partial<ExistingChunk> = {}): ExistingChunk {
  return { version: firstVersion(epoch(5), serverId(1)), isDamaged: false, ...CONTENT, ...change };
}

test("admit() records a fresh chunk, and answers the same content as done", (t) => {
  t.like(admit(undefined, ASKED, CONTENT), { kind: "record", version: { epoch: 5, seq: 1 } });
  t.deepEqual(admit(existing(), ASKED, CONTENT), { kind: "repeated" });
});

test("admit() refuses other content under the same epoch, and any lower epoch", (t) => {
  const other = { length: 10, crc32c: 98 };
  t.like(admit(existing(), ASKED, other), { kind: "refused", code: "CONFLICT" });
  t.like(admit(existing(), { ...ASKED, epoch: epoch(4) }, CONTENT), {
    kind: "refused",
    code: "STALE_EPOCH",
  });
});

test("admit() lets a higher epoch replace, with the next seq", (t) => {
  t.like(admit(existing(), { ...ASKED, epoch: epoch(6) }, { length: 3, crc32c: 1 }), {
    kind: "record",
    version: { epoch: 6, seq: 2 },
  });
});

test("admit() records the right content again over a damaged copy, but no other", (t) => {
  const damaged = existing({ isDamaged: true });
  t.deepEqual(admit(damaged, ASKED, CONTENT), { kind: "record", version: damaged.version });
  t.like(admit(damaged, ASKED, { length: 11, crc32c: 99 }), { kind: "refused", code: "CONFLICT" });
});

test("WriteSession accepts bytes without gaps and knows their checksum", (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }),
      fc.nat(99),
      (blocks, rest) => {
        const session = new WriteSession(64 * BLOCK_BYTES);
        const lengths = [...blocks.map((n) => n * BLOCK_BYTES), ...(rest === 0 ? [] : [rest])];
        const all: Uint8Array[] = [];
        for (const [i, length] of lengths.entries()) {
          const bytes = new Uint8Array(length).fill(i + 1);
          const part = {
            offset: session.length,
            length,
            crc32c: crc32c(bytes),
            crcs: Uint8Array.of(i),
          };
          t.is(session.accept(part).kind, "accepted");
          all.push(bytes);
        }
        const whole = Buffer.concat(all);
        t.is(session.crc32c, crc32c(whole));
        t.is(session.close({ length: whole.length, crc32c: crc32c(whole) }).kind, "accepted");
        t.deepEqual(
          [...session.blockCrcs()],
          lengths.map((_, i) => i),
        );
      },
    ),
    { numRuns: 30 },
  );
});

test("WriteSession refuses gaps, overlaps, data behind a short block, and too much", (t) => {
  const part = (offset: number, length: number) => {
    return { offset, length, crc32c: 0, crcs: new Uint8Array() };
  };
  const session = new WriteSession(3 * BLOCK_BYTES);
  t.is(session.accept(part(BLOCK_BYTES, BLOCK_BYTES)).kind, "refused");
  t.is(session.accept(part(0, 0)).kind, "refused");
  t.is(session.accept(part(0, 4 * BLOCK_BYTES)).kind, "refused");
  t.is(session.accept(part(0, BLOCK_BYTES)).kind, "accepted");
  t.is(session.accept(part(0, BLOCK_BYTES)).kind, "refused");
  t.is(session.accept(part(BLOCK_BYTES, 10)).kind, "accepted");
  t.is(session.accept(part(BLOCK_BYTES + 10, BLOCK_BYTES)).kind, "refused");
  t.is(session.close({ length: BLOCK_BYTES, crc32c: 0 }).kind, "refused");
  t.is(session.close({ length: BLOCK_BYTES + 10, crc32c: 1 }).kind, "refused");
});
