import { type ChunkHandle, chunkHandle, grantOf, sessionId, wallMs } from "@lumeofs/base";
import test from "ava";
import { commitOf, MetadataDriver, sealed, wholeCrc } from "../../test/metadata-driver.js";
import { getChunk, isGarbage } from "./chunk-table.js";
import type { Reply } from "./command.js";
import { getGrant } from "./grants.js";
import { fileChunks, idleSessions, listPage, orphans, releasedChunks, stat } from "./queries.js";

function code(reply: Reply): string {
  return reply.kind === "refused" ? reply.code : reply.kind;
}

function codes(replies: readonly Reply[]): readonly string[] {
  return replies.map(code);
}

test("a committed file has its size, checksum and the log index as revision", (t) => {
  const m = new MetadataDriver();
  const reply = m.commit("/a", 2);
  t.like(reply, { kind: "file", sizeBytes: 8, chunkCount: 2, revision: m.index });
  const found = stat(m.state, "/a");
  t.like(found, { kind: "found", inode: { kind: "file", sizeBytes: 8, crc32c: wholeCrc(2) } });
});

test("a commit replaces a file at once and keeps its creation time", (t) => {
  const m = new MetadataDriver();
  m.commit("/a");
  const createdAt = m.now;
  m.now += 5000;
  t.like(m.commit("/a", 3), { kind: "file", sizeBytes: 12, createdAt, modifiedAt: m.now });
});

test("a commit obeys its precondition", (t) => {
  const m = new MetadataDriver();
  const absent = { precondition: { kind: "absent" } } as const;
  const at = (revision: number) => ({ precondition: { kind: "revision", revision } }) as const;
  const first = m.commit("/a", 1, absent);
  if (first.kind !== "file") return t.fail();
  t.is(code(m.commit("/a", 1, absent)), "PRECONDITION");
  t.is(code(m.commit("/a", 1, at(first.revision + 1))), "PRECONDITION");
  t.is(code(m.commit("/b", 1, at(first.revision))), "PRECONDITION");
  t.is(code(m.commit("/a", 1, at(first.revision))), "file");
});

test("a commit is refused where a directory is, under a file, and without parents", (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  m.commit("/f");
  t.deepEqual(codes([m.commit("/d"), m.commit("/"), m.commit("/f/x"), m.commit("/n/x")]), [
    "IS_DIRECTORY",
    "IS_DIRECTORY",
    "NOT_DIRECTORY",
    "NOT_FOUND",
  ]);
  t.is(code(m.commit("/n/m/x", 1, { makeParents: true })), "file");
  t.like(stat(m.state, "/n/m"), { inode: { kind: "directory", childCount: 1 } });
});

test("a handle becomes a chunk once: a second commit of it is a conflict", (t) => {
  const m = new MetadataDriver();
  const handles = m.grant(2);
  t.is(code(m.apply(commitOf("/a", handles))), "file");
  t.is(code(m.apply(commitOf("/b", handles))), "CONFLICT");
  t.is(code(m.apply(commitOf("/b", [chunkHandle(3)]))), "GRANT_EXPIRED");
  t.is(code(m.apply(commitOf("/b", [chunkHandle(99_999)]))), "GRANT_EXPIRED");
});

test("a handle named twice in one commit is a conflict, and nothing of the commit stays", (t) => {
  const m = new MetadataDriver();
  const [one] = m.grant(2) as [ChunkHandle, ChunkHandle];
  const before = m.state.dump();
  t.is(code(m.apply(commitOf("/a/b", [one, one], { makeParents: true }))), "CONFLICT");
  t.is(m.state.dump(), before);
});

test("a commit whose chunks do not add up is refused", (t) => {
  const m = new MetadataDriver();
  const handles = m.grant(4);
  const short = { ...sealed(handles[0] as ChunkHandle), lengthBytes: 3 };
  const chunks = [short, sealed(handles[1] as ChunkHandle)];
  const refused = [
    m.apply(commitOf("/a", handles, { crc32c: 7 })),
    m.apply(commitOf("/a", handles, { chunkSizeBytes: 8 })),
    m.apply(commitOf("/a", [], { chunks })),
    m.apply(commitOf("/a", handles, { replicas: 0 })),
    m.apply(commitOf("/a", handles, { chunkSizeBytes: 0 })),
  ];
  t.deepEqual(new Set(codes(refused)), new Set(["INVALID_ARGUMENT"]));
});

