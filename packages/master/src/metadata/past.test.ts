// Copies, trash, versions and snapshots, one promise at a time. What they do together, in any
// order, is in test/namespace-model.test.ts.

import { type ChunkHandle, wallMs } from "@lumeofs/base";
import test from "ava";
import {
  commitOf,
  MetadataDriver,
  removalOf,
  sealed,
  wholeCrc,
} from "../../test/metadata-driver.js";
import { expireTrash, reapAll, sweepHistory } from "../../test/sweep-driver.js";
import { getChunk } from "./chunk-table.js";
import type { Reply } from "./command.js";
import { listAt, snapshotsPage, statAt, trashPage, versionsPage } from "./past-queries.js";
import { fileChunks, orphans, releasedChunks, stat } from "./queries.js";

function code(reply: Reply): string {
  return reply.kind === "refused" ? reply.code : reply.kind;
}

function revision(reply: Reply): number {
  if (reply.kind !== "file") throw new Error(reply.kind);
  return reply.revision;
}

async function released(m: MetadataDriver): Promise<readonly ChunkHandle[]> {
  return releasedChunks(m.state, wallMs(m.now), 1_000);
}

async function names(m: MetadataDriver, path: string): Promise<readonly string[]> {
  const page = await listAt(m.state, { path, after: "", countMax: 100 });
  if (page.kind === "refused") return [page.code];
  return page.entries.map((entry) => entry.path.slice(entry.path.lastIndexOf("/") + 1));
}

async function chunksAt(m: MetadataDriver, path: string): Promise<readonly ChunkHandle[]> {
  const found = await statAt(m.state, { path, version: undefined });
  if (found.kind === "refused" || found.inode.kind !== "file") throw new Error(path);
  const file = { id: found.id, inode: found.inode };
  const chunks = fileChunks(m.state, file, { first: 0, countMax: 1_000 });
  return chunks.map(({ handle }) => handle);
}

test("a copy has the content and attributes of its source, and no chunk of its own", async (t) => {
  const m = new MetadataDriver();
  const handles = m.grant(2);
  m.apply(commitOf("/a", handles, { contentType: "text/plain", tags: { t: "1" } }));
  const reply = m.copy("/a", "/b");
  t.like(reply, { kind: "inode", node: { revision: m.index, contentType: "text/plain" } });
  t.deepEqual(await chunksAt(m, "/b"), handles);
  m.remove("/a");
  t.deepEqual(await released(m), []);
  t.deepEqual(await chunksAt(m, "/b"), handles);
  m.remove("/b");
  t.deepEqual(await released(m), handles);
});

test("a copy of a long file shares its pages, which are freed with the last of them", async (t) => {
  const m = new MetadataDriver();
  const upload = m.beginUpload("/a");
  const all = m.grants(600);
  for (let first = 0; first < 600; first += 200) {
    const chunks = all.slice(first, first + 200).map(sealed);
    m.apply({ kind: "addChunks", upload, first, chunks });
  }
  m.apply(commitOf("/a", [], { upload, crc32c: wholeCrc(600) }));
  const handles = await chunksAt(m, "/a");
  m.copy("/a", "/b");
  m.copy("/b", "/c");
  m.remove("/a");
  m.remove("/c");
  t.deepEqual(await orphans(m.state, 1), []);
  t.deepEqual(await chunksAt(m, "/b"), handles);
  m.remove("/b");
  await reapAll(m);
  t.is((await released(m)).length, 600);
});

test("a copy is refused onto itself, onto a file unless it may, and of a directory", (t) => {
  const m = new MetadataDriver();
  m.commit("/a");
  m.commit("/b");
  m.makeDirectory("/d");
  t.is(code(m.copy("/a", "/a", { overwrite: true })), "INVALID_ARGUMENT");
  t.is(code(m.copy("/a", "/b")), "EXISTS");
  t.is(code(m.copy("/a", "/b", { overwrite: true })), "inode");
  t.is(code(m.copy("/d", "/x")), "IS_DIRECTORY");
  t.is(code(m.copy("/a", "/d", { overwrite: true })), "IS_DIRECTORY");
  t.is(code(m.copy("/a", "/x/y")), "NOT_FOUND");
  t.is(code(m.copy("/a", "/x/y", { makeParents: true })), "inode");
  t.is(code(m.copy("/a", "/z", { sourceInode: 99 as never })), "CONFLICT");
});

