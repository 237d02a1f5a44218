import { type ChunkHandle, chunkHandle, epoch, MiB, serverId, sessionId } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import test from "ava";
import { type AppendRecord, recordBehind } from "../replication/append-record.js";
import { History } from "../replication/history.js";
import type { ChunkContent, LargeWrite } from "../store/chunk-store.js";
import { PartPool } from "./part-pool.js";
import { type GrownChunk, SealedCopy } from "./sealed-copy.js";

const HANDLE: ChunkHandle = chunkHandle(64);
const RECORD_BYTES = 300_000;

/** A growing chunk whose records are all durable, and the file that is made of it. */
function growing() {
  let history = History.empty();
  let commitSeq = 0;
  const bytesOf = new Map<AppendRecord, Uint8Array>();
  const written: Uint8Array[] = [];
  const found = { reads: 0, content: undefined as ChunkContent | undefined };
  const disk = { free: Promise.resolve() };
  const write: LargeWrite = {
    write: async (pieces) => {
      written.push(...pieces.map((piece) => new Uint8Array(piece)));
      await disk.free;
    },
    finish: async (content) => {
      found.content = content;
    },
    abort: async () => undefined,
  };
  const replica: GrownChunk = {
    handle: HANDLE,
    get state() {
      return { promised: epoch(1), history, commitSeq, damagedIn: 0 as const };
    },
    isDurable: () => true,
    read: async (record) => {
      found.reads++;
      if (history.at(record.seq) !== record) throw new Error("it has left the history");
      return bytesOf.get(record) ?? new Uint8Array();
    },
  };
  const copy = new SealedCopy(replica, {
    store: { beginLarge: async () => write },
    crc32c: nativeCrc32c,
    parts: new PartPool(),
  });
  const add = (content: AppendRecord["content"], bytes?: Uint8Array): AppendRecord => {
    const author = serverId(1);
    const record = recordBehind(
      { seq: history.lastSeq, clock: history.clock },
      { epoch: epoch(1), author },
      content,
    );
    history = history.append(record);
    if (bytes !== undefined) bytesOf.set(record, bytes);
    return record;
  };
  return {
    copy,
    disk,
    found,
    written: () => Buffer.concat(written),
    bytes: (record: AppendRecord) => bytesOf.get(record),
    /** One more record, filled with a number. */
    grow: (fill: number): AppendRecord => {
      const bytes = new Uint8Array(RECORD_BYTES).fill(fill);
      const write = { client: sessionId(1), writeSeq: history.lastSeq + 1 };
      const sum = nativeCrc32c(bytes);
      return add({ kind: "data", write, lengthBytes: RECORD_BYTES, crc32c: sum }, bytes);
    },
    seal: () => {
      const { lengthBytes, crc32c } = history;
      return add({ kind: "seal", lengthBytes, crc32c });
    },
    commit: (seq: number) => {
      commitSeq = seq;
    },
    /** What follows is replaced. */
    cut: (seq: number) => {
      history = history.upTo(seq);
      copy.cut(history);
    },
  };
}

test("records that are taken as they come need not be read, and make the sealed chunk", async (t) => {
  const { copy, grow, bytes, commit, seal, found, written } = growing();
  for (let i = 1; i <= 20; i++) {
    const record = grow(i);
    copy.take(record, bytes(record));
    if (i === 3) await copy.open(epoch(1));
    commit(i - 1);
    copy.pass();
  }
  const end = seal();
  await copy.finish(end);
  t.is(found.reads, 1); // the seal itself, which has no bytes
  t.is(found.content?.length, 20 * RECORD_BYTES);
  t.is(nativeCrc32c(written()), end.content.kind === "seal" ? end.content.crc32c : 0);
});

test("what is not committed is not given to the disk, and may be replaced", async (t) => {
  const { copy, grow, bytes, commit, cut, seal, written } = growing();
  const take = (fill: number): void => {
    const record = grow(fill);
    copy.take(record, bytes(record));
  };
  for (let i = 1; i <= 8; i++) take(i);
  await copy.open(epoch(1));
  commit(4);
  copy.pass();
  t.is(written().byteLength, MiB);
  cut(4);
  for (let i = 0; i < 6; i++) take(100 + i);
  const end = seal();
  await copy.finish(end);
  t.is(written().byteLength, 10 * RECORD_BYTES);
  t.is(written()[4 * RECORD_BYTES], 100);
  t.is(nativeCrc32c(written()), end.content.kind === "seal" ? end.content.crc32c : 0);
});

test("a copy that has found no room reads what it lacks, and goes on from memory", async (t) => {
  const { copy, grow, bytes, commit, seal, found, written } = growing();
  for (let i = 1; i <= 60; i++) {
    const record = grow(i);
    copy.take(record, bytes(record)); // nothing is committed: the parts are full after 8 MiB
  }
  t.true(copy.bytes <= 8 * MiB);
  commit(60);
  await copy.open(epoch(1));
  await copy.extend();
  t.is(copy.bytes, 60 * RECORD_BYTES);
  const { reads } = found;
  const next = grow(61);
  copy.take(next, bytes(next));
  t.is(copy.bytes, 61 * RECORD_BYTES);
  const end = seal();
  await copy.finish(end);
  t.is(found.reads, reads + 1);
  t.is(nativeCrc32c(written()), end.content.kind === "seal" ? end.content.crc32c : 0);
});

test("what leaves the history while the disk is waited for is not read", async (t) => {
  const { copy, disk, grow, commit, cut } = growing();
  await copy.open(epoch(1));
  for (let i = 1; i <= 60; i++) grow(i);
  commit(40);
  let go = (): void => undefined;
  disk.free = new Promise((resolve) => {
    go = resolve;
  });
  const extending = copy.extend();
  for (let i = 0; i < 100; i++) await Promise.resolve();
  t.true(copy.bytes < 40 * RECORD_BYTES, "it waits for the disk");
  cut(Math.floor(copy.bytes / RECORD_BYTES));
  go();
  await extending;
  t.pass();
});
