import { BLOCK_BYTES, crc32c, epoch, serverId } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import {
  type ChunkVersion,
  compareVersions,
  firstVersion,
  isOneHistory,
  nextVersion,
} from "./version.js";
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

/** A version that some row of primaries may have made. */
const history = fc
  .array(fc.tuple(fc.nat(1), fc.integer({ min: 1, max: 3 })), { minLength: 1, maxLength: 4 })
  .map((steps) => {
    let version: ChunkVersion | undefined;
    for (const [rise, author] of steps) {
      const next = epoch((version?.epoch ?? 1) + rise);
      version =
        version === undefined
          ? firstVersion(next, serverId(author))
          : nextVersion(version, next, serverId(author));
    }
    return version as ChunkVersion;
  });

test("admit() of a copy never replaces what is newer, intact, or of another history", (t) => {
  const chunk = fc.record({ version: history, isDamaged: fc.boolean(), crc32c: fc.nat(1) });
  fc.assert(
    fc.property(chunk, history, fc.nat(1), (held, version, crc32c) => {
      const here = existing(held);
      const content = { length: 10, crc32c };
      const admission = admit(here, { version }, content);
      const order = compareVersions(version, here.version);
      if (!isOneHistory(version, here.version)) {
        t.like(admission, { kind: "refused", code: "CONFLICT" });
      } else if (order < 0) t.like(admission, { kind: "refused", code: "STALE_EPOCH" });
      else if (0 < order) t.deepEqual(admission, { kind: "record", version });
      else if (crc32c !== here.crc32c) t.like(admission, { kind: "refused", code: "CONFLICT" });
      else t.is(admission.kind, here.isDamaged ? "record" : "repeated");
      if (admission.kind === "record") {
        t.true(isOneHistory(admission.version, here.version), "as the catalog demands");
      }
    }),
  );
  const version = firstVersion(epoch(2), serverId(3));
  t.deepEqual(admit(undefined, { version }, CONTENT), { kind: "record", version });
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