test("an upload of more chunks than a page becomes a file whose chunks page by page", (t) => {
  const m = new MetadataDriver();
  const upload = m.beginUpload("/long");
  const handles = m.grants(600);
  for (let first = 0; first < 512; first += 128) {
    const chunks = handles.slice(first, first + 128).map(sealed);
    t.is(code(m.apply({ kind: "addChunks", upload, first, chunks })), "done");
  }
  const last = handles.slice(512);
  t.is(code(m.apply(commitOf("/long", last, { upload, crc32c: wholeCrc(600) }))), "file");
  const found = stat(m.state, "/long");
  if (found.kind === "refused" || found.inode.kind !== "file") return t.fail();
  const file = { id: found.id, inode: found.inode };
  const window = fileChunks(m.state, file, { first: 250, countMax: 300 });
  t.deepEqual(
    window.map((chunk) => chunk.handle),
    handles.slice(250, 550),
  );
  t.is(fileChunks(m.state, file, { first: 590, countMax: 300 }).length, 10);
  t.is(code(m.apply({ kind: "addChunks", upload, first: 600, chunks: [] })), "GRANT_EXPIRED");
});

test("chunks of an upload come in order", (t) => {
  const m = new MetadataDriver();
  const upload = m.beginUpload("/long");
  const chunks = m.grant(3).map(sealed);
  t.is(code(m.apply({ kind: "addChunks", upload, first: 1, chunks })), "CONFLICT");
});

test("an upload to a directory is refused before any byte is sent", (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  t.is(code(m.apply({ kind: "beginUpload", path: "/d" })), "IS_DIRECTORY");
  t.is(code(m.apply({ kind: "beginUpload", path: "/new/x" })), "uploadBegun");
});

test("a long file that is removed is freed page by page", async (t) => {
  const m = new MetadataDriver();
  const upload = m.beginUpload("/long");
  const handles = m.grants(600);
  for (let first = 0; first < 600; first += 200) {
    const chunks = handles.slice(first, first + 200).map(sealed);
    m.apply({ kind: "addChunks", upload, first, chunks });
  }
  m.apply(commitOf("/long", [], { upload, crc32c: wholeCrc(600) }));
  m.remove("/long");
  t.deepEqual(await orphans(m.state, 10), [{ id: upload, kind: "file" }]);
  const writes = m.state.writes;
  m.apply({ kind: "reapFile", inode: upload, pages: 1 });
  t.true(m.state.writes - writes < 3 * 256);
  m.apply({ kind: "reapFile", inode: upload, pages: 8 });
  m.apply({ kind: "reapFile", inode: upload, pages: 8 });
  t.deepEqual(await orphans(m.state, 10), []);
  const released = await releasedChunks(m.state, wallMs(m.now), 1000);
  t.deepEqual(
    [...released].sort((a, b) => a - b),
    [...handles],
  );
});

test("a removed file's chunks wait until they are forgotten, and then are garbage", async (t) => {
  const m = new MetadataDriver();
  const [handle] = m.grant(1) as [ChunkHandle];
  m.apply(commitOf("/a", [handle]));
  m.apply({ kind: "forgetChunks", handles: [handle] });
  t.not(getChunk(m.state, handle), undefined);
  m.remove("/a");
  t.deepEqual(await releasedChunks(m.state, wallMs(m.now - 1), 10), []);
  t.deepEqual(await releasedChunks(m.state, wallMs(m.now), 10), [handle]);
  t.false(isGarbage(m.state, handle));
  m.apply({ kind: "forgetChunks", handles: [handle] });
  t.true(isGarbage(m.state, handle));
  t.deepEqual(await releasedChunks(m.state, wallMs(m.now), 10), []);
});

