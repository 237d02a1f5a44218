// Tails and contents that grow: what each command promises, and what others do to a file with one.

import { type ChunkHandle, crc32c, epoch, wallMs } from "@lumeofs/base";
import test from "ava";
import { MetadataDriver } from "../../test/metadata-driver.js";
import { audit } from "../../test/state-audit.js";
import { reapAll } from "../../test/sweep-driver.js";
import { append, openTail, openTailOf, sealTail, servers } from "../../test/tail-driver.js";
import { getChunk } from "./chunk-table.js";
import type { Reply } from "./command.js";
import { offsetOfPosition, placeOfOffset } from "./growth.js";
import type { FileInode } from "./inode-record.js";
import { statAt } from "./past-queries.js";
import { fileChunks, releasedChunks, stat } from "./queries.js";
import { getTail } from "./tail-table.js";

function bytes(count: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => (i * 31 + seed) & 0xff);
}

function fileAt(m: MetadataDriver, path: string): { id: never; inode: FileInode } {
  const found = stat(m.state, path);
  if (found.kind === "refused" || found.inode.kind !== "file") throw new Error(path);
  return { id: found.id as never, inode: found.inode };
}

function chunksOf(m: MetadataDriver, path: string): readonly ChunkHandle[] {
  const window = { first: 0, countMax: 100_000 };
  return fileChunks(m.state, fileAt(m, path), window).map(({ handle }) => handle);
}

function code(reply: Reply): string {
  return reply.kind === "refused" ? reply.code : reply.kind;
}

function usageAt(m: MetadataDriver, path: string): number {
  const found = stat(m.state, path);
  if (found.kind === "refused" || found.inode.kind !== "directory") throw new Error(path);
  return found.inode.usage.sizeBytes;
}

test("the first append makes a file, later ones find its tail, and the seal makes it longer", async (t) => {
  const m = new MetadataDriver();
  t.is(code(m.apply(openTailOf("/log", { create: false }))), "NOT_FOUND");
  const handle = openTail(m, "/log");
  t.is(openTail(m, "/log"), handle);
  t.like(fileAt(m, "/log").inode, { sizeBytes: 0, chunkCount: 0, tail: handle });
  t.deepEqual(await audit(m.state), []);
  t.is(code(sealTail(m, handle, bytes(10))), "done");
  const { inode } = fileAt(m, "/log");
  t.like(inode, { sizeBytes: 10, chunkCount: 1, tail: undefined, crc32c: crc32c(bytes(10)) });
  t.is(inode.revision, m.index);
  t.is(usageAt(m, "/"), 10);
  t.like(getChunk(m.state, handle), { lengthBytes: 10, members: servers(1, 2, 3) });
  t.deepEqual(await audit(m.state), []);
  const next = append(m, "/log", bytes(7, 2));
  t.deepEqual(chunksOf(m, "/log"), [handle, next]);
  t.is(fileAt(m, "/log").inode.crc32c, crc32c(bytes(7, 2), crc32c(bytes(10))));
  t.deepEqual(await audit(m.state), []);
});

test("a seal is repeated without harm, and refused with another content or under another epoch", (t) => {
  const m = new MetadataDriver();
  const handle = openTail(m, "/log");
  t.is(code(sealTail(m, handle, bytes(10), epoch(2))), "STALE_EPOCH");
  t.is(code(sealTail(m, handle, bytes(10))), "done");
  t.is(code(sealTail(m, handle, bytes(10))), "done");
  t.is(code(sealTail(m, handle, bytes(11))), "CONFLICT");
  t.is(fileAt(m, "/log").inode.chunkCount, 1);
});

test("epochs are granted one after the other, and only the newest becomes active", (t) => {
  const m = new MetadataDriver();
  const handle = openTail(m, "/log");
  const grant = { kind: "grantTailEpoch", handle, members: servers(2, 3, 4) } as const;
  const [, two] = servers(1, 2) as [never, never];
  const first = { ...grant, expectedNewest: epoch(1), primary: two };
  t.is(code(m.apply(first)), "done");
  t.is(code(m.apply(first)), "STALE_EPOCH");
  t.is(code(sealTail(m, handle, bytes(10))), "STALE_EPOCH");
  t.is(code(m.apply({ kind: "activateTailEpoch", handle, epoch: epoch(1) })), "STALE_EPOCH");
  t.is(code(m.apply({ kind: "activateTailEpoch", handle, epoch: epoch(2) })), "done");
  t.like(getTail(m.state, handle)?.authority.lastActive, { members: servers(2, 3, 4) });
  t.is(code(sealTail(m, handle, bytes(10))), "done");
  t.like(getChunk(m.state, handle), { epoch: 2, members: servers(2, 3, 4) });
  t.is(code(m.apply(first)), "NOT_FOUND");
});

test("what survivors have can be made all there is of a tail, or the tail be dropped", async (t) => {
  const m = new MetadataDriver();
  const handle = openTail(m, "/log");
  const salvage = { kind: "salvageTail", handle, expectedNewest: epoch(1) } as const;
  const members = servers(1, 4, 5);
  t.is(code(m.apply({ ...salvage, survivors: servers(4), members })), "INVALID_ARGUMENT");
  const wish = { ...salvage, survivors: servers(1), members };
  t.is(code(m.apply(wish)), "done");
  t.is(code(m.apply(wish)), "STALE_EPOCH");
  t.like(getTail(m.state, handle)?.authority, {
    newest: { epoch: 2, primary: 1, members, previous: { epoch: 1, members: servers(1) } },
    lastActive: { epoch: 1, members: servers(1) },
  });
  t.is(code(m.apply({ kind: "activateTailEpoch", handle, epoch: epoch(2) })), "done");
  t.is(code(sealTail(m, handle, bytes(10))), "done");
  t.like(getChunk(m.state, handle), { epoch: 2, members });
  const next = openTail(m, "/log");
  const nobody = { ...salvage, handle: next, survivors: [], members: [] };
  t.is(code(m.apply(nobody)), "done");
  t.like(fileAt(m, "/log").inode, { sizeBytes: 10, chunkCount: 1, tail: undefined });
  t.is(getTail(m.state, next), undefined);
  t.deepEqual(await audit(m.state), []);
});

