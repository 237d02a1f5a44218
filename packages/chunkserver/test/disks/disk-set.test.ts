// Who belongs together, what is known of lost disks, and what becomes of growing chunks.

import {
  type Clock,
  chunkHandle,
  epoch,
  LumeoError,
  monotonicMs,
  SILENT_LOGGER,
  serverId,
  wallMs,
} from "@lumeofs/base";
import test from "ava";
import type { AssignedPage, AssignedPorts } from "../../src/disks/assigned-chunks.js";
import { LossSearch } from "../../src/disks/loss-search.js";
import type { MovableTails } from "../../src/disks/movable-tails.js";
import { openMandates, openStopped } from "../../src/disks/open-chunk-disks.js";
import { RollCall } from "../../src/disks/roll-call.js";
import { contentOf, newChunk } from "../store-fixture.js";
import { startTails } from "./start-tails.js";
import { type DisksProcess, type Folder, TwoDisks } from "./two-disks.js";

const MEMBERSHIP = { serverId: serverId(9), clusterId: "c1" };

async function putSmall({ store }: DisksProcess, handle: number): Promise<void> {
  const bytes = new Uint8Array(50 + handle).fill(handle);
  await store.putSmall(newChunk(handle), contentOf(bytes), [bytes]);
}

/** 19 chunks, of which each disk gets some. */
async function putMany(process: DisksProcess): Promise<void> {
  for (let handle = 2; handle < 40; handle += 2) await putSmall(process, handle);
}

function die(machine: TwoDisks, folder: Folder): void {
  machine.faultOf = (of) => (of === folder ? "EIO" : undefined);
}

/** Uses the disks until one of them has failed. */
async function meetFailure(process: DisksProcess): Promise<void> {
  const { set, failures } = process;
  const before = set.lost.length;
  for (let handle = 1_000; set.lost.length === before && failures.length === 0; handle += 2) {
    await putSmall(process, handle).catch((error: LumeoError) => {
      if (error.code !== "STORE_FAILED") throw error;
    });
  }
  await settle(process);
}

