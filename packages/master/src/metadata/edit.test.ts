// Edits: a new content made of chunks that the file has and of new ones.

import { type ChunkHandle, crc32c, epoch, wallMs } from "@lumeofs/base";
import test from "ava";
import { MetadataDriver } from "../../test/metadata-driver.js";
import { audit } from "../../test/state-audit.js";
import { reapAll } from "../../test/sweep-driver.js";
import { openTail } from "../../test/tail-driver.js";
import type { EditCommand, Reply, SealedChunk } from "./command.js";
import { offsetOfPosition } from "./growth.js";
import type { FileInode } from "./inode-record.js";
import { fileChunks, releasedChunks, stat } from "./queries.js";

function fileAt(m: MetadataDriver, path: string) {
  const found = stat(m.state, path);
  if (found.kind === "refused" || found.inode.kind !== "file") throw new Error(path);
  return { id: found.id, inode: found.inode as FileInode };
}

function handlesOf(m: MetadataDriver, path: string): readonly ChunkHandle[] {
  const window = { first: 0, countMax: 100_000 };
  return fileChunks(m.state, fileAt(m, path), window).map(({ handle }) => handle);
}

function fresh(m: MetadataDriver, length: number): SealedChunk {
  const [handle] = m.grant(1) as [ChunkHandle];
  const content = { lengthBytes: length, crc32c: crc32c(new Uint8Array(length)) };
  return { handle, epoch: epoch(1), ...content, coding: undefined };
}

function edit(m: MetadataDriver, path: string, more: Partial<EditCommand>): Reply {
  const { revision } = fileAt(m, path).inode;
  const nothing = { keep: 0, replaced: [], appended: [], fence: undefined };
  return m.apply({ kind: "editFile", path, revision, ...nothing, ...more });
}

test("chunks are replaced in the middle, and the others are the same", async (t) => {
  for (const count of [4, 40, 200]) {
    const m = new MetadataDriver();
    m.commit("/f", count);
    const before = handlesOf(m, "/f");
    const chunk = fresh(m, 4);
    t.is(edit(m, "/f", { keep: count, replaced: [{ position: 2, chunk }] }).kind, "inode");
    const expected = before.with(2, chunk.handle);
    t.deepEqual(handlesOf(m, "/f"), expected);
    t.like(fileAt(m, "/f").inode, { sizeBytes: 4 * count, chunkCount: count, isUneven: false });
    await reapAll(m);
    t.deepEqual(await audit(m.state), []);
    t.deepEqual(await releasedChunks(m.state, wallMs(m.now), 1_000), [before[2]]);
  }
});

test("a file is cut and made longer, and offsets of uneven chunks are found", async (t) => {
  const m = new MetadataDriver();
  m.commit("/f", 12);
  const chunk = fresh(m, 3);
  t.is(edit(m, "/f", { keep: 3, replaced: [{ position: 2, chunk }] }).kind, "inode");
  t.like(fileAt(m, "/f").inode, { sizeBytes: 11, chunkCount: 3, isUneven: false });
  const appended = Array.from({ length: 20 }, () => fresh(m, 2));
  t.is(edit(m, "/f", { keep: 3, appended }).kind, "inode");
  const file = fileAt(m, "/f");
  t.like(file.inode, { sizeBytes: 51, chunkCount: 23, isUneven: true });
  t.is(offsetOfPosition(m.state, file, 22), 49);
  t.is(edit(m, "/f", { keep: 0 }).kind, "inode");
  t.like(fileAt(m, "/f").inode, { sizeBytes: 0, chunkCount: 0, crc32c: 0 });
  await reapAll(m);
  t.deepEqual(await audit(m.state), []);
});

test("copies, versions and snapshots keep what was there before an edit", async (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  m.policy("/d", { versions: 2 });
  m.commit("/d/f", 3);
  const before = handlesOf(m, "/d/f");
  m.copy("/d/f", "/copy");
  m.snapshot("/d", "s");
  const chunk = fresh(m, 4);
  t.is(edit(m, "/d/f", { keep: 3, replaced: [{ position: 0, chunk }] }).kind, "inode");
  t.deepEqual(handlesOf(m, "/copy"), before);
  t.deepEqual(await audit(m.state), []);
  m.remove("/d/f");
  t.deepEqual(await audit(m.state), []);
  m.remove("/copy");
  await reapAll(m);
  t.deepEqual(await audit(m.state), []);
});

test("an edit is refused from another revision, of chunks that are not there, and of a growing file", (t) => {
  const m = new MetadataDriver();
  m.commit("/f", 2);
  const code = (reply: Reply): string => (reply.kind === "refused" ? reply.code : reply.kind);
  t.is(code(edit(m, "/f", { keep: 2, revision: 1 })), "PRECONDITION");
  t.is(code(edit(m, "/f", { keep: 3 })), "INVALID_ARGUMENT");
  const chunk = fresh(m, 4);
  t.is(code(edit(m, "/f", { keep: 1, replaced: [{ position: 1, chunk }] })), "INVALID_ARGUMENT");
  openTail(m, "/f");
  t.is(code(edit(m, "/f", { keep: 2 })), "CONFLICT");
});
