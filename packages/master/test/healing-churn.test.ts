// Jobs while servers come and go, copies are damaged all the time and moves fail, in virtual time:
// each makes progress, or says why not, and none waits for others to have nothing to do.

import { type ChunkHandle, serverId } from "@lumeofs/base";
import test from "ava";
import type { Job, JobKind } from "../src/metadata/jobs.js";
import { HealingOffice, LIMITS } from "./healing-office.js";
import { audit } from "./state-audit.js";

const SIX = ["cs1", "cs2", "cs3", "cs4", "cs5", "cs6"];

async function files(office: HealingOffice, count: number, members = [1, 2, 3]) {
  const handles: ChunkHandle[] = [];
  for (let i = 0; i < count; i++) handles.push(await office.file(`/${members}-${i}`, members));
  return handles;
}

async function jobOf(office: HealingOffice, kind: JobKind): Promise<Job | undefined> {
  return (await office.jobs()).findLast((job) => job.kind === kind);
}

/** Waits, in virtual time, until the last job of a kind has ended. */
async function ended(office: HealingOffice, kind: JobKind, secondsMax: number) {
  for (let i = 0; i < secondsMax; i++) {
    const job = await jobOf(office, kind);
    if (job !== undefined && job.endedAt !== 0) return job;
    await office.seconds(1);
  }
  return undefined;
}

/** Damages one of the copies of a chunk every `everyMs`, in turn: there is always one to mend. */
function keepMending(office: HealingOffice, handles: readonly ChunkHandle[], everyMs: number) {
  let turn = 0;
  return office.clock.every(everyMs, () => {
    const handle = handles[turn++ % handles.length] as ChunkHandle;
    const [member] = office.members(handle);
    if (member !== undefined) office.damage(member, handle);
  });
}

test("a rebalance ends though something is being repaired all the time", async (t) => {
  const office = await HealingOffice.open(t, SIX);
  const handles = await files(office, 30);
  office.copyMs = 900;
  const mending = keepMending(office, handles.slice(0, 6), 300);
  await office.seconds(10);
  await office.change({ kind: "createJob", job: "rebalance", subject: undefined });
  const job = await ended(office, "rebalance", 300);
  t.like(job, { state: "done", moves: 0, note: "every copy was read again" });
  const counts = new Map<number, number>();
  for (const member of handles.flatMap((handle) => office.members(handle))) {
    counts.set(member, (counts.get(member) ?? 0) + 1);
  }
  for (let id = 1; id <= 6; id++) t.true(Math.abs((counts.get(id) ?? 0) - 15) <= 2, `${id}`);
  t.true((await office.jobs()).some(({ kind, state }) => kind === "mend" && state === "running"));
  mending.cancel();
  t.deepEqual(await audit(office.state), []);
});

test("a rebalance ends though a server that it needs comes and goes for ever", async (t) => {
  const office = await HealingOffice.open(t, SIX);
  await files(office, 40);
  office.copyMs = 1_500;
  let isUp = true;
  const flapping = office.clock.every(4_000, () => {
    isUp = !isUp;
    if (isUp) office.up(6);
    else office.down(6);
  });
  await office.change({ kind: "createJob", job: "rebalance", subject: undefined });
  const job = await ended(office, "rebalance", 900);
  t.is(job?.state, "done");
  t.true(0 < (job?.done.chunks ?? 0));
  flapping.cancel();
  t.deepEqual(await audit(office.state), []);
});

test("a rebalance whose targets all refuse gives up, and says so", async (t) => {
  const office = await HealingOffice.open(t, [...SIX, "cs7", "cs8"]);
  await files(office, 12);
  for (const id of [4, 5, 6, 7, 8]) office.refusing.add(serverId(id));
  await office.change({ kind: "createJob", job: "rebalance", subject: undefined });
  const job = await ended(office, "rebalance", 600);
  t.like(job, { state: "done", done: { chunks: 0 } });
  t.true(0 < (job?.failures ?? 0));
  t.regex(job?.note ?? "", /^ended before servers were even: .*no room/);
});

