import { type ChunkHandle, type ServerId, serverId } from "@lumeofs/base";
import test from "ava";
import { MetadataDriver, registrationOf } from "../../test/metadata-driver.js";
import { audit } from "../../test/state-audit.js";
import { getChunk } from "./chunk-table.js";
import type { Reply, SealedChunk } from "./command.js";
import { FRESH_EPOCH } from "./grants.js";
import { getJob, type JobId, type JobKind, openJob } from "./jobs.js";
import { getMove, type MoveOutcome } from "./moves.js";
import { nodeOf } from "./nodes.js";
import { type Holding, standingOfReplica } from "./replica-standing.js";

const [ONE, TWO, FOUR] = [1, 2, 4].map(serverId) as [never, never, never];

/** Servers cs1 to cs4, and files whose chunks are on the first three of them. */
class Cluster extends MetadataDriver {
  constructor() {
    super();
    for (const name of ["cs1", "cs2", "cs3", "cs4"]) this.register(name, name);
  }

  register(name: string, storeUuid: string): Reply {
    return this.apply(registrationOf(name, { storeUuid }));
  }

  file(path: string): ChunkHandle {
    const [handle] = this.grant(1) as [ChunkHandle];
    this.apply({ ...commitShape(path), chunks: [{ handle, ...SEAL, coding: undefined }] });
    return handle;
  }

  begin(job: JobKind, subject?: number): JobId {
    const reply = this.apply({
      kind: "createJob",
      job,
      subject: subject === undefined ? undefined : serverId(subject),
    });
    if (reply.kind !== "jobCreated") throw new Error(JSON.stringify(reply));
    return reply.job;
  }

  move(handle: ChunkHandle, job: JobId, target: number, leaving?: number): boolean {
    const reply = this.apply({
      kind: "beginMoves",
      moves: [
        {
          handle,
          job,
          target: serverId(target),
          leaving: leaving === undefined ? undefined : serverId(leaving),
        },
      ],
    });
    return reply.kind === "movesBegun" && reply.handles.length === 1;
  }

  end(handle: ChunkHandle, outcome: MoveOutcome): Reply {
    return this.apply({ kind: "endMoves", moves: [{ handle, outcome }] });
  }

  members(handle: ChunkHandle): readonly number[] | undefined {
    return getChunk(this.state, handle)?.members;
  }
}

/** A server whose copy is looked at, while all members are fine. */
const at = (server: ServerId) => ({ server, isGood: () => true });
const copyStanding = (m: Cluster, handle: ChunkHandle, holding: Holding) =>
  standingOfReplica(m.state, { handle, epoch: FRESH_EPOCH }, holding);
const SEAL = { epoch: 1 as never, lengthBytes: 4, crc32c: 0 };

function commitShape(path: string) {
  return {
    kind: "commit" as const,
    path,
    upload: undefined,
    chunks: [] as SealedChunk[],
    chunkSizeBytes: 4,
    replicas: 3,
    code: undefined,
    crc32c: 0,
    precondition: { kind: "none" as const },
    makeParents: true,
    contentType: "",
    metadata: {},
    tags: {},
    ttlMs: undefined,
    fence: undefined,
    inline: undefined,
  };
}

test("a copy of a lost server is made anew elsewhere, and only its end changes the members", async (t) => {
  const m = new Cluster();
  const handle = m.file("/a");
  const job = m.begin("repair", 1);
  t.true(m.move(handle, job, 4, 1));
  t.deepEqual(m.members(handle), [1, 2, 3]);
  t.deepEqual(getMove(m.state, handle), { job, target: FOUR, leaving: ONE });
  t.is(copyStanding(m, handle, at(FOUR)), "moveTarget");
  t.deepEqual(await audit(m.state), []);
  m.end(handle, "moved");
  t.deepEqual(m.members(handle), [2, 3, 4]);
  t.is(copyStanding(m, handle, at(ONE)), "garbage");
  t.is(copyStanding(m, handle, { server: ONE, isGood: (member) => member !== 4 }), "kept");
  t.like(getJob(m.state, job), { moves: 0, done: { chunks: 1, bytes: 4 }, failures: 0 });
  t.deepEqual(await audit(m.state), []);
});

test("a move that ends twice ends once, and one that failed leaves the members alone", async (t) => {
  const m = new Cluster();
  const handle = m.file("/a");
  const job = m.begin("repair", 1);
  t.true(m.move(handle, job, 4, 1));
  t.false(m.move(handle, job, 4, 1));
  m.end(handle, "failed");
  m.end(handle, "failed");
  t.like(getJob(m.state, job), { moves: 0, done: { chunks: 0, bytes: 0 }, failures: 1 });
  t.deepEqual(m.members(handle), [1, 2, 3]);
  t.is(copyStanding(m, handle, at(FOUR)), "garbage");
  t.true(m.move(handle, job, 4, 1));
  m.end(handle, "moved");
  m.end(handle, "moved");
  t.deepEqual(m.members(handle), [2, 3, 4]);
  t.deepEqual(await audit(m.state), []);
});

test("moves that make no sense do not begin", (t) => {
  const m = new Cluster();
  const handle = m.file("/a");
  const job = m.begin("repair", 1);
  t.false(m.move(999_999 as ChunkHandle, job, 4, 1));
  t.false(m.move(handle, job, 9, 1), "an unknown target");
  t.false(m.move(handle, job, 2, 1), "the target has a copy");
  t.false(m.move(handle, job, 4, 4), "who leaves has none");
  m.apply({ kind: "changeJob", job, to: "paused", note: "" });
  t.false(m.move(handle, job, 4, 1), "the job is paused");
  m.apply({ kind: "changeJob", job, to: "running", note: "" });
  m.remove("/a");
  t.false(m.move(handle, job, 4, 1), "no file has the chunk");
});