test("rename replaces an empty directory by a directory, and no full one", (t) => {
  const m = new MetadataDriver();
  for (const path of ["/a", "/a/x", "/b", "/c", "/c/y"]) m.makeDirectory(path);
  t.is(code(m.rename("/a", "/b")), "EXISTS");
  t.is(code(m.rename("/a", "/c", true)), "NOT_EMPTY");
  t.is(code(m.rename("/c/y", "/c", true)), "NOT_EMPTY");
  t.is(code(m.rename("/a", "/b", true)), "done");
  t.like(stat(m.state, "/b/x"), { kind: "found" });
});

test("what is removed where a policy says so waits in the trash and comes back", async (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  m.policy("/d", { trashMs: 1000 });
  m.makeDirectory("/d/e");
  m.commit("/d/e/f", 3);
  t.is(code(m.remove("/d/e", true)), "done");
  t.like(stat(m.state, "/d"), { inode: { usage: { files: 0, sizeBytes: 0, directories: 0 } } });
  const page = await trashPage(m.state, { after: 0, countMax: 10 });
  const expiresAt = m.now + 1000;
  t.like(page.found[0], { path: "/d/e", id: m.index, expiresAt, usage: { files: 1 } });
  const restore = { kind: "restoreTrash", id: m.index, target: undefined } as const;
  t.is(code(m.apply(restore)), "done");
  t.is(code(m.apply(restore)), "NOT_FOUND");
  t.like(stat(m.state, "/d"), { inode: { usage: { files: 1, sizeBytes: 12, directories: 1 } } });
  t.is((await chunksAt(m, "/d/e/f")).length, 3);
});

test("the trash is emptied when its time is over, and passed by on request", async (t) => {
  const m = new MetadataDriver();
  m.policy("/", { trashMs: 1000 });
  m.commit("/a");
  m.commit("/b");
  m.remove("/a");
  m.now += 999;
  await expireTrash(m);
  t.deepEqual(await released(m), []);
  m.now += 1;
  await expireTrash(m);
  t.is((await released(m)).length, 1);
  m.apply(removalOf("/b", false, { skipTrash: true }));
  t.is((await released(m)).length, 2);
  t.deepEqual((await trashPage(m.state, { after: 0, countMax: 1 })).found, []);
});

test("versions are kept as the policy says, listed newest first, and pruned", async (t) => {
  const m = new MetadataDriver();
  m.policy("/", { versions: 2 });
  const commits = [1, 2, 3, 4].map((count) => revision(m.commit("/a", count)));
  const list = async () => {
    const page = await versionsPage(m.state, { path: "/a", before: 0, countMax: 10 });
    return page.kind === "page" ? page.found.map((one) => one.version) : [page.code];
  };
  t.deepEqual(await list(), commits.slice(0, 3).toReversed());
  await sweepHistory(m);
  t.deepEqual(await list(), commits.slice(1, 3).toReversed());
  t.is((await released(m)).length, 1);
  const old = await statAt(m.state, { path: "/a", version: commits[1] });
  if (old.kind === "refused") return t.fail();
  m.copy("/a", "/a", { sourceInode: old.id, overwrite: true });
  t.is((await chunksAt(m, "/a")).length, 2);
  m.remove("/a");
  await sweepHistory(m);
  t.is((await list()).length, 2);
  m.policy("/", {});
  await sweepHistory(m);
  t.deepEqual(await list(), ["NOT_FOUND"]);
  t.is((await released(m)).length, 10);
});

test("a version can be removed by itself", async (t) => {
  const m = new MetadataDriver();
  m.policy("/", { versions: 9 });
  const version = revision(m.commit("/a"));
  m.commit("/a");
  const page = await versionsPage(m.state, { path: "/a", before: 0, countMax: 10 });
  if (page.kind === "refused") return t.fail();
  const { ended } = page.found[0] ?? t.fail();
  const command = { kind: "removeVersion", path: "/a", version, ended } as const;
  t.is(code(m.apply({ ...command, version: version + 1 })), "NOT_FOUND");
  t.is(code(m.apply(command)), "done");
  t.is(code(m.apply(command)), "NOT_FOUND");
  t.is((await released(m)).length, 1);
});