test("a lost server is repaired though a drain has much to do before", async (t) => {
  const office = await HealingOffice.open(t, SIX, { limits: { ...LIMITS, movesPerServer: 1 } });
  await files(office, 400, [1, 2, 3]);
  const single = await files(office, 5, [4, 5]);
  office.copyMs = 2_000;
  await office.change({ kind: "createJob", job: "drain", subject: serverId(1) });
  await office.seconds(60);
  office.down(4);
  await office.seconds(LIMITS.repairAfterMs / 1_000 + 60);
  t.like(await jobOf(office, "drain"), { state: "running" });
  t.like(await jobOf(office, "repair"), { subject: 4 });
  for (const handle of single) t.false(office.members(handle).includes(4));
});

test("a job says how many chunks wait for a server that does not answer", async (t) => {
  const office = await HealingOffice.open(t, ["cs1", "cs2", "cs3", "cs4"]);
  await files(office, 7);
  office.down(1);
  await office.change({ kind: "createJob", job: "drain", subject: serverId(1) });
  await office.seconds(30);
  const note = "7 chunks wait for their server, which does not answer";
  t.like(await jobOf(office, "drain"), { state: "running", note });
  office.up(1);
  t.like(await ended(office, "drain", 60), { state: "done", done: { chunks: 7 } });
});

test("a job says why its moves fail, and ends when they do not any more", async (t) => {
  const office = await HealingOffice.open(t, ["cs1", "cs2", "cs3", "cs4"]);
  await files(office, 3);
  office.refusing.add(serverId(4));
  await office.change({ kind: "createJob", job: "drain", subject: serverId(1) });
  await office.seconds(40);
  const note = "3 chunks failed and are tried again soon: cs4: no room";
  t.like(await jobOf(office, "drain"), { state: "running", note });
  office.refusing.clear();
  t.like(await ended(office, "drain", 120), { state: "done", done: { chunks: 3 } });
});

test("a job stops saying that no server can take copies when one does", async (t) => {
  const office = await HealingOffice.open(t, ["cs1", "cs2", "cs3", "cs4"]);
  await files(office, 100);
  office.down(4);
  office.copyMs = 5_000;
  await office.change({ kind: "createJob", job: "drain", subject: serverId(1) });
  await office.seconds(30);
  const homeless = "100 chunks found no server that can take a copy";
  t.like(await jobOf(office, "drain"), { state: "running", note: homeless });
  office.up(4);
  await office.seconds(30);
  t.like(await jobOf(office, "drain"), { state: "running", note: "" });
});

for (const kind of ["drain", "decommission"] as const) {
  test(`a ${kind} ends while two servers come and go for ever`, async (t) => {
    const office = await HealingOffice.open(t, SIX);
    const handles = await files(office, 30);
    office.copyMs = 1_500;
    const flapping = office.goByTurns(5, 6, 5_000);
    await office.change({ kind: "createJob", job: kind, subject: serverId(2) });
    t.like(await ended(office, kind, 900), { state: "done", done: { chunks: 30 } });
    for (const handle of handles) t.false(office.members(handle).includes(2));
    flapping.cancel();
    t.deepEqual(await audit(office.state), []);
  });
}

test("what is lost is repaired while the leaders change all the time", async (t) => {
  const office = await HealingOffice.open(t, SIX);
  const handles = await files(office, 20);
  office.copyMs = 2_000;
  office.down(1);
  await office.seconds(70);
  for (let i = 0; i < 20; i++) {
    office.replication.lead(false);
    await office.seconds(1);
    office.replication.lead(true);
    await office.seconds(6);
  }
  t.like(await ended(office, "repair", 60), { state: "done" });
  for (const handle of handles) t.false(office.members(handle).includes(1));
  t.deepEqual(await audit(office.state), []);
});
