import { chunkHandle, crc32c, epoch, LumeoError, type ServerId, serverId } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { blockCount, coveringBlocks, crcsOfRange } from "./block-layout.js";
import {
  type ChunkEntry,
  decodeEntry,
  decodeRecord,
  encodeChunkRecord,
  encodeEntry,
  encodeTombstone,
} from "./record.js";

const id = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const entries: fc.Arbitrary<ChunkEntry> = fc.record({
  handle: id.map(chunkHandle),
  version: fc.record({
    epoch: id.map(epoch),
    seq: id,
    clock: fc.array(fc.tuple(id.map(serverId), id), { maxLength: 5 }).map((all) => {
      return new Map<ServerId, number>(all);
    }),
  }),
  length: fc.nat(300_000),
  crc32c: fc.integer({ min: 0, max: 0xffffffff }),
  home: fc.oneof(
    fc.constant({ kind: "log" as const }),
    id.map((fileId) => ({ kind: "file" as const, fileId })),
  ),
  place: fc.record({ segment: id, position: id, bodyBytes: fc.nat(2 ** 20) }),
  isDamaged: fc.boolean(),
});

test("index entries come back as they were, and any flipped bit is CORRUPT", (t) => {
  fc.assert(
    fc.property(entries, fc.nat(), (entry, flip) => {
      const bytes = encodeEntry(entry, crc32c);
      t.deepEqual(decodeEntry(entry.handle, bytes, crc32c), entry);
      const at = flip % (8 * bytes.byteLength);
      bytes[at >> 3] = (bytes[at >> 3] ?? 0) ^ (1 << (at & 7));
      t.throws(() => decodeEntry(entry.handle, bytes, crc32c), { code: "CORRUPT" });
    }),
  );
});

test("records come back as they were, with the place of the data", (t) => {
  fc.assert(
    fc.property(entries, ({ place: _, isDamaged: __, ...facts }) => {
      const crcs = new Uint8Array(4 * blockCount(facts.length)).fill(5);
      const head = encodeChunkRecord(facts, crcs);
      const data = new Uint8Array(facts.home.kind === "log" ? facts.length : 0);
      const found = decodeRecord(Buffer.concat([head, data]));
      t.like(found, { kind: "chunk", dataAt: head.byteLength });
      if (found.kind === "chunk") {
        t.deepEqual(found.version, facts.version);
        t.deepEqual([...found.crcs], [...crcs]);
      }
    }),
  );
  const tombstone = decodeRecord(encodeTombstone(chunkHandle(9), epoch(2)));
  t.deepEqual(tombstone, { kind: "tombstone", handle: chunkHandle(9), epoch: epoch(2) });
});

test("decodeRecord() answers any bytes with a record or CORRUPT", (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      try {
        decodeRecord(bytes);
      } catch (error) {
        t.true(error instanceof LumeoError && error.code === "CORRUPT", String(error));
      }
    }),
  );
  t.pass();
});

test("coveringBlocks() gives whole blocks that hold the range and nothing more", (t) => {
  const B = 65_536;
  t.deepEqual(coveringBlocks(0, 1, 10), { start: 0, end: 10 });
  t.deepEqual(coveringBlocks(B - 1, 2, 3 * B), { start: 0, end: 2 * B });
  t.deepEqual(coveringBlocks(B, B, 3 * B), { start: B, end: 2 * B });
  t.deepEqual(coveringBlocks(2 * B + 5, 99 * B, 2 * B + 9), { start: 2 * B, end: 2 * B + 9 });
  t.deepEqual(coveringBlocks(5, 0, 10), { start: 0, end: 0 });
  t.deepEqual(coveringBlocks(50, 10, 10), { start: 0, end: 0 });
  const crcs = Uint8Array.from({ length: 12 }, (_, i) => i);
  t.deepEqual([...crcsOfRange(crcs, { start: B, end: 2 * B + 9 })], [4, 5, 6, 7, 8, 9, 10, 11]);
});
