// The power fails, or the disk does, at every single call. What was acknowledged is there
// afterwards, whole; what was not is there whole or not at all.

import { LumeoError, SeededRandom } from "@lumeofs/base";
import { type CrashLoss, type DiskFault, SimDisk } from "@lumeofs/testkit";
import test, { type ExecutionContext } from "ava";
import type { ChunkStore } from "../src/store/chunk-store.js";
import { MemoryIndex } from "../src/store/memory-index.js";
import {
  bytesFor,
  HANDLES,
  named,
  nothingTold,
  openStore,
  readAll,
  type Told,
  work,
} from "./store-fixture.js";

const LOSSES: readonly CrashLoss[] = ["some", "all", "none"];
const random = (seed: number) => new SeededRandom(seed, "disk");

/** Disk calls of opening an empty store, and of opening it and doing all the work. */
async function countCalls(): Promise<{ readonly open: number; readonly all: number }> {
  const machine = new SimDisk({ random: random(1) });
  const opened = await openStore(machine.mount(), new MemoryIndex());
  const open = machine.calls;
  await work(opened, nothingTold());
  return { open, all: machine.calls };
}

async function contentNow(store: ChunkStore, handle: number): Promise<Uint8Array | undefined> {
  try {
    return await readAll(store, handle);
  } catch (error) {
    if (error instanceof LumeoError && error.code === "REPLICA_MISSING") return undefined;
    throw error;
  }
}

async function checkAgainst(t: ExecutionContext, store: ChunkStore, told: Told, when: string) {
  t.deepEqual(store.damaged(), [], when);
  for (const handle of HANDLES) {
    const found = await contentNow(store, handle);
    if (found !== undefined) t.deepEqual(found, bytesFor(handle), `${when}: chunk ${handle}`);
    if (told.removed.has(handle)) t.is(found, undefined, `${when}: removed ${handle} is back`);
    const isOwed = told.stored.has(handle) && !told.removing.has(handle);
    if (isOwed) t.not(found, undefined, `${when}: acknowledged ${handle} is lost`);
  }
}

test("a crash at any call of the disk loses nothing acknowledged, with and without index", async (t) => {
  const calls = await countCalls();
  t.true(calls.open + 40 < calls.all, `${calls.all} calls`);
  for (let at = calls.open + 1; at <= calls.all; at++) {
    for (const [round, loss] of LOSSES.entries()) {
      let crash: () => void = () => undefined;
      const crashed = new Promise<void>((resolve) => {
        crash = resolve;
      });
      const faultOf = ({ number }: { number: number }) => (number === at ? "crash" : undefined);
      const machine = new SimDisk({ random: random(at), faultOf, crashed: () => crash() });
      const index = new MemoryIndex();
      const told = nothingTold();
      const opened = await openStore(machine.mount(), index);
      await Promise.race([work(opened, told), crashed]);
      machine.crash(loss);
      const isIndexKept = (at + round) % 2 === 0;
      const again = await openStore(machine.mount(), isIndexKept ? index : new MemoryIndex());
      await checkAgainst(t, again.store, told, `call ${at}, ${loss}, index kept: ${isIndexKept}`);
      await again.store.close();
    }
  }
});

test("a crash while a store is formatted or recovers leaves one that opens", async (t) => {
  const calls = await countCalls();
  const told = nothingTold();
  for (let at = 1; ; at += 5) {
    let crash: () => void = () => undefined;
    const crashed = new Promise<void>((resolve) => {
      crash = resolve;
    });
    const faultOf = ({ number }: { number: number }) => (number === at ? "crash" : undefined);
    const machine = new SimDisk({ random: random(at), faultOf, crashed: () => crash() });
    const index = new MemoryIndex();
    const twice = async () => {
      const opened = await openStore(machine.mount(), index);
      await opened.store.close();
      await openStore(machine.mount(), index);
    };
    const isOver = await Promise.race([twice().then(() => true), crashed.then(() => false)]);
    if (isOver) {
      t.true(calls.open < at);
      return;
    }
    machine.crash("some");
    const opened = await openStore(machine.mount(), index);
    await checkAgainst(t, opened.store, told, `call ${at}`);
    await opened.store.close();
  }
});

test("an error of the disk at any call ends the store: nothing is acknowledged after it", async (t) => {
  const calls = await countCalls();
  const faults: readonly DiskFault[] = ["EIO", "ENOSPC"];
  for (let at = calls.open + 1; at <= calls.all; at++) {
    const fault = faults[at % 2];
    const faultOf = ({ number }: { number: number }) => (number === at ? fault : undefined);
    const machine = new SimDisk({ random: random(at), faultOf });
    const index = new MemoryIndex();
    const told = nothingTold();
    const opened = await openStore(machine.mount(), index);
    await t.throwsAsync(work(opened, told), { code: "STORE_FAILED" }, `call ${at}`);
    const when = `${fault} at call ${at}`;
    t.is(opened.failures.length, 1, when);
    t.is(opened.store.status().state, "failed", when);
    // What was under way when it failed may have settled since; nothing may be told from now on.
    const toldAtFailure = new Set(told.stored);
    await t.throwsAsync(opened.store.remove([named(4)]), { code: "STORE_FAILED" });
    await t.throwsAsync(readAll(opened.store, 4), { code: "STORE_FAILED" });
    await opened.store.close();
    t.deepEqual(told.stored, toldAtFailure, when);
    machine.crash("all");
    const again = await openStore(machine.mount(), at % 3 === 0 ? index : new MemoryIndex());
    await checkAgainst(t, again.store, told, when);
    await again.store.close();
  }
});
