// Small files whose bytes come with their commit, through the state machine.

import { type ChunkHandle, GRANT_SLOTS, sessionId, slotOf } from "@lumeofs/base";
import test from "ava";
import { commitOf, inlineOf, MetadataDriver } from "../../test/metadata-driver.js";
import { audit } from "../../test/state-audit.js";
import { sweepHistory } from "../../test/sweep-driver.js";
import { getChunk } from "./chunk-table.js";
import type { Command, Reply } from "./command.js";
import { faultOfInline } from "./inline-chunks.js";
import { getInlineBytes, INLINE_BYTES_MAX, inlineTotals } from "./inline-table.js";
import { inlineKey } from "./keys.js";
import { statAt, versionsPage } from "./past-queries.js";
import { fileChunks, releasedChunks, stat } from "./queries.js";

const bytesOf = (length: number, seed = 1) =>
  Uint8Array.from({ length }, (_, i) => (seed + i * 7) & 0xff);
const BYTES = bytesOf(3_000);

class Driver extends MetadataDriver {
  put(path: string, bytes = BYTES, more: Parameters<typeof inlineOf>[2] = {}): Reply {
    return this.apply(inlineOf(path, bytes, more));
  }

  /** The only chunk of a file. */
  chunk(path: string) {
    const found = stat(this.state, path);
    if (found.kind === "refused" || found.inode.kind !== "file") throw new Error(path);
    const file = { id: found.id, inode: found.inode };
    const chunks = fileChunks(this.state, file, { first: 0, countMax: 9 });
    if (chunks.length !== 1 || chunks[0] === undefined) throw new Error(`${chunks.length}`);
    return { ...chunks[0], inode: found.inode };
  }

  bytes(path: string): Uint8Array | undefined {
    return getInlineBytes(this.state, this.chunk(path).handle);
  }

  async forgetAll(): Promise<void> {
    const handles = await releasedChunks(this.state, this.now as never, 1_000);
    this.apply({ kind: "forgetChunks", handles });
  }
}

function codeOf(reply: Reply): string {
  return reply.kind === "refused" ? reply.code : reply.kind;
}

test("a small file is kept whole, as a chunk of no members under a handle of its own", async (t) => {
  const driver = new Driver();
  const before = driver.grant(1)[0] as ChunkHandle;
  const reply = driver.put("/a");
  t.like(reply, { kind: "file", sizeBytes: 3_000, chunkCount: 1 });
  const { handle, listed, chunk, inode } = driver.chunk("/a");
  t.deepEqual([slotOf(handle), handle > before, listed], [0, true, handle]);
  t.like(chunk, { isInline: true, members: [], lengthBytes: 3_000, crc32c: inode.crc32c });
  t.deepEqual(driver.bytes("/a"), BYTES);
  t.is(faultOfInline(driver.state, handle, chunk), undefined);
  t.deepEqual(inlineTotals(driver.state), { chunks: 1, bytes: 3_000 });
  const [after] = driver.grant(1);
  t.is(after, (handle + GRANT_SLOTS) as ChunkHandle, "nobody is granted its handles");
  t.deepEqual(await audit(driver.state), []);
});

test("its bytes stay as long as anything refers to them, and then for the grace", async (t) => {
  const driver = new Driver();
  driver.makeDirectory("/d");
  driver.policy("/d", { versions: 1, trashMs: 1_000 });
  driver.put("/d/a", bytesOf(10, 1));
  const { handle } = driver.chunk("/d/a");
  driver.copy("/d/a", "/copy");
  driver.snapshot("/d", "s");
  driver.put("/d/a", bytesOf(20, 2));
  const page = await versionsPage(driver.state, { path: "/d/a", before: 0, countMax: 9 });
  t.is(page.kind === "page" ? page.found.length : 0, 1);
  t.deepEqual(driver.bytes("/copy"), bytesOf(10, 1));
  t.is(driver.chunk("/copy").handle, handle);
  const frozen = await statAt(driver.state, { path: "/d/.snapshot/s/a", version: undefined });
  t.like(frozen, { kind: "found", inode: { sizeBytes: 10 } });
  t.deepEqual(inlineTotals(driver.state), { chunks: 2, bytes: 30 });
  driver.remove("/d/a");
  t.deepEqual(inlineTotals(driver.state), { chunks: 2, bytes: 30 });
  driver.apply({ kind: "removeSnapshot", path: "/d", name: "s" });
  driver.remove("/copy");
  t.is(getChunk(driver.state, handle)?.releasedAt, undefined, "an earlier version has it");
  driver.policy("/d", {});
  await sweepHistory(driver);
  t.not(getChunk(driver.state, handle)?.releasedAt, undefined);
  t.deepEqual(getInlineBytes(driver.state, handle), bytesOf(10, 1), "somebody may be reading");
  await driver.forgetAll();
  t.is(getInlineBytes(driver.state, handle), undefined);
  t.deepEqual(inlineTotals(driver.state), { chunks: 1, bytes: 20 }, "in the trash");
  t.deepEqual(await audit(driver.state), []);
});