/** Rings all timers, and lets what they begin end. */
async function settle({ timers }: DisksProcess): Promise<void> {
  timers.ring();
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

test("all disks say who the server is, and a new one is told", async (t) => {
  const machine = new TwoDisks();
  const alone = await machine.start({ folders: ["/a"] });
  await alone.set.join(MEMBERSHIP);
  const { uuid } = alone.set;
  t.is(alone.set.serving[0]?.uuid, uuid, "the first disk has the uuid of the server");
  const both = await machine.start();
  t.is(both.set.uuid, uuid);
  t.deepEqual(both.set.membership, MEMBERSHIP);
  t.deepEqual(both.set.serving[1]?.volume.membership, MEMBERSHIP);
  t.not(both.set.serving[1]?.uuid, uuid);
  machine.missing.add("/a");
  const second = await machine.start();
  t.deepEqual([second.set.uuid, second.set.membership], [uuid, MEMBERSHIP]);
  t.is(second.set.lost[0]?.folder, "/a");
});

test("a disk that is not given, stands twice, or is another server's is refused", async (t) => {
  const machine = new TwoDisks();
  const both = await machine.start();
  const second = both.set.serving[1]?.uuid ?? "";
  const refusal = { code: "CONFIG", message: new RegExp(`disk ${second}, last at "/b", is not`) };
  await t.throwsAsync(machine.start({ folders: ["/a"] }), refusal);
  await t.throwsAsync(machine.start({ folders: ["/a", "/a"] }), { message: /given twice/ });
  const retired = await machine.start({ folders: ["/a"], retired: [second] });
  t.deepEqual(retired.set.lost, []);
  t.true(0 < retired.set.roster.lossAtMs, "what was on it is looked for");
  machine.replace("/b");
  await machine.start({ folders: ["/b"] });
  await t.throwsAsync(machine.start(), { code: "CONFIG", message: /another chunkserver/ });
});

test("two folders may change their places", async (t) => {
  const machine = new TwoDisks();
  const before = await machine.start();
  await putMany(before);
  machine.swap();
  const after = await machine.start();
  t.deepEqual(after.set.lost, []);
  t.is((await after.store.page(undefined, 100)).length, 19);
});

test("a loss is known over restarts, until the disk is back or another stands there", async (t) => {
  const machine = new TwoDisks();
  const first = await machine.start();
  die(machine, "/b");
  await meetFailure(first);
  t.deepEqual(
    first.set.serving.map(({ folder }) => folder),
    ["/a"],
  );
  t.is(first.set.lost[0]?.loss.sinceMs, machine.nowMs);
  t.regex(first.set.lost[0]?.loss.why ?? "", /EIO/);
  const since = machine.nowMs;
  machine.nowMs += 5_000;
  const second = await machine.start();
  t.like(second.set.lost, { length: 1, 0: { folder: "/b", loss: { sinceMs: since } } });
  machine.faultOf = () => undefined;
  const back = await machine.start();
  t.deepEqual([back.set.lost, back.set.isBack], [[], true]);
  machine.replace("/b");
  const fresh = await machine.start();
  t.deepEqual([fresh.set.lost.length, fresh.set.serving.length], [0, 2]);
});

test("the last disk ends the process, and with the first start nothing is half made", async (t) => {
  const machine = new TwoDisks();
  const process = await machine.start();
  machine.faultOf = () => "EIO";
  await meetFailure(process);
  await meetFailure(process);
  t.is(process.failures.length, 1);
  await t.throwsAsync(putSmall(process, 2), { code: "STORE_FAILED" });
  await t.throwsAsync(machine.start(), { code: "STORE_FAILED" });
  const other = new TwoDisks();
  die(other, "/a");
  await t.throwsAsync(other.start(), { code: "STORE_FAILED" });
  other.faultOf = () => undefined;
  t.is((await other.start()).set.serving.length, 2);
});

test("of two units of a chunk, the one on the disk that was not away counts and stays", async (t) => {
  const machine = new TwoDisks();
  const first = await machine.start();
  await putMany(first);
  const on = async ({ set }: DisksProcess, n: number) => {
    return (await set.serving[n]?.store.page(undefined, 100))?.map(({ handle }) => handle) ?? [];
  };
  const away = await on(first, 0);
  t.true(0 < away.length);
  machine.missing.add("/a");
  const alone = await machine.start();
  const unit = new Uint8Array(77).fill(1);
  for (const handle of away) await alone.store.putSmall(newChunk(handle), contentOf(unit), [unit]);
  machine.missing.clear();
  const back = await machine.start();
  const lengths = () => away.map((handle) => back.store.find(handle)?.length);
  const expected = away.map(() => unit.byteLength);
  t.deepEqual(lengths(), expected);
  t.is(await back.store.removeShadows(async () => undefined), away.length);
  t.deepEqual(lengths(), expected);
});

test("what is stopped is stopped on all disks, and one that was away learns it", async (t) => {
  const machine = new TwoDisks();
  const ports = { logger: SILENT_LOGGER, onFailure: () => undefined };
  const [a, b] = [chunkHandle(64), chunkHandle(65)];
  const first = await machine.start();
  const stopped = await openStopped(first.set, ports);
  await stopped.stop(a, "a test");
  await stopped.stop(b, "a test");
  machine.missing.add("/b");
  const alone = await machine.start();
  const kept = await openStopped(alone.set, ports);
  t.deepEqual(kept.list(), [a, b]);
  await kept.forget([a]);
  machine.missing.clear();
  const both = await machine.start();
  t.deepEqual((await openStopped(both.set, ports)).list(), [b], "the old list does not count");
  machine.missing.add("/a");
  const other = await machine.start();
  t.deepEqual((await openStopped(other.set, ports)).list(), [b]);
});

test("whose orders are obeyed is known to all disks, and one that was away learns it", async (t) => {
  const machine = new TwoDisks();
  const ports = { logger: SILENT_LOGGER, onFailure: () => undefined };
  const mandates = await openMandates((await machine.start()).set, ports);
  await mandates.obey(5);
  machine.missing.add("/b");
  const alone = await openMandates((await machine.start()).set, ports);
  t.is(alone.newest, 5);
  await alone.obey(8);
  machine.missing.clear();
  t.is((await openMandates((await machine.start()).set, ports)).newest, 8);
  machine.missing.add("/a");
  const other = await openMandates((await machine.start()).set, ports);
  await t.throwsAsync(other.obey(5), { code: "NOT_LEADER" });
  await other.obey(8);
});

/** Takes back what `hang` has done, and lets late calls arrive. */
function hang(machine: TwoDisks, folder: Folder): () => Promise<void> {
  let goOn = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  machine.hanging.set(folder, gate);
  return async () => {
    machine.hanging.delete(folder);
    goOn();
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
  };
}

/** Handles from a number on whose disk is this one: put one after the other until it hangs. */
async function putUntilHung(process: DisksProcess, from: number) {
  for (let handle = from; ; handle += 2) {
    const watched = { isOver: false };
    const put = putSmall(process, handle).finally(() => {
      watched.isOver = true;
    });
    put.catch(() => undefined);
    for (let i = 0; i < 20 && !watched.isOver; i++) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (!watched.isOver) return { handle, put };
  }
}

/** A machine whose second disk has chunks already, and hangs with one more under way. */
async function startHanging() {
  const machine = new TwoDisks();
  const process = await machine.start();
  await putMany(process);
  const goOn = hang(machine, "/b");
  const { handle, put } = await putUntilHung(process, 100);
  return { machine, process, goOn, handle, put };
}

test("a disk that hangs takes nothing new until it answers, and loses nothing by it", async (t) => {
  const { process, goOn, handle, put } = await startHanging();
  const { set, store, timers } = process;
  for (let i = 0; i < 2; i++) timers.ring();
  t.is(set.serving[1]?.suspicion, "");
  timers.ring();
  t.regex(set.serving[1]?.suspicion ?? "", /has not returned for 3 s/);
  t.is(store.status().state, "serving", "the other disk takes new chunks");
  for (let other = 200; other < 220; other += 2) await putSmall(process, other);
  t.is((await set.serving[0]?.store.page(chunkHandle(199), 100))?.length, 10, "all of them");
  const there = (await set.serving[1]?.store.page(undefined, 1))?.[0]?.handle;
  if (there === undefined) return t.fail();
  const refused = { code: "UNAVAILABLE", message: /"\/b".*go to another server/ };
  await t.throwsAsync(store.open(there, epoch(1)), refused);
  await t.throwsAsync(store.verify(there), refused);
  await goOn();
  await put;
  t.is(set.serving[1]?.suspicion, "");
  t.is(store.find(chunkHandle(handle))?.length, 50 + handle);
  t.is((await store.verify(there)).kind, "intact");
  t.deepEqual(set.lost, []);
});

test("a disk that hangs for too long is lost, and what it brings late was promised to nobody", async (t) => {
  const { machine, process, goOn, handle, put } = await startHanging();
  const { set, store, timers } = process;
  for (let i = 0; i < 6; i++) timers.ring();
  await t.throwsAsync(put, { code: "STORE_FAILED", message: /hangs.*for 6 s/ });
  await settle(process);
  t.deepEqual(
    set.serving.map(({ folder }) => folder),
    ["/a"],
  );
  t.regex(set.lost[0]?.loss.why ?? "", /The disk at "\/b" hangs/);
  await putSmall(process, handle);
  await goOn();
  t.is(set.serving.length, 1);
  t.is(store.find(chunkHandle(handle))?.length, 50 + handle);
  const again = await machine.start();
  t.is(again.store.find(chunkHandle(handle))?.length, 50 + handle);
  t.is((await again.store.verify(chunkHandle(handle))).kind, "intact");
});

test("the only disk that hangs for too long ends the process; so does one at a start", async (t) => {
  const machine = new TwoDisks();
  const process = await machine.start({ folders: ["/a"] });
  hang(machine, "/a");
  const { put } = await putUntilHung(process, 2);
  for (let i = 0; i < 3; i++) process.timers.ring();
  t.is(process.store.status().state, "readOnly", "the masters give it no new chunks");
  await t.throwsAsync(putSmall(process, 2), { code: "UNAVAILABLE" });
  for (let i = 0; i < 3; i++) process.timers.ring();
  await t.throwsAsync(put, { code: "STORE_FAILED" });
  t.is(process.failures.length, 1);
});

/** Masters that have some chunks here. */
class FakeMasters {
  isReachable = true;
  pages = 0;

  constructor(readonly handles: readonly number[]) {}

  async listAssigned(after: number): Promise<AssignedPage> {
    this.pages++;
    if (!this.isReachable) throw new LumeoError("NO_LEADER", "Cannot ask: there is no leader");
    const [handle] = this.handles.filter((one) => after < one);
    const isLast = handle === this.handles.at(-1) || handle === undefined;
    const handles = handle === undefined ? [] : [chunkHandle(handle)];
    const upto = isLast ? Number.MAX_SAFE_INTEGER : (handle ?? 0);
    return { handles, upto, isLast, grantedUpto: 700, grantMs: 60_000 };
  }
}

function assignedPorts(
  { set: disks, store: chunks, timers }: DisksProcess,
  masters: FakeMasters,
  onFound: () => void = () => undefined,
): AssignedPorts {
  return { disks, chunks, masters, timers, logger: SILENT_LOGGER, onFound };
}

function wallClockOf(machine: TwoDisks): Clock {
  return { monotonicMs: () => monotonicMs(0), wallMs: () => wallMs(machine.nowMs) };
}

test("second copies of a disk that is back are removed after a restart, too", async (t) => {
  const machine = new TwoDisks();
  const first = await machine.start();
  await putMany(first);
  const away = (await first.set.serving[0]?.store.page(undefined, 100)) ?? [];
  machine.missing.add("/a");
  const alone = await machine.start();
  for (const { handle } of away) await putSmall(alone, handle);
  machine.missing.clear();
  await machine.start(); // it ends before anything is removed
  const process = await machine.start();
  const count = () =>
    process.set.serving.reduce((sum, { store }) => sum + store.status().chunkCount, 0);
  t.is(count(), 19 + away.length);
  const handles = Array.from({ length: 19 }, (_, i) => 2 + 2 * i);
  const ports = assignedPorts(process, new FakeMasters(handles));
  const search = new LossSearch({ ...ports, clock: wallClockOf(machine) });
  for (let i = 0; i < 60; i++) await settle(process);
  t.is(count(), 19);
  t.true(0 < process.set.roster.lossAtMs, "a writer's grant may still live");
  machine.nowMs += 61_000;
  for (let i = 0; i < 60; i++) await settle(process);
  t.is(process.set.roster.lossAtMs, 0);
  await search.close();
});

async function isInDoubt(tails: MovableTails, handle: number): Promise<boolean | undefined> {
  return (await tails.store.replicaOf(chunkHandle(handle)))?.isInDoubt;
}

test("growing chunks begin anew on another disk, and what may have been promised is in doubt", async (t) => {
  const machine = new TwoDisks();
  const process = await machine.start();
  const tails = await startTails(process);
  t.is(tails.disk.folder, "/a");
  t.false(await isInDoubt(tails, 64));
  die(machine, "/a");
  await meetFailure(process);
  t.is(tails.disk.folder, "/b");
  t.is(process.set.roster.tailsOn, tails.disk.uuid);
  t.is(process.set.roster.tailFloor, "unknown");
  t.true(await isInDoubt(tails, 64), "something was promised for it");
  t.true(await isInDoubt(tails, 500), "nobody knows");
  await process.set.update(() => ({ tailFloor: 200 }));
  t.true(await isInDoubt(tails, 200));
  t.false(await isInDoubt(tails, 201), "it is newer than the loss");
  machine.faultOf = () => undefined;
  const again = await machine.start();
  const kept = await startTails(again);
  t.is(kept.disk.folder, "/b", "the other disk has an old log");
  for (const handle of [64, 150, 200]) t.true(await isInDoubt(kept, handle));
  t.false(await isInDoubt(kept, 300));
  const old = again.set.serving.find(({ folder }) => folder === "/a");
  t.is((await old?.disk.list("tails/known"))?.length, 1, "nobody has touched it");
});

test("what was on a lost disk is asked of the masters, told, and asked until it cannot turn up", async (t) => {
  const machine = new TwoDisks();
  const first = await machine.start();
  const handles = Array.from({ length: 12 }, (_, i) => 64 + 2 * i);
  for (const handle of handles) await putSmall(first, handle);
  const here = first.set.serving.find(({ folder }) => folder === "/a");
  const lost = handles.filter((handle) => here?.store.find(chunkHandle(handle)) === undefined);
  t.true(0 < lost.length && lost.length < handles.length);
  machine.missing.add("/b");
  const process = await machine.start();
  await process.set.update(() => ({ tailFloor: "unknown" }));
  const masters = new FakeMasters(handles);
  masters.isReachable = false;
  let told = 0;
  const ports = assignedPorts(process, masters, () => told++);
  const search = new LossSearch({ ...ports, clock: wallClockOf(machine) });
  const rounds = async (): Promise<void> => {
    for (let i = 0; i < 30; i++) await settle(process);
  };
  await rounds();
  t.deepEqual(process.store.damaged(), []);
  masters.isReachable = true;
  await rounds();
  const damaged = [...process.store.damaged()].sort((a, b) => a - b);
  t.deepEqual(damaged, lost.map(chunkHandle));
  t.true(0 < told);
  t.is(process.set.roster.tailFloor, 700);
  for (const handle of lost.slice(1)) await putSmall(process, handle);
  t.deepEqual(process.store.damaged(), [chunkHandle(lost[0] ?? 0)]);
  await process.store.remove([{ handle: chunkHandle(lost[0] ?? 0), epoch: epoch(1) }]);
  t.deepEqual(process.store.damaged(), []);
  masters.handles.forEach((handle, i) => {
    if (handle === lost[0]) (masters.handles as number[]).splice(i, 1);
  });
  await rounds();
  t.true(0 < process.set.roster.lossAtMs, "a writer's grant may still live");
  machine.nowMs += 61_000;
  await rounds();
  t.is(process.set.roster.lossAtMs, 0);
  const { pages } = masters;
  await rounds();
  t.is(masters.pages, pages, "nobody asks any more");
  await search.close();
});

test("what a member lacks without the loss of a disk is told after a second look", async (t) => {
  const machine = new TwoDisks();
  const process = await machine.start();
  const handles = [64, 66, 68, 70, 72];
  for (const handle of handles) if (handle !== 66 && handle !== 70) await putSmall(process, handle);
  const masters = new FakeMasters(handles);
  let told = 0;
  const ports = assignedPorts(process, masters, () => told++);
  const rollCall = new RollCall({ ...ports, pauseMs: 10_000 });
  const looks = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await settle(process);
  };
  await looks(2);
  t.is(masters.pages, 2, "64, and 66 once");
  t.deepEqual(process.store.damaged(), [], "it may be on its way");
  await looks(3);
  t.deepEqual(process.store.damaged(), [chunkHandle(66)]);
  t.is(masters.pages, 5, "66 was looked at twice, 70 once");
  await putSmall(process, 70);
  await looks(20);
  t.deepEqual(process.store.damaged(), [chunkHandle(66)], "70 came between two looks");
  t.is(told, 1);
  await putSmall(process, 66);
  t.deepEqual(process.store.damaged(), []);
  await looks(20);
  t.deepEqual([process.store.damaged(), told], [[], 1]);
  await rollCall.close();
});