test("a snapshot shows what was there, whatever happens afterwards", async (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  m.makeDirectory("/d/sub");
  m.commit("/d/a", 1);
  m.commit("/d/sub/b", 2);
  m.commit("/d/c", 3);
  t.like(m.snapshot("/d", "s"), { kind: "snapshotCreated", revision: m.index });
  m.commit("/d/a", 5);
  m.setMetadata("/d/c", { k: "v" });
  m.commit("/d/new");
  m.rename("/d/sub", "/elsewhere");
  m.remove("/elsewhere/b");
  m.commit("/elsewhere/late");
  t.deepEqual(await names(m, "/d/.snapshot/s"), ["a", "c", "sub"]);
  t.deepEqual(await names(m, "/d/.snapshot/s/sub"), ["b"]);
  t.is((await chunksAt(m, "/d/.snapshot/s/a")).length, 1);
  t.is((await chunksAt(m, "/d/.snapshot/s/sub/b")).length, 2);
  t.like(await statAt(m.state, { path: "/d/.snapshot/s/c", version: undefined }), {
    inode: { metadata: {} },
  });
  t.deepEqual(await names(m, "/d/.snapshot/none"), ["NOT_FOUND"]);
  t.deepEqual(await names(m, "/d/.snapshot"), ["s"]);
  t.deepEqual(await names(m, "/d/a/.snapshot"), ["NOT_DIRECTORY"]);
  await sweepHistory(m);
  t.deepEqual(await released(m), []);
  m.apply({ kind: "removeSnapshot", path: "/d", name: "s" });
  await sweepHistory(m);
  t.is((await released(m)).length, 1 + 2);
  t.true((await chunksAt(m, "/d/c")).every((h) => getChunk(m.state, h)?.releasedAt === undefined));
});

test("a snapshot of a large directory is listed by pages, whatever went and came", async (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  const name = (i: number): string => `n${String(i).padStart(4, "0")}`;
  for (let i = 0; i < 700; i++) m.apply(commitOf(`/d/${name(2 * i)}`, []));
  m.snapshot("/d", "s");
  for (let i = 0; i < 700; i += 2) m.remove(`/d/${name(2 * i)}`);
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 500; i++) m.apply(commitOf(`/d/${name(2 * i + 1)}`, []));
    for (let i = 0; i < 700; i += 3) m.apply(commitOf(`/d/${name(2 * i)}`, []));
    m.snapshot("/", `later-${round}`);
  }
  for (const countMax of [1, 99, 256, 1_000]) {
    const listed: string[] = [];
    for (let after = ""; ; ) {
      const page = await listAt(m.state, { path: "/d/.snapshot/s", after, countMax });
      if (page.kind === "refused") return t.fail();
      listed.push(...page.entries.map((entry) => entry.path.slice("/d/.snapshot/s/".length)));
      t.true(page.entries.length === countMax || !page.hasMore);
      if (!page.hasMore) break;
      after = page.last;
    }
    t.deepEqual(
      listed,
      Array.from({ length: 700 }, (_, i) => name(2 * i)),
    );
  }
});

test("a directory with snapshots is not removed or replaced by the way", async (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  m.makeDirectory("/e");
  t.is(code(m.snapshot("/d", "s")), "snapshotCreated");
  t.is(code(m.snapshot("/d", "s")), "EXISTS");
  t.is(code(m.snapshot("/d", "a/b")), "INVALID_ARGUMENT");
  t.is(code(m.remove("/d", true)), "NOT_EMPTY");
  t.is(code(m.rename("/e", "/d", true)), "NOT_EMPTY");
  const page = await snapshotsPage(m.state, { path: "/d", after: "", countMax: 9 });
  t.like(page, { kind: "page", found: [{ name: "s" }] });
  t.is(code(m.apply({ kind: "removeSnapshot", path: "/d", name: "s" })), "done");
  t.is(code(m.apply({ kind: "removeSnapshot", path: "/d", name: "s" })), "NOT_FOUND");
  t.is(code(m.remove("/d", true)), "done");
});

test("a directory comes out of the trash with its snapshots and versions", async (t) => {
  const m = new MetadataDriver();
  m.policy("/", { trashMs: 100_000, versions: 2 });
  for (const path of ["/d", "/d/e"]) m.makeDirectory(path);
  const versions = [1, 2].map((count) => revision(m.commit("/d/e/f", count)));
  m.policy("/", { trashMs: 100_000 });
  m.snapshot("/d/e", "s");
  m.apply(removalOf("/d/e/f", false, { skipTrash: true }));
  m.remove("/d", true);
  const id = m.index;
  await sweepHistory(m);
  await reapAll(m);
  m.apply({ kind: "restoreTrash", id, target: "/back" });
  t.is((await chunksAt(m, "/back/e/.snapshot/s/f")).length, 2);
  const old = await statAt(m.state, { path: "/back/e/f", version: versions[0] });
  t.like(old, { kind: "found", inode: { chunkCount: 1 } });
});

test("nothing has the name under which snapshots are read", (t) => {
  const m = new MetadataDriver();
  m.commit("/a");
  const refused = [
    m.makeDirectory("/.snapshot"),
    m.commit("/.snapshot/x", 1, { makeParents: true }),
    m.rename("/a", "/.snapshot"),
    m.copy("/a", "/x/.snapshot/y", { makeParents: true }),
  ];
  t.deepEqual(new Set(refused.map(code)), new Set(["INVALID_ARGUMENT"]));
});