test("a damaged copy is replaced where it is", async (t) => {
  const m = new Cluster();
  const handle = m.file("/a");
  const job = m.begin("mend", 2);
  t.true(m.move(handle, job, 2, 2));
  m.end(handle, "moved");
  t.deepEqual(m.members(handle), [1, 2, 3]);
  t.like(getJob(m.state, job), { done: { chunks: 1, bytes: 4 } });
  t.deepEqual(await audit(m.state), []);
});

test("a chunk that is forgotten takes its move along, and its copies are garbage", async (t) => {
  const m = new Cluster();
  const handle = m.file("/a");
  const job = m.begin("repair", 1);
  m.move(handle, job, 4, 1);
  m.apply({ kind: "forgetChunks", handles: [handle] });
  t.not(getMove(m.state, handle), undefined, "a file has it");
  m.remove("/a");
  m.apply({ kind: "forgetChunks", handles: [handle] });
  t.is(getMove(m.state, handle), undefined);
  t.like(getJob(m.state, job), { moves: 0 });
  t.is(copyStanding(m, handle, at(FOUR)), "garbage");
  m.end(handle, "moved");
  t.deepEqual(await audit(m.state), []);
});

test("one job of a kind and server is open at a time", async (t) => {
  const m = new Cluster();
  const first = m.begin("repair", 1);
  const again = { kind: "createJob", job: "repair", subject: ONE } as const;
  t.like(m.apply(again), { kind: "refused", code: "CONFLICT" });
  t.is(openJob(m.state, { kind: "repair", subject: ONE }), first);
  m.begin("repair", 2);
  m.apply({ kind: "changeJob", job: first, to: "done", note: "" });
  t.is(openJob(m.state, { kind: "repair", subject: ONE }), undefined);
  t.not(m.begin("repair", 1), first);
  const late = m.apply({ kind: "changeJob", job: first, to: "running", note: "" });
  t.like(late, { kind: "refused", code: "PRECONDITION" });
  m.apply({ kind: "dropJobs", jobs: [first] });
  t.is(getJob(m.state, first), undefined);
  t.deepEqual(await audit(m.state), []);
});

test("a job of which moves are left is not dropped, nor is an open one", async (t) => {
  const m = new Cluster();
  const handle = m.file("/a");
  const job = m.begin("repair", 1);
  m.apply({ kind: "dropJobs", jobs: [job] });
  t.not(getJob(m.state, job), undefined);
  m.move(handle, job, 4, 1);
  m.apply({ kind: "changeJob", job, to: "cancelled", note: "back" });
  m.apply({ kind: "dropJobs", jobs: [job] });
  t.like(getJob(m.state, job), { state: "cancelled", note: "back", moves: 1 });
  m.end(handle, "moved");
  m.apply({ kind: "dropJobs", jobs: [job] });
  t.is(getJob(m.state, job), undefined);
  t.deepEqual(await audit(m.state), []);
});

test("a drain and its end say what part the server takes, whatever store it has", (t) => {
  const m = new Cluster();
  const standing = () => nodeOf(m.state, "cs1").standing;
  const drain = m.begin("drain", 1);
  t.is(standing(), "draining");
  const both = m.apply({ kind: "createJob", job: "decommission", subject: ONE });
  t.like(both, { kind: "refused", code: "CONFLICT" });
  m.apply({ kind: "changeJob", job: drain, to: "cancelled", note: "" });
  t.is(standing(), "active");
  const leave = m.begin("decommission", 1);
  m.apply({ kind: "changeJob", job: leave, to: "done", note: "" });
  t.is(standing(), "decommissioned");
  m.register("cs1", "another-store");
  t.is(standing(), "decommissioned");
});

test("labels of operators come and go, and need a node of that name", (t) => {
  const m = new Cluster();
  const change = (name: string, setLabels: Record<string, string>, removeLabels: string[] = []) =>
    m.apply({ kind: "changeNode", name, standing: undefined, setLabels, removeLabels });
  t.is(change("cs1", { rack: "r1", zone: "z" }).kind, "done");
  t.is(change("cs1", { rack: "r2" }, ["zone"]).kind, "done");
  t.deepEqual(nodeOf(m.state, "cs1"), { standing: "active", labels: { rack: "r2" } });
  t.like(change("cs9", { rack: "r1" }), { kind: "refused", code: "NOT_FOUND" });
  const many = Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`l${i}`, "x"]));
  t.like(change("cs1", many), { kind: "refused", code: "INVALID_ARGUMENT" });
  change("cs1", {}, ["rack"]);
  t.deepEqual(nodeOf(m.state, "cs1"), { standing: "active", labels: {} });
});

test("a rebalance is for all servers, and other jobs are for one that exists", (t) => {
  const m = new Cluster();
  m.begin("rebalance");
  const none = m.apply({ kind: "createJob", job: "repair", subject: serverId(99) });
  t.like(none, { kind: "refused", code: "NOT_FOUND" });
  t.is(openJob(m.state, { kind: "rebalance", subject: undefined }), 1 as JobId);
  t.is(openJob(m.state, { kind: "repair", subject: TWO }), undefined);
});
