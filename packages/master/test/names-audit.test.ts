// The audit of names, on states that were made wrong in one place each.

import { chunkHandle, inodeId, ROOT_INODE, wallMs } from "@lumeofs/base";
import test from "ava";
import { CountWindow } from "../src/audit/count-window.js";
import { type ContentPlace, findContents } from "../src/audit/find-contents.js";
import type { NameFinding } from "../src/audit/finding.js";
import { auditNames } from "../src/audit/names-audit.js";
import { encodeChunk, getChunk } from "../src/metadata/chunk-table.js";
import { encodeWhole } from "../src/metadata/fields.js";
import type { FileInode } from "../src/metadata/inode-record.js";
import { getEntry, mustGetDirectory, mustGetInode, putInode } from "../src/metadata/inodes.js";
import {
  chunkKey,
  contentReferencesKey,
  entryKey,
  inodeKey,
  pageKey,
  referencesKey,
} from "../src/metadata/keys.js";
import { commitOf, MetadataDriver, sealed, wholeCrc } from "./metadata-driver.js";

/** Files of every kind: in directories, copied, with versions, in a snapshot, long, removed. */
function everything(): MetadataDriver {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  m.commit("/d/one");
  m.commit("/d/two", 3);
  m.commit("/e/f/deep", 1, { makeParents: true });
  commitLong(m, "/long", 600);
  m.copy("/d/two", "/d/copy");
  m.copy("/long", "/e/long");
  m.apply({ kind: "createSnapshot", path: "/d", name: "s" });
  m.commit("/d/one", 2);
  m.remove("/d/two");
  upload(m, "/up", 300);
  return m;
}

/** The chunks of a long file come in pieces. */
function upload(m: MetadataDriver, path: string, count: number) {
  const begun = m.beginUpload(path);
  for (let first = 0; first < count; first += 200) {
    const chunks = m.grants(Math.min(200, count - first)).map(sealed);
    m.apply({ kind: "addChunks", upload: begun, first, chunks });
  }
  return begun;
}

function commitLong(m: MetadataDriver, path: string, count: number): void {
  const begun = upload(m, path, count);
  m.apply({ ...commitOf(path, []), upload: begun, crc32c: wholeCrc(count) });
}

async function findings(m: MetadataDriver, pagesMax?: number): Promise<readonly NameFinding[]> {
  const all: NameFinding[] = [];
  for await (const step of auditNames(m.state, pagesMax)) all.push(...step.findings);
  return all;
}

function idOf(m: MetadataDriver, name: string, parent = ROOT_INODE) {
  const entry = getEntry(m.state, parent, name);
  if (entry === undefined) throw new Error(`${name} is not there`);
  return entry.inode;
}

function fileOf(m: MetadataDriver, name: string, parent = ROOT_INODE): FileInode {
  const inode = mustGetInode(m.state, idOf(m, name, parent));
  if (inode.kind !== "file") throw new Error(`${name} is no file`);
  return inode;
}

test("a sound state has no findings, in one pass and in many", async (t) => {
  const m = everything();
  t.deepEqual(await findings(m), []);
  t.deepEqual(await findings(m, 1), []);
});

test("what was counted is told with the steps", async (t) => {
  const m = everything();
  let last = { records: 0, files: 0, chunks: 0 };
  for await (const { counts } of auditNames(m.state)) last = counts;
  t.true(600 < last.records);
  t.is(last.files, 7, "one, copy, deep, long twice, and two of the past");
  t.is(last.chunks, 2 + 3 + 1 + 600 + 600 + 1 + 3);
});

test("a chunk that is not known, or of another content, is found with its path", async (t) => {
  const m = everything();
  const d = idOf(m, "d");
  const [first, second] = fileOf(m, "copy", d).inline;
  if (first === undefined || second === undefined) return t.fail("it has too few chunks");
  const record = getChunk(m.state, second);
  if (record === undefined) return t.fail("its second chunk is not known");
  m.state.delete(chunkKey(first));
  m.state.put(chunkKey(second), encodeChunk({ ...record, inode: inodeId(999) }));
  const found = await findings(m);
  const at = (handle: number) => found.filter((one) => one.handle === handle);
  t.like(at(first)[0], { fault: "chunkRecord", what: "it is not known" });
  t.deepEqual(
    new Set(at(first).map(({ path }) => path.replace(/\d+/, "N"))),
    new Set(["/d/copy", "/d/two (until revision N)"]),
  );
  t.regex(at(second)[0]?.what ?? "", /recorded for content 999/);
});