test("handles of a live grant are no garbage, those of an expired one are", (t) => {
  const m = new MetadataDriver();
  const [handle] = m.grant(2) as [ChunkHandle, ChunkHandle];
  const grants = [Math.floor(handle / 64) as never];
  m.apply({ kind: "expireGrants", grants, unusedSince: wallMs(m.now - 1) });
  t.false(isGarbage(m.state, handle));
  m.apply({ kind: "expireGrants", grants, unusedSince: wallMs(m.now) });
  t.true(isGarbage(m.state, handle));
  t.true(isGarbage(m.state, chunkHandle(1)));
  t.is(code(m.apply(commitOf("/a", [handle]))), "GRANT_EXPIRED");
});

test("an abandoned handle is garbage and never a chunk; what is a chunk already stays one", (t) => {
  const m = new MetadataDriver();
  const [kept, dropped, other] = m.grant(3) as [ChunkHandle, ChunkHandle, ChunkHandle];
  t.is(code(m.apply(commitOf("/a", [kept]))), "file");
  const handles = [kept, dropped, chunkHandle(1), dropped];
  t.is(code(m.apply({ kind: "abandonChunks", handles })), "done");
  t.true(isGarbage(m.state, dropped));
  t.false(isGarbage(m.state, other));
  t.not(getChunk(m.state, kept), undefined);
  t.is(code(m.apply(commitOf("/b", [dropped]))), "GRANT_EXPIRED");
  t.is(code(m.apply(commitOf("/b", [other]))), "file");
  t.is(getGrant(m.state, grantOf(other)), undefined, "the grant has ended with its last handle");
});

test("rename moves files and whole directories and keeps the revision", (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  m.makeDirectory("/e");
  m.commit("/d/a");
  const before = stat(m.state, "/d/a");
  t.is(code(m.rename("/d", "/e/d")), "done");
  const after = stat(m.state, "/e/d/a");
  if (before.kind === "refused" || after.kind === "refused") return t.fail();
  t.deepEqual(after.inode, before.inode);
  t.like(stat(m.state, "/d"), { kind: "refused", code: "NOT_FOUND" });
});

test("rename is refused into itself, onto a directory, onto a file unless it may overwrite", (t) => {
  const m = new MetadataDriver();
  for (const path of ["/d", "/d/e", "/x"]) m.makeDirectory(path);
  for (const path of ["/a", "/b", "/de"]) m.commit(path);
  const refused = [
    m.rename("/d", "/d/e/f"),
    m.rename("/", "/y"),
    m.rename("/a", "/x"),
    m.rename("/a", "/b"),
    m.rename("/d", "/b", true),
    m.rename("/none", "/y"),
    m.rename("/a", "/none/y"),
    m.rename("/a", "/b/y"),
  ];
  t.deepEqual(codes(refused), [
    "INVALID_ARGUMENT",
    "INVALID_ARGUMENT",
    "EXISTS",
    "EXISTS",
    "EXISTS",
    "NOT_FOUND",
    "NOT_FOUND",
    "NOT_DIRECTORY",
  ]);
  t.deepEqual(codes([m.rename("/a", "/b", true), m.rename("/d", "/dd"), m.rename("/b", "/b")]), [
    "done",
    "done",
    "done",
  ]);
});

test("remove refuses a full directory unless recursive, and the root always", (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  m.commit("/d/a");
  t.deepEqual(codes([m.remove("/d"), m.remove("/", true), m.remove("/x")]), [
    "NOT_EMPTY",
    "INVALID_ARGUMENT",
    "NOT_FOUND",
  ]);
  t.deepEqual(codes([m.remove("/d", true), m.remove("/d", true)]), ["done", "NOT_FOUND"]);
});

test("a removed tree is gone at once and freed by reaping", async (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/d");
  m.makeDirectory("/d/e");
  m.commit("/d/a");
  m.commit("/d/e/b", 3);
  m.remove("/d", true);
  t.is(code(m.commit("/d/new")), "NOT_FOUND");
  const [top] = await orphans(m.state, 10);
  if (top === undefined) return t.fail();
  const nothing = { history: [], snapshots: [] };
  m.apply({ kind: "reapDirectory", directory: top.id, names: ["a", "e", "none"], ...nothing });
  const [inner] = await orphans(m.state, 10);
  if (inner === undefined) return t.fail();
  m.apply({ kind: "reapDirectory", directory: inner.id, names: ["b"], ...nothing });
  t.deepEqual(await orphans(m.state, 10), []);
  t.is((await releasedChunks(m.state, wallMs(m.now), 10)).length, 4);
});

