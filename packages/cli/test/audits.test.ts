// fsck and verify: what they print, and how they end.

import type { FsckEvent, FsckFinding, VerifiedChunk, VerifiedReplica } from "@lumeofs/client";
import test, { type ExecutionContext } from "ava";
import { fsck } from "../src/commands/fsck.js";
import { verify } from "../src/commands/verify.js";
import { Stage } from "./stage.js";

const MISSING: FsckFinding = {
  ...{ fault: "missing", path: "/d/a", handle: 64, server: "cs2" },
  ...{ what: "the server does not have it", wayOut: "lumeo chunk verify 64" },
};
const COUNT: FsckFinding = {
  ...{ fault: "referenceCount", path: undefined, handle: undefined, server: undefined },
  ...{ what: "inode 7 is referred to 2 times, expected 1", wayOut: "please report it" },
};

function progress(more: Partial<{ chunks: number; files: number }>): FsckEvent {
  const counts = { records: 0, files: 0, chunks: 0, replicas: 0, bytes: 0 };
  return { kind: "progress", progress: { phase: "replicas", ...counts, ...more } };
}

test("fsck of a sound cluster says what it has looked at, and ends with 0", async (t) => {
  const stage = new Stage(t);
  stage.client.audits.events = [progress({ files: 1 }), progress({ chunks: 12 })];
  t.is(await fsck(stage.context(), undefined, {}), 0);
  t.regex(stage.stdout, /^no problems: 1 file, 12 chunks in /);
  t.is(stage.stderr, "");
});

test("fsck tells findings with path, chunk and server, each way out once, and ends with 1", async (t) => {
  const stage = new Stage(t);
  stage.client.audits.events = [
    { kind: "finding", finding: MISSING },
    { kind: "finding", finding: { ...MISSING, handle: 65, wayOut: "lumeo chunk verify 65" } },
    { kind: "finding", finding: COUNT },
    { kind: "unchecked", subject: "cs3", why: "it is away" },
  ];
  t.is(await fsck(stage.context(), undefined, {}), 1);
  const lines = stage.stdout.split("\n");
  t.is(lines[0], "missing replica: /d/a, chunk 64, on cs2: the server does not have it");
  t.is(lines[2], "wrong count: inode 7 is referred to 2 times, expected 1");
  t.is(lines[3], "not checked: cs3: it is away");
  t.regex(lines[4] ?? "", /^3 problems, not everything could be checked: /);
  t.deepEqual(lines.slice(5), [
    "  missing replica: lumeo chunk verify 64",
    "  wrong count: please report it",
    "",
  ]);
});

test("a note of fsck is told, and is no problem", async (t) => {
  const stage = new Stage(t);
  const note = { subject: "cs1", what: "2 copies of chunks that no file has, about to go" };
  stage.client.audits.events = [{ kind: "note", ...note }];
  t.is(await fsck(stage.context(), undefined, {}), 0);
  t.regex(
    stage.stdout,
    /^note: cs1: 2 copies of chunks that no file has, about to go\nno problems/,
  );
  const json = new Stage(t);
  json.client.audits.events = [{ kind: "note", ...note }];
  t.is(await fsck(json.context({ json: true }), undefined, {}), 0);
  t.like(json.objects[0], { note });
  t.like(json.objects[1], { summary: { problems: 0, unchecked: 0 } });
});

test("fsck ends with 2 if something could not be checked, or the cluster is gone", async (t) => {
  const stage = new Stage(t);
  stage.client.audits.events = [{ kind: "unchecked", subject: "cs3", why: "it is away" }];
  t.is(await fsck(stage.context(), undefined, {}), 2);
  const gone = new Stage(t);
  const failure = Object.assign(new Error("nobody answers"), { code: "LUMEO_UNAVAILABLE" });
  gone.client.audits.failure = failure;
  t.is(await fsck(gone.context(), undefined, {}), 2);
  t.regex(gone.stderr, /error: nobody answers/);
  t.regex(gone.stdout, /^not everything could be checked: 0 files/);
  const wrong = new Stage(t);
  wrong.client.audits.failure = Object.assign(new Error("no"), { code: "LUMEO_NOT_FOUND" });
  await t.throwsAsync(fsck(wrong.context(), "/nope", {}), { code: "LUMEO_NOT_FOUND" });
});