test("a chunk that is released although a file has it, and one that nothing has", async (t) => {
  const m = everything();
  const [handle = chunkHandle(1)] = fileOf(m, "deep", idOf(m, "f", idOf(m, "e"))).inline;
  const record = getChunk(m.state, handle);
  if (record === undefined) return t.fail("the chunk is not known");
  m.state.put(chunkKey(handle), encodeChunk({ ...record, releasedAt: wallMs(5) }));
  const stray = chunkHandle(handle + 1_000_000);
  m.state.put(chunkKey(stray), encodeChunk({ ...record, releasedAt: undefined }));
  const found = await findings(m);
  t.is(found.length, 2);
  t.like(found[0], { fault: "chunkRecord", path: "/e/f/deep", handle });
  t.like(found[1], { fault: "unreferenced", handle: stray });
});

test("lengths and checksums that do not add up, and a page that is gone", async (t) => {
  const m = everything();
  const [handle = chunkHandle(1)] = fileOf(m, "one", idOf(m, "d")).inline;
  const record = getChunk(m.state, handle);
  if (record === undefined) return t.fail("the chunk is not known");
  m.state.put(chunkKey(handle), encodeChunk({ ...record, lengthBytes: 3 }));
  const short = await findings(m);
  t.true(short.every(({ fault, path }) => fault === "chunkList" && path === "/d/one"));
  t.regex(short.map(({ what }) => what).join("; "), /follows a chunk .*7 bytes, expected 8/);
  m.state.put(chunkKey(handle), encodeChunk(record));
  m.state.delete(pageKey(idOf(m, "long"), 1));
  const lost = await findings(m);
  t.like(lost[0], { fault: "chunkList", path: "/long" });
  t.regex(lost[0]?.what ?? "", /344 known chunks, expected 600/);
  t.is(lost.filter(({ fault }) => fault === "unreferenced").length, 256);
});

test("counts of references that are wrong, and names that lead to nothing", async (t) => {
  const m = everything();
  const count = (n: number) => encodeWhole((writer) => writer.u53(n));
  m.state.put(contentReferencesKey(idOf(m, "long")), count(5));
  m.state.put(referencesKey(idOf(m, "e")), count(2));
  m.state.put(referencesKey(inodeId(777)), count(1));
  const found = await findings(m);
  t.deepEqual(
    found.map(({ fault }) => fault),
    ["referenceCount", "referenceCount", "referenceCount"],
  );
  t.regex(found.map(({ what }) => what).join("; "), /of 2 files, expected 6/);
  const n = everything();
  const d = idOf(n, "d");
  n.state.delete(inodeKey(idOf(n, "f", idOf(n, "e"))));
  const entry = n.state.get(entryKey(d, "copy"));
  n.state.put(entryKey(ROOT_INODE, "stray"), entry as Uint8Array);
  const lost = await findings(n);
  t.true(lost.some(({ fault, path }) => fault === "dangling" && path === "/e/f"));
  t.true(lost.some(({ fault, path }) => fault === "directory" && path === "/"));
  t.true(lost.some(({ fault, what }) => fault === "referenceCount" && what.includes("2 times")));
});

test("a directory that does not hold what it says", async (t) => {
  const m = everything();
  const d = idOf(m, "d");
  const directory = mustGetDirectory(m.state, d);
  const usage = { ...directory.usage, files: 9 };
  putInode(m.state, d, { ...directory, childCount: 7, usage });
  const found = await findings(m);
  t.deepEqual(
    found.map(({ path }) => path),
    ["/", "/d", "/d"],
  );
  m.makeDirectory("/empty");
  const empty = idOf(m, "empty");
  putInode(m.state, empty, { ...mustGetDirectory(m.state, empty), childCount: 2 });
  t.true((await findings(m)).some(({ what }) => what.includes("say that they have entries")));
});

test("contents are found by number: names of now, then of the past", async (t) => {
  const m = everything();
  const [copied, past] = [fileOf(m, "copy", idOf(m, "d")).content, inodeId(3)];
  if (copied === undefined) return t.fail("the copy has a content of its own");
  const wanted = [copied, past, idOf(m, "long"), inodeId(999_999)];
  const places: ContentPlace[] = [];
  for await (const page of findContents(m.state, wanted)) places.push(...page);
  const paths = new Map(places.map(({ content, path }) => [content, path]));
  t.is(paths.get(copied), "/d/copy");
  t.is(paths.get(idOf(m, "long")), "/long");
  t.regex(paths.get(past) ?? "", /^\/d\/one \(until revision \d+\)$/);
  t.is(paths.size, 3);
});

test("CountWindow counts the lowest ids, and says where the others begin", (t) => {
  const window = new CountWindow(0, 2);
  for (const id of [9_000, 5, 5, 20_000, 4_100]) window.add(id);
  t.is(window.to, 2 * 4_096);
  t.deepEqual([...window.ids()], [5, 4_100]);
  t.is(window.countOf(5), 2);
  const rest = new CountWindow(window.to, 2);
  for (const id of [9_000, 5, 5, 20_000, 4_100]) rest.add(id);
  t.deepEqual([...rest.ids()], [9_000, 20_000]);
  t.is(rest.to, Infinity);
});
