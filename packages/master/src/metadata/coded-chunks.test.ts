import { CODE_DEFAULT, type Code, KiB, serverId, wallMs } from "@lumeofs/base";
import test from "ava";
import {
  codedAs,
  commitOf,
  MetadataDriver,
  registrationOf,
  sealed,
} from "../../test/metadata-driver.js";
import { audit } from "../../test/state-audit.js";
import { append } from "../../test/tail-driver.js";
import { getChunk, putMembers } from "./chunk-table.js";
import { membersAfter } from "./moves.js";
import { stat } from "./queries.js";

const NARROW: Code = { data: 2, parity: 1, cellBytes: 64 * KiB };

/** A file of one chunk, kept as units on the first servers. */
function putCoded(driver: MetadataDriver, path: string, code = CODE_DEFAULT, servers = 6) {
  const handles = driver.grant(1, servers);
  const chunks = handles.map((handle) => codedAs(code, handle));
  return { handles, reply: driver.apply(commitOf(path, handles, { chunks, code })) };
}

test("a coded file says what it is, and its chunk who holds which unit", async (t) => {
  const driver = new MetadataDriver();
  const { handles, reply } = putCoded(driver, "/a");
  t.like(reply, { kind: "file", sizeBytes: 4, chunkCount: 1 });
  t.like(stat(driver.state, "/a"), { inode: { code: CODE_DEFAULT, sizeBytes: 4 } });
  t.like(getChunk(driver.state, handles[0] as never), {
    members: [1, 2, 3, 4, 5, 6].map(serverId),
    coding: { ...CODE_DEFAULT, unitCrcs: [0, 1, 2, 3, 4, 5] },
  });
  t.deepEqual(await audit(driver.state), []);
});

test("data bytes count for usage and quotas, not those on the disks", (t) => {
  const driver = new MetadataDriver();
  driver.makeDirectory("/d");
  driver.apply({ kind: "setQuota", path: "/d", quota: { sizeBytes: 8, files: undefined } });
  t.is(putCoded(driver, "/d/a").reply.kind, "file");
  t.is(putCoded(driver, "/d/b").reply.kind, "file");
  t.like(putCoded(driver, "/d/c").reply, { kind: "refused", code: "QUOTA" });
  t.like(stat(driver.state, "/d"), { inode: { usage: { sizeBytes: 8 } } });
});

test("units that do not match their grant are refused, and nothing stays", async (t) => {
  const driver = new MetadataDriver();
  const few = putCoded(driver, "/a", CODE_DEFAULT, 5).reply;
  t.like(few, { kind: "refused", code: "INVALID_ARGUMENT" });
  t.regex(few.kind === "refused" ? few.message : "", /grant is for 5 servers, and it has 6 units/);
  t.like(putCoded(driver, "/a", NARROW, 6).reply, { kind: "refused" });
  const [handle] = driver.grant(1, 6);
  const short = { ...codedAs(CODE_DEFAULT, handle as never) };
  const upload = driver.beginUpload("/a");
  const wide = driver.grants(1, 12).map(sealed);
  const added = driver.apply({ kind: "addChunks", upload, first: 0, chunks: wide });
  t.regex(added.kind === "refused" ? added.message : "", /is for the 12 units of a coded chunk/);
  t.is(driver.apply({ kind: "addChunks", upload, first: 0, chunks: [short] }).kind, "done");
  t.is(stat(driver.state, "/a").kind, "refused");
  t.deepEqual(await audit(driver.state), []);
});

test("a grant goes to no more servers than a code may have units", (t) => {
  const driver = new MetadataDriver();
  const members = Array.from({ length: 33 }, (_, i) => serverId(i + 1));
  const reply = driver.apply({ kind: "allocate", placements: [members], handles: 1 });
  t.like(reply, { kind: "refused", code: "INVALID_ARGUMENT" });
});

test("a copy of a coded file is one, and an edit leaves it one", (t) => {
  const driver = new MetadataDriver();
  putCoded(driver, "/a", NARROW, 3);
  driver.copy("/a", "/b");
  t.like(stat(driver.state, "/b"), { inode: { code: NARROW } });
  const before = stat(driver.state, "/b");
  const revision = before.kind === "found" ? before.inode.revision : 0;
  const handles = driver.grant(1, 3);
  const appended = handles.map((handle) => codedAs(NARROW, handle));
  const edit = { kind: "editFile", path: "/b", revision, keep: 1, replaced: [] } as const;
  t.is(driver.apply({ ...edit, appended, fence: undefined }).kind, "inode");
  t.like(stat(driver.state, "/b"), { inode: { code: NARROW, sizeBytes: 8 } });
});

test("a file that appending makes is meant to be as its directory says", (t) => {
  const driver = new MetadataDriver();
  driver.makeDirectory("/d");
  driver.policy("/d", { code: { kind: "auto", code: NARROW } });
  append(driver, "/d/log", Uint8Array.of(1));
  append(driver, "/log", Uint8Array.of(1));
  t.like(stat(driver.state, "/d/log"), { inode: { code: NARROW } });
  t.like(stat(driver.state, "/log"), { inode: { code: undefined } });
});

test("a unit moves to the place of the one that leaves; copies close ranks", (t) => {
  const members = [1, 2, 3].map(serverId);
  const move = { job: 1 as never, target: serverId(9), leaving: serverId(1) };
  const coding = { ...NARROW, unitCrcs: [1, 2, 3] };
  t.deepEqual(membersAfter({ members, coding }, move), [9, 2, 3].map(serverId));
  t.deepEqual(membersAfter({ members, coding: undefined }, move), [2, 3, 9].map(serverId));
  const again = { ...move, target: serverId(1) };
  t.deepEqual(membersAfter({ members, coding }, again), members);
});

test("a coded chunk gets no unit more, and its move ends with the unit in its place", async (t) => {
  const driver = new MetadataDriver();
  for (const name of ["a", "b", "c", "d"]) register(driver, name);
  const { handles } = putCoded(driver, "/a", NARROW, 3);
  const [handle] = handles as readonly [never];
  const job = driver.apply({
    ...{ kind: "createJob", job: "drain", subject: serverId(1), conversion: undefined },
  });
  if (job.kind !== "jobCreated") return t.fail(JSON.stringify(job));
  const move = { handle, job: job.job, target: serverId(4) };
  const begin = (leaving: number | undefined) => {
    const from = leaving === undefined ? undefined : serverId(leaving);
    return driver.apply({ kind: "beginMoves", moves: [{ ...move, leaving: from }] });
  };
  t.like(begin(undefined), { handles: [] });
  t.like(begin(2), { handles: [handle] });
  driver.apply({ kind: "endMoves", moves: [{ handle, outcome: "moved" }] });
  t.like(getChunk(driver.state, handle), { members: [1, 4, 3].map(serverId) });
  t.deepEqual(await audit(driver.state), []);
  putMembers(driver.state, handle, [1, 4].map(serverId));
  const faults = await audit(driver.state);
  t.true(faults.some((fault) => fault.includes("it is coded 2+1/64KiB, and has 2 members")));
});

function register(driver: MetadataDriver, name: string): void {
  driver.now = wallMs(driver.now + 1);
  driver.apply(registrationOf(name));
}