test("an empty tail leaves no chunk", async (t) => {
  const m = new MetadataDriver();
  const handle = openTail(m, "/log");
  t.is(code(sealTail(m, handle, bytes(0))), "done");
  t.like(fileAt(m, "/log").inode, { sizeBytes: 0, chunkCount: 0, tail: undefined });
  t.is(getChunk(m.state, handle), undefined);
  t.deepEqual(await audit(m.state), []);
});

test("the chunk of any offset is found, however the lengths of chunks differ", async (t) => {
  const m = new MetadataDriver();
  m.commit("/f", 2);
  const lengths = [4, 4, ...Array.from({ length: 600 }, (_, i) => 1 + ((i * 7) % 5))];
  for (const length of lengths.slice(2)) append(m, "/f", bytes(length));
  const file = fileAt(m, "/f");
  t.is(file.inode.chunkCount, lengths.length);
  t.true(file.inode.isUneven);
  let offset = 0;
  for (const [position, length] of lengths.entries()) {
    t.is(offsetOfPosition(m.state, file, position), offset);
    t.deepEqual(placeOfOffset(m.state, file, offset), { position, offset });
    t.deepEqual(placeOfOffset(m.state, file, offset + length - 1), { position, offset });
    offset += length;
  }
  t.is(file.inode.sizeBytes, offset);
  t.deepEqual(placeOfOffset(m.state, file, offset), { position: lengths.length, offset });
  t.deepEqual(await audit(m.state), []);
  m.remove("/f");
  await reapAll(m);
  t.is((await releasedChunks(m.state, wallMs(m.now), 10_000)).length, lengths.length);
});

test("a copy and its source grow apart, and share what they had", async (t) => {
  const m = new MetadataDriver();
  for (const count of [3, 200]) {
    const [a, b] = [`/a${count}`, `/b${count}`];
    m.commit(a, count);
    const shared = chunksOf(m, a);
    m.copy(a, b);
    const ofA = append(m, a, bytes(3));
    const ofB = append(m, b, bytes(5));
    t.deepEqual(chunksOf(m, a), [...shared, ofA]);
    t.deepEqual(chunksOf(m, b), [...shared, ofB]);
    t.deepEqual(await audit(m.state), []);
    m.remove(a);
    await reapAll(m);
    t.deepEqual(await audit(m.state), []);
    t.deepEqual(chunksOf(m, b), [...shared, ofB]);
    m.remove(b);
    await reapAll(m);
    t.deepEqual(await audit(m.state), []);
  }
});

test("a snapshot shows a file as it was before what was appended later", async (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  append(m, "/d/log", bytes(10));
  m.snapshot("/d", "s");
  append(m, "/d/log", bytes(5));
  const past = await statAt(m.state, { path: "/d/.snapshot/s/log", version: undefined });
  t.like(past, { inode: { sizeBytes: 10, tail: undefined } });
  t.is(fileAt(m, "/d/log").inode.sizeBytes, 15);
  t.is(usageAt(m, "/d"), 15);
  t.deepEqual(await audit(m.state), []);
});

test("a tail goes with its file wherever it goes, and ends with it", async (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  const moved = openTail(m, "/d/log");
  m.rename("/d/log", "/d/old");
  t.is(getTail(m.state, moved)?.place.name, "old");
  m.rename("/d", "/e");
  m.setMetadata("/e/old", { k: "v" });
  m.snapshot("/e", "s");
  m.setMetadata("/e/old", { k: "w" });
  t.deepEqual(await audit(m.state), []);
  t.is(code(sealTail(m, moved, bytes(9))), "done");
  t.like(fileAt(m, "/e/old").inode, { sizeBytes: 9, metadata: { k: "w" } });
  for (const end of ["remove", "replace", "rename", "trash", "reap"] as const) {
    const path = `/${end}/f`;
    m.makeDirectory(`/${end}`);
    if (end === "trash") m.policy(`/${end}`, { trashMs: 1_000 });
    const handle = openTail(m, path);
    if (end === "replace") m.commit(path);
    else if (end === "rename") {
      m.commit("/other");
      m.rename("/other", path, true);
    } else if (end === "reap") m.remove(`/${end}`, true);
    else m.remove(path);
    if (end === "reap") await reapAll(m);
    t.is(getTail(m.state, handle), undefined, end);
    t.is(code(sealTail(m, handle, bytes(9))), "NOT_FOUND", end);
    t.true((await releasedChunks(m.state, wallMs(m.now), 100)).includes(handle), end);
    t.deepEqual(await audit(m.state), [], end);
  }
});

test("a quota that is full refuses a tail, and a seal of what was acknowledged is never refused", async (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  m.apply({ kind: "setQuota", path: "/d", quota: { sizeBytes: 8, files: undefined } });
  const handle = openTail(m, "/d/log");
  t.is(code(sealTail(m, handle, bytes(20))), "done");
  t.is(usageAt(m, "/d"), 20);
  t.is(code(m.apply(openTailOf("/d/log"))), "QUOTA");
  t.is(code(m.apply(openTailOf("/d/other"))), "QUOTA");
  t.deepEqual(await audit(m.state), []);
});
