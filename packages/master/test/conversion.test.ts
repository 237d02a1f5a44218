// Conversions by a leader in virtual time: whole trees there and back, failures on the way, changes
// of leaders, and what policies begin.

import { CODE_DEFAULT, type Code, GRANT_SLOTS, KiB, ROOT_INODE, serverId } from "@lumeofs/base";
import test, { type ExecutionContext } from "ava";
import { JobPass } from "../src/duties/conversion/job-pass.js";
import { NO_POLICY } from "../src/metadata/directory-record.js";
import { grantsNaming } from "../src/metadata/healing-queries.js";
import { stat } from "../src/metadata/queries.js";
import { ConversionOffice } from "./conversion-office.js";
import { commitOf, copyOf, inlineOf } from "./metadata-driver.js";
import { audit } from "./state-audit.js";

const CODE = CODE_DEFAULT;
const NARROW: Code = { data: 2, parity: 1, cellBytes: 64 * KiB };

async function office(
  t: ExecutionContext,
  servers: number,
  limits?: ConstructorParameters<typeof ConversionOffice>[0],
): Promise<ConversionOffice> {
  const one = new ConversionOffice(limits);
  await one.start(servers);
  t.teardown(() => one.close());
  return one;
}

test("a tree is converted there and back, at a bounded pace, and jobs say how far", async (t) => {
  const o = await office(t, 7);
  for (let n = 0; n < 10; n++) await o.file(`/t/d${n % 3}/f${n}`, 1 + (n % 12));
  await o.file("/other", 2);
  const before = o.inode("/t/d0/f9");
  const there = await o.tree("/t", CODE);
  await o.seconds(1);
  t.is(o.job(there).total.chunks, 55);
  await o.seconds(9);
  t.like(o.job(there), { state: "done", done: { chunks: 55, bytes: 220 } });
  t.true(o.shape("/t/d0/f9").every((servers) => servers === -6));
  t.deepEqual(o.inode("/t/d0/f9"), { ...before, code: CODE });
  t.deepEqual(o.shape("/other"), [3, 3]);
  t.true(o.mostAtOnce <= 4 && o.mostOfOne <= 2);
  t.is(o.audits, 55 * 3, "four bytes have one unit of data, and two of parity");
  const back = await o.tree("/t", undefined);
  await o.seconds(10);
  t.like(o.job(back), { state: "done", done: { chunks: 55, bytes: 220 } });
  t.deepEqual(o.inode("/t/d0/f9"), before);
  t.true(o.shape("/t/d0/f9").every((servers) => servers === 3));
  const again = await o.tree("/t", undefined);
  await o.seconds(2);
  t.like(o.job(again), { state: "done", note: "nothing was to be done" });
  t.deepEqual(await audit(o.state), []);
});

test("a file, a copy of it and an earlier version become the same new chunks", async (t) => {
  const o = await office(t, 6);
  await o.file("/f", 2);
  await o.change(copyOf("/f", "/copy"));
  const job = await o.tree("/f", CODE);
  await o.seconds(5);
  t.is(o.job(job).state, "done");
  t.deepEqual(o.shape("/copy"), [-6, -6]);
  t.is(o.job(job).done.chunks, 2);
  t.is(o.inode("/copy").code, undefined, "it is not what was asked for");
  t.deepEqual(await audit(o.state), []);
});

test("small files stay with the masters, unmarked and counted, whatever they were to become", async (t) => {
  const o = await office(t, 6);
  for (const name of ["a", "b"]) {
    const command = inlineOf(`/t/${name}`, new Uint8Array(50), { makeParents: true });
    await o.change(command);
  }
  await o.file("/t/f", 1);
  const before = o.inode("/t/a");
  const coded = await o.tree("/t", CODE);
  await o.seconds(5);
  const note = "every chunk was read again; 2 files are too small and stay with the masters";
  t.like(o.job(coded), { state: "done", done: { chunks: 1 }, note });
  const copies = await o.tree("/t/a", undefined, 5);
  await o.seconds(2);
  const nothing = "nothing was to be done; 1 file is too small and stays with the masters";
  t.like(o.job(copies), { state: "done", note: nothing });
  t.deepEqual(o.inode("/t/a"), before);
  t.deepEqual(await audit(o.state), []);
});