test("fsck --json has a finding a line and the summary last, and passes on what is wished", async (t) => {
  const stage = new Stage(t);
  stage.client.audits.events = [{ kind: "finding", finding: MISSING }];
  const options = { bytes: true, patience: "1m" };
  t.is(await fsck(stage.context({ json: true }), "lumeo:/d", options), 1);
  t.like(stage.objects[0], { finding: { fault: "missing", path: "/d/a", handle: 64 } });
  t.like(stage.objects[1], { summary: { problems: 1, unchecked: 0 } });
  t.like(stage.client.audits.asked, { path: "/d", bytes: true, patienceMs: 60_000 });
  await t.throwsAsync(fsck(stage.context(), undefined, { patience: "soon" }), { code: "USAGE" });
});

function chunk(path: string, findings: readonly VerifiedReplica["finding"][]): VerifiedChunk {
  const replicas = findings.map((finding, i) => {
    return { server: `cs${i + 1}`, finding, why: finding === "intact" ? "" : "block 3" };
  });
  return { path, index: 0, handle: 64, length: 10, replicas, isGrowing: false, isInline: false };
}

function withFiles(t: ExecutionContext): Stage {
  const stage = new Stage(t);
  for (const name of ["a", "b"]) {
    stage.setRemote(`/d/${name}`, "content");
    stage.client.audits.chunks.set(`/d/${name}`, [chunk(`/d/${name}`, ["intact", "intact"])]);
  }
  stage.client.tree.set("/d", "dir");
  return stage;
}

test("verify of intact files says so and ends with 0, in trees with -r", async (t) => {
  const stage = withFiles(t);
  t.is(await verify(stage.context(), ["/d"], { recursive: true }), 0);
  t.regex(stage.stdout, /^all intact: 2 files, 2 chunks, 4 replicas, /);
});

test("verify names the replica that is bad and ends with 1, with 2 for one that is not read", async (t) => {
  const stage = withFiles(t);
  stage.client.audits.chunks.set("/d/a", [chunk("/d/a", ["intact", "bad"])]);
  stage.client.audits.chunks.set("/d/b", [chunk("/d/b", ["unknown", "intact"])]);
  t.is(await verify(stage.context(), ["/d/a", "/d/b"], {}), 1);
  t.regex(stage.stdout, /^damaged: \/d\/a, chunk 64 \(number 0\), on cs2: block 3\n/);
  t.regex(stage.stdout, /\nnot read: \/d\/b, chunk 64 \(number 0\), on cs1: block 3\n/);
  t.regex(stage.stdout, /1 replica damaged \(being made again.*1 replica could not be read/);
  const unread = withFiles(t);
  unread.client.audits.chunks.set("/d/b", [chunk("/d/b", ["unknown", "intact"])]);
  t.is(await verify(unread.context({ json: true }), ["/d/b"], {}), 2);
  t.like(unread.objects[0], { path: "/d/b", handle: 64 });
  t.like(unread.objects[1], { summary: { files: 1, bad: 0, unknown: 1 } });
});

test("verify names a parity unit that does not fit, and ends with 1", async (t) => {
  const stage = withFiles(t);
  stage.client.audits.chunks.set("/d/a", [chunk("/d/a", ["intact", "unfit"])]);
  t.is(await verify(stage.context(), ["/d/a"], {}), 1);
  t.regex(stage.stdout, /^does not fit: \/d\/a, chunk 64 \(number 0\), on cs2: block 3\n/);
  t.regex(stage.stdout, /1 parity unit that would give nothing back/);
});

test("verify refuses a directory without -r, goes on after a path that is not there", async (t) => {
  const stage = withFiles(t);
  t.is(await verify(stage.context(), ["/d"], {}), 2);
  t.is(await verify(stage.context(), ["/nope"], {}), 3);
  t.is(await verify(stage.context(), ["/nope", "/d/a"], {}), 2);
  t.regex(stage.stderr, /there is no such path/);
});