test("a repeated request gets the first answer and changes nothing", (t) => {
  const m = new MetadataDriver();
  const session = sessionId(1);
  t.deepEqual(m.apply({ kind: "openSession" }), { kind: "sessionOpened", session });
  const request = { session, sequence: 1, answeredBelow: 1 };
  const command = commitOf("/a", m.grant(1));
  const first = m.applyBytes(command, request);
  m.remove("/a");
  const before = m.state.dump();
  t.deepEqual(m.applyBytes(command, request), first);
  t.is(m.state.dump(), before);
});

test("a refusal is remembered too", (t) => {
  const m = new MetadataDriver();
  m.apply({ kind: "openSession" });
  const request = { session: sessionId(1), sequence: 1, answeredBelow: 1 };
  const command = { kind: "makeDirectory", path: "/x/y", parents: false } as const;
  t.is(code(m.apply(command, request)), "NOT_FOUND");
  m.makeDirectory("/x");
  t.is(code(m.apply(command, request)), "NOT_FOUND");
});

test("answers below answeredBelow are forgotten and not applied again", (t) => {
  const m = new MetadataDriver();
  m.apply({ kind: "openSession" });
  const session = sessionId(1);
  const make = (sequence: number, answeredBelow: number): Reply =>
    m.apply(
      { kind: "makeDirectory", path: `/${sequence}`, parents: false },
      { session, sequence, answeredBelow },
    );
  for (let sequence = 1; sequence <= 100; sequence++) make(sequence, 1);
  t.is(code(make(3, 1)), "done");
  const size = m.state.size;
  t.is(code(make(101, 101)), "done");
  t.is(m.state.size, size + 3 - 3); // inode, entry and change come, three pages of answers go
  t.is(code(make(3, 101)), "SESSION_EXPIRED");
  t.is(code(make(100, 101)), "SESSION_EXPIRED");
  t.is(code(make(1000, 1000)), "done");
  t.is(code(make(999, 1000)), "SESSION_EXPIRED");
  t.is(code(make(1_000_000, 1000)), "OVERLOADED");
});

test("an unknown session and an expired one are refused", async (t) => {
  const m = new MetadataDriver();
  m.apply({ kind: "openSession" });
  const session = sessionId(1);
  const make = (id: number, sequence: number): string =>
    code(
      m.apply(
        { kind: "makeDirectory", path: `/${id}-${sequence}`, parents: false },
        { session: sessionId(id), sequence, answeredBelow: 1 },
      ),
    );
  t.is(make(7, 1), "SESSION_EXPIRED");
  for (let sequence = 1; sequence <= 3000; sequence++) make(1, sequence);
  const unusedSince = wallMs(m.now);
  m.now += 1000;
  const idle = await idleSessions(m.state, unusedSince, { after: 0, countMax: 10 });
  t.deepEqual(idle, { found: [session], next: undefined });
  const size = m.state.size;
  m.apply({ kind: "expireSessions", sessions: [session], unusedSince });
  t.is(make(1, 3001), "SESSION_EXPIRED");
  m.apply({ kind: "expireSessions", sessions: [session], unusedSince });
  t.is(m.state.size, size - Math.ceil(3001 / 32) - 1);
});