test("files get more copies and fewer, but never fewer where others have their chunks", async (t) => {
  const o = await office(t, 6);
  await o.file("/t/f", 2);
  await o.file("/t/shared", 2);
  await o.change(copyOf("/t/shared", "/copy"));
  const more = await o.tree("/t", undefined, 5);
  await o.seconds(5);
  t.like(o.job(more), { state: "done", done: { chunks: 4 } });
  t.deepEqual(
    [o.shape("/t/f"), o.shape("/copy")],
    [
      [5, 5],
      [5, 5],
    ],
  );
  t.deepEqual([o.inode("/t/f").replicas, o.inode("/copy").replicas], [5, 3]);
  const fewer = await o.tree("/t", undefined, 2);
  await o.seconds(5);
  t.like(o.job(fewer), { state: "done", done: { chunks: 2 } });
  t.deepEqual(
    [o.shape("/t/f"), o.shape("/t/shared")],
    [
      [2, 2],
      [5, 5],
    ],
  );
  t.is(o.inode("/t/f").replicas, 2);
  const again = await o.tree("/t", undefined, 2);
  await o.seconds(2);
  t.like(o.job(again), { state: "done", note: "nothing was to be done" });
  const coded = await o.tree("/t/f", CODE);
  await o.seconds(3);
  t.like(o.job(coded), { state: "done" });
  const back = await o.tree("/t/f", undefined);
  await o.seconds(3);
  t.like(o.job(back), { state: "done" });
  t.deepEqual(o.shape("/t/f"), [2, 2], "as the file says since then");
  t.deepEqual(await audit(o.state), []);
});

test("a conversion survives its leader, and begins nothing twice that has ended", async (t) => {
  const o = await office(t, 6);
  for (let n = 0; n < 20; n++) await o.file(`/t/f${n}`, 3);
  o.takesMs = 400;
  const job = await o.tree("/t", CODE);
  await o.seconds(2);
  const half = o.job(job).done.chunks;
  t.true(0 < half && half < 60, `${half} of 60`);
  o.replication.lead(false);
  await o.seconds(1);
  o.replication.lead(true);
  await o.seconds(20);
  t.like(o.job(job), { state: "done", done: { chunks: 60 } });
  t.true(o.ordered <= 60 + 4, "only what was under way was ordered again");
  t.deepEqual(await audit(o.state), []);
});

test("a paused job begins nothing more, and a cancelled one leaves the rest as it is", async (t) => {
  const o = await office(t, 6);
  for (let n = 0; n < 20; n++) await o.file(`/t/f${n}`);
  o.takesMs = 500;
  const job = await o.tree("/t", CODE);
  await o.seconds(2);
  await o.change({ kind: "changeJob", job, to: "paused", note: "" });
  await o.seconds(2);
  const { ordered } = o;
  const { done } = o.job(job);
  t.true(0 < done.chunks && done.chunks < 20);
  await o.seconds(5);
  t.is(o.ordered, ordered);
  await o.change({ kind: "changeJob", job, to: "running", note: "" });
  await o.seconds(1);
  await o.change({ kind: "changeJob", job, to: "cancelled", note: "" });
  await o.seconds(60);
  const { chunks } = o.job(job).done;
  t.true(chunks < 20);
  const coded = Array.from({ length: 20 }, (_, n) => o.shape(`/t/f${n}`)[0] === -6);
  t.is(coded.filter((isCoded) => isCoded).length, chunks);
  await o.seconds(120);
  t.deepEqual(
    (await o.jobs()).map(({ state }) => state),
    ["cancelled"],
    "and no policy goes on with it",
  );
  t.deepEqual(await audit(o.state), []);
});

test("a target that fails or rots is avoided, and a chunk nobody has is said in the note", async (t) => {
  const o = await office(t, 8);
  for (let n = 0; n < 6; n++) await o.file(`/t/f${n}`);
  o.refusing.add(serverId(7));
  o.rotten.add(serverId(8));
  o.unreadable.add(o.chunks("/t/f0")[0]?.handle as never);
  const job = await o.tree("/t", CODE);
  await o.seconds(120);
  t.like(o.job(job), { state: "running", done: { chunks: 5 } });
  t.regex(o.job(job).note, /1 chunks could not be converted yet.*nobody has it/);
  t.true(5 < o.job(job).failures);
  const live = await Promise.all(
    o.machines.map(({ id }) => grantsNaming(o.state, serverId(id), 100)),
  );
  t.deepEqual(live.flat(), [], "what was written in vain is garbage at once");
  o.unreadable.clear();
  await o.seconds(120);
  t.is(o.job(job).state, "done");
  t.deepEqual(await audit(o.state), []);
});

test("a conversion ends while two servers come and go for ever", async (t) => {
  const o = await office(t, 8);
  for (let n = 0; n < 12; n++) await o.file(`/t/f${n}`, 3);
  o.takesMs = 1_500;
  const flapping = o.goByTurns(1, 7, 4_000);
  const job = await o.tree("/t", CODE);
  for (let i = 0; i < 600 && o.job(job).state === "running"; i++) await o.seconds(1);
  t.like(o.job(job), { state: "done", done: { chunks: 36 } });
  flapping.cancel();
  t.deepEqual(await audit(o.state), []);
});

test("with too few servers a job waits, and says for how many", async (t) => {
  const o = await office(t, 6);
  await o.file("/t/f", 2);
  o.down(6);
  await o.seconds(4);
  const job = await o.tree("/t", CODE);
  await o.seconds(20);
  t.like(o.job(job), { state: "running", done: { chunks: 0 } });
  t.regex(o.job(job).note, /6/);
  t.is(o.ordered, 0);
});