test("what the leader refuses is INLINE_REFUSED in the log, and nothing is left of it", async (t) => {
  const driver = new Driver();
  const before = driver.state.dump();
  const refused = { kind: "refused", why: "it has 5000 bytes" } as const;
  const reply = driver.put("/a", BYTES, { inline: refused });
  t.like(reply, { kind: "refused", code: "INLINE_REFUSED" });
  t.regex(reply.kind === "refused" ? reply.message : "", /"\/a".*it has 5000 bytes/);
  t.is(driver.state.dump(), before);
});

test("the total of all small files is kept to, exactly", async (t) => {
  const driver = new Driver();
  t.is(codeOf(driver.put("/a", bytesOf(60), { totalBytesMax: 100 })), "file");
  t.is(codeOf(driver.put("/b", bytesOf(41), { totalBytesMax: 100 })), "INLINE_REFUSED");
  t.is(codeOf(driver.put("/b", bytesOf(40), { totalBytesMax: 100 })), "file");
  t.is(codeOf(driver.put("/c", bytesOf(1), { totalBytesMax: 100 })), "INLINE_REFUSED");
  driver.remove("/a");
  t.is(codeOf(driver.put("/c", bytesOf(1), { totalBytesMax: 100 })), "INLINE_REFUSED");
  await driver.forgetAll();
  t.is(codeOf(driver.put("/c", bytesOf(60), { totalBytesMax: 100 })), "file");
  t.deepEqual(await audit(driver.state), []);
});

test("a request that is repeated gets its first answer, whatever is decided by then", (t) => {
  const driver = new Driver();
  const opened = driver.apply({ kind: "openSession" });
  const session = opened.kind === "sessionOpened" ? opened.session : sessionId(1);
  const request = { session, sequence: 1, answeredBelow: 1 };
  const first = driver.apply(inlineOf("/a", BYTES), request);
  t.is(first.kind, "file");
  const refused = { kind: "refused", why: "now off" } as const;
  t.deepEqual(driver.apply(inlineOf("/a", BYTES, { inline: refused }), request), first);
  t.deepEqual(inlineTotals(driver.state), { chunks: 1, bytes: 3_000 });
});

test("a commit says one thing only, and of bytes no more than can be kept", (t) => {
  const driver = new Driver();
  const [handle] = driver.grant(1);
  const kept = inlineOf("/a", BYTES);
  const chunks = commitOf("/a", [handle as ChunkHandle]).chunks;
  t.is(codeOf(driver.apply({ ...kept, chunks } as Command)), "INVALID_ARGUMENT");
  const upload = driver.beginUpload("/a");
  t.is(codeOf(driver.apply({ ...kept, upload } as Command)), "INVALID_ARGUMENT");
  t.is(codeOf(driver.put("/a", bytesOf(0))), "INVALID_ARGUMENT");
  t.is(codeOf(driver.put("/a", bytesOf(INLINE_BYTES_MAX + 1))), "INVALID_ARGUMENT");
  t.is(codeOf(driver.put("/a", BYTES, { chunkSizeBytes: 2_999 })), "INVALID_ARGUMENT");
  t.is(codeOf(driver.put("/a", bytesOf(INLINE_BYTES_MAX))), "file");
});

test("it is never moved and never converted, whoever asks", (t) => {
  const driver = new Driver();
  driver.put("/a");
  const { handle, chunk } = driver.chunk("/a");
  const conversion = { kind: "policy" } as const;
  const made = driver.apply({ kind: "createJob", job: "convert", subject: undefined, conversion });
  const job = made.kind === "jobCreated" ? made.job : (0 as never);
  const [fresh] = driver.grant(1);
  const { epoch, lengthBytes, crc32c } = chunk;
  const sealed = { handle: fresh as ChunkHandle, epoch, lengthBytes, crc32c, coding: undefined };
  const reply = driver.apply({ kind: "replaceChunk", job, handle, chunk: sealed });
  t.is(codeOf(reply), "CONFLICT");
  const move = { handle, job, target: 1 as never, leaving: undefined };
  t.deepEqual(driver.apply({ kind: "beginMoves", moves: [move] }), {
    kind: "movesBegun",
    handles: [],
  });
});

test("bytes that are missing, short or changed are known as such", async (t) => {
  const driver = new Driver();
  driver.put("/a");
  const { handle, chunk } = driver.chunk("/a");
  const record = driver.state.get(inlineKey(handle)) as Uint8Array;
  driver.state.put(inlineKey(handle), record.subarray(0, 100));
  t.regex(faultOfInline(driver.state, handle, chunk) ?? "", /99 bytes of it, expected 3000/);
  const changed = record.slice();
  changed[77] = (changed[77] as number) ^ 1;
  driver.state.put(inlineKey(handle), changed);
  t.regex(faultOfInline(driver.state, handle, chunk) ?? "", /checksum/);
  t.regex((await audit(driver.state)).join(), /inlineBytes .*checksum/);
  const unknown = record.slice();
  unknown[0] = 99;
  driver.state.put(inlineKey(handle), unknown);
  t.regex(faultOfInline(driver.state, handle, chunk) ?? "", /missing/);
  t.is(driver.bytes("/a"), undefined, "another master is asked");
  t.regex((await audit(driver.state)).join(), /inlineBytes .*missing/);
  driver.state.delete(inlineKey(handle));
  t.regex(faultOfInline(driver.state, handle, chunk) ?? "", /missing/);
  t.regex((await audit(driver.state)).join(), /inlineBytes .*missing/);
});