test("the roll is called again when there is a leader, and not while a lost disk is searched", async (t) => {
  const machine = new TwoDisks();
  const process = await machine.start();
  const masters = new FakeMasters([64]);
  masters.isReachable = false;
  const rollCall = new RollCall({ ...assignedPorts(process, masters), pauseMs: 10_000 });
  for (let i = 0; i < 4; i++) await settle(process);
  t.deepEqual([process.store.damaged(), masters.pages], [[], 4]);
  masters.isReachable = true;
  await process.set.update(() => ({ lossAtMs: 5 }));
  for (let i = 0; i < 4; i++) await settle(process);
  t.deepEqual([process.store.damaged(), masters.pages], [[], 4]);
  await process.set.update(() => ({ lossAtMs: 0 }));
  for (let i = 0; i < 2; i++) await settle(process);
  t.deepEqual(process.store.damaged(), [chunkHandle(64)]);
  await rollCall.close();
});

test("calls that go past a disk are watched as its own, and there are only so many of them", async (t) => {
  const { set, timers } = await new TwoDisks().start();
  let begun = 0;
  const calls = Array.from({ length: 10 }, () => {
    const call = set.call("/b", "look for a file", () => {
      begun++;
      return new Promise(() => undefined);
    });
    return t.throwsAsync(call, { code: "STORE_FAILED", message: /look for a file/ });
  });
  t.true(begun < 8, "threads are left");
  for (let i = 0; i < 6; i++) timers.ring();
  await Promise.all(calls);
  t.deepEqual(
    set.lost.map(({ folder }) => folder),
    ["/b"],
  );
  await t.throwsAsync(
    set.call("/b", "look", async () => 1),
    { code: "UNAVAILABLE" },
  );
  t.is(await set.call("/a", "look", async () => 1), 1);
});