test("files that are replaced or removed meanwhile hold nothing up", async (t) => {
  const o = await office(t, 6);
  for (let n = 0; n < 8; n++) await o.file(`/t/f${n}`, 2);
  o.takesMs = 1_000;
  const job = await o.tree("/t", CODE);
  await o.seconds(1.5);
  for (let n = 0; n < 8; n += 2) await o.file(`/t/f${n}`, 1);
  const removal = { recursive: false, skipTrash: true, fence: undefined } as const;
  for (let n = 1; n < 4; n += 2) {
    const precondition = { kind: "none" } as const;
    await o.change({ kind: "remove", path: `/t/f${n}`, precondition, ...removal });
  }
  await o.seconds(60);
  t.is(o.job(job).state, "done");
  t.deepEqual(o.shape("/t/f0"), [-6]);
  t.deepEqual(o.shape("/t/f5"), [-6, -6]);
  t.deepEqual(await audit(o.state), []);
});

test("a policy leaves small files, and goes on with what files are meant to be", async (t) => {
  const o = await office(t, 6, { restMs: 200_000 });
  await o.file("/old/small", 1);
  const policy = { ...NO_POLICY, codeAfterMs: 1_000 };
  await o.change({ kind: "setPolicy", path: "/old", policy });
  await o.file("/appended", 2);
  const found = stat(o.state, "/appended");
  const parent = ROOT_INODE;
  if (found.kind === "refused") throw new Error(found.message);
  const files = [{ parent, name: "appended", inode: found.id, code: NARROW }];
  await o.change({ kind: "setFileCodes", files });
  await o.seconds(130);
  t.deepEqual(o.shape("/old/small"), [3]);
  t.deepEqual(o.shape("/appended"), [3, 3], "something may still be appended");
  t.deepEqual(await o.jobs(), []);
  await o.seconds(130);
  t.deepEqual(o.shape("/appended"), [-3, -3]);
  t.like((await o.jobs())[0], {
    state: "done",
    done: { chunks: 2 },
    conversion: { kind: "policy" },
  });
  await o.seconds(200);
  t.is((await o.jobs()).length, 1);
  t.deepEqual(await audit(o.state), []);
});

test("no policy looks into a tree that an operator converts to something else", async (t) => {
  const o = await office(t, 6, { restMs: 0, policyLookMs: 1_000 });
  await o.file("/t/f", 2);
  await o.file("/t/g", 2);
  await o.seconds(2);
  const coded = await o.tree("/t", NARROW);
  await o.seconds(5);
  t.is(o.job(coded).state, "done");
  o.takesMs = 2_000;
  const job = await o.tree("/t", CODE);
  await o.seconds(2);
  await o.change({ kind: "changeJob", job, to: "paused", note: "" });
  await o.seconds(60);
  t.deepEqual(o.shape("/t/f"), [-6, -6], "it is not what the file is marked as");
  t.is((await o.jobs()).length, 2);
  await o.change({ kind: "changeJob", job, to: "running", note: "" });
  await o.seconds(60);
  t.is(o.job(job).state, "done");
  t.deepEqual(o.inode("/t/f").code, CODE);
  await o.seconds(10);
  t.is((await o.jobs()).length, 2, "and then there is nothing for a policy to do");
});

test("a job ends though its tree changes all the time", async (t) => {
  const o = await office(t, 6);
  for (let n = 0; n < 6; n++) await o.file(`/t/f${n}`, 2);
  const job = await o.tree("/t", CODE);
  for (let n = 0; n < 100 && o.job(job).state === "running"; n++) {
    await o.file(`/t/f${n % 4}`, 1);
    await o.file(`/t/late${n}`, 1);
    await o.world.sleep(100);
  }
  t.is(o.job(job).state, "done");
  t.deepEqual(o.shape("/t/f5"), [-6, -6]);
  t.deepEqual(o.inode("/t/f5").code, CODE);
  t.deepEqual(await audit(o.state), []);
});

test("a look ends though files with rising names come faster than they are converted", async (t) => {
  const o = await office(t, 6);
  let count = 0;
  const write = async (files: number): Promise<void> => {
    const handles = await o.allocate([1, 2, 3], files);
    for (const handle of handles) {
      const path = `/t/f${String(count++).padStart(5, "0")}`;
      await o.change(commitOf(path, [handle], { makeParents: true }));
    }
  };
  for (let n = 0; n < 8; n++) await write(GRANT_SLOTS);
  const found = stat(o.state, "/t");
  const root = found.kind === "found" ? found.id : ROOT_INODE;
  const begunAt = o.clock.wallMs();
  const pass = new JobPass(o.state, {
    conversion: { kind: "tree", root, path: "/t", to: CODE, copies: undefined },
    ...{ isMeasure: false, since: begunAt, begunAt, restMs: 0, except: new Set() },
  });
  for (let n = 0; n < 100 && !pass.isAtEnd; n++) {
    await o.world.sleep(1);
    await write(GRANT_SLOTS);
    await pass.look(o.state, o.clock.wallMs());
    pass.waiting.splice(0, GRANT_SLOTS / 2);
  }
  t.true(pass.isAtEnd);
  t.is(pass.left.chunks, 8 * GRANT_SLOTS);
});