test("3.3.31: a request that was on its way when its session ended has no effect, ever", (t) => {
  const m = new MetadataDriver();
  const session = sessionId(1);
  t.deepEqual(m.apply({ kind: "openSession" }), { kind: "sessionOpened", session });
  const command = { kind: "makeDirectory", path: "/late", parents: false } as const;
  const late = { session, sequence: 2, answeredBelow: 1 };
  const early = { session, sequence: 1, answeredBelow: 1 };
  const made = { kind: "makeDirectory", path: "/early", parents: false } as const;
  t.is(code(m.apply(made, early)), "done");
  m.now += 1_000;
  m.apply({ kind: "expireSessions", sessions: [session], unusedSince: wallMs(m.now - 1) });
  const before = m.state.dump();
  t.is(code(m.apply(command, late)), "SESSION_EXPIRED");
  // What was answered is not known any more: it is refused, and not done a second time.
  t.is(code(m.apply({ ...made, path: "/other" }, early)), "SESSION_EXPIRED");
  t.is(m.state.dump(), before);
  const next = m.apply({ kind: "openSession" });
  t.true(next.kind === "sessionOpened" && next.session !== session, "no session has its id again");
  t.is(code(m.apply(command, late)), "SESSION_EXPIRED");
  t.is(stat(m.state, "/late").kind, "refused");
});

test("a session used since is not expired", (t) => {
  const m = new MetadataDriver();
  m.apply({ kind: "openSession" });
  const session = sessionId(1);
  m.apply({ kind: "expireSessions", sessions: [session], unusedSince: wallMs(m.now - 1) });
  const request = { session, sequence: 1, answeredBelow: 1 };
  t.is(code(m.apply({ kind: "makeDirectory", path: "/a", parents: false }, request)), "done");
});

test("an upload that is left alone expires and frees what it wrote", async (t) => {
  const m = new MetadataDriver();
  const upload = m.beginUpload("/long");
  const chunks = m.grant(3).map(sealed);
  m.apply({ kind: "addChunks", upload, first: 0, chunks });
  m.apply({ kind: "expireUploads", uploads: [upload], unusedSince: wallMs(m.now) });
  m.apply({ kind: "reapFile", inode: upload, pages: 4 });
  t.is((await releasedChunks(m.state, wallMs(m.now), 10)).length, 3);
  t.deepEqual(await orphans(m.state, 10), []);
  m.apply({ kind: "abortUpload", upload });
  t.is(code(m.apply(commitOf("/long", [], { upload }))), "GRANT_EXPIRED");
});

test("nothing but the set-up is accepted before the cluster has its id", (t) => {
  const fresh = new MetadataDriver();
  t.is(code(fresh.apply({ kind: "initCluster", clusterId: "other" })), "done");
  const reply = fresh.apply({
    kind: "registerServer",
    name: "cs1",
    storeUuid: "u1",
    dataAddress: "127.0.0.1:1",
    controlAddress: "127.0.0.1:2",
    labels: {},
  });
  t.like(reply, { kind: "registered", server: 1, clusterId: "test-cluster" });
});

test("time in the state never goes back", (t) => {
  const m = new MetadataDriver();
  m.now = 2_000_000;
  m.makeDirectory("/a");
  m.now = 1_500_000;
  m.makeDirectory("/b");
  t.like(stat(m.state, "/b"), { inode: { createdAt: 2_000_000 } });
});

test("a page of a directory of 100,000 names reads a page, wherever it begins", async (t) => {
  const m = new MetadataDriver();
  m.makeDirectory("/big");
  const count = 100_000;
  const name = (i: number): string => `n${String(i).padStart(6, "0")}`;
  for (let i = 0; i < count; i++) m.apply(commitOf(`/big/${name(i)}`, []));
  await listPage(m.state, { path: "/big", after: "", countMax: 1 });
  for (const first of [0, 50_000, count - 100]) {
    const reads = m.state.reads;
    const after = first === 0 ? "" : name(first - 1);
    const page = await listPage(m.state, { path: "/big", after, countMax: 100 });
    if (page.kind === "refused") return t.fail();
    t.is(page.entries[0]?.path, `/big/${name(first)}`);
    t.is(page.entries.length, 100);
    t.is(page.hasMore, first < count - 100);
    t.true(m.state.reads - reads <= 2 * 101 + 4, `${m.state.reads - reads} reads`);
  }
  const reads = m.state.reads;
  const writes = m.state.writes;
  t.is(code(m.remove("/big", true)), "done");
  t.true(m.state.reads - reads < 12 && m.state.writes - writes < 12);
});
