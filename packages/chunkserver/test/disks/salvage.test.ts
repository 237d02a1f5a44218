// The log of growing chunks whose disk fails at every call in turn. While the disk can be read, no
// promise is lost, no record, and no word about a sealed chunk; when it cannot, nothing that was
// promised is taken for new.

import { chunkHandle, LumeoError } from "@lumeofs/base";
import test from "ava";
import { auditTails } from "../tail/faults/tail-audit.js";
import { TailLedger } from "../tail/faults/tail-ledger.js";
import type { TailProcess } from "../tail/faults/tail-machine.js";
import { TailUser } from "../tail/faults/tail-script.js";
import { startTails } from "./start-tails.js";
import { TwoDisks } from "./two-disks.js";

/** Small chunks that are sealed go to the other disk: what is sealed is looked up there. */
async function runScript(user: TailUser): Promise<void> {
  await user.all([
    user.append(1, 1, [100, 2_000, 5]),
    user.fence(2, 2),
    user.append(3, 1, [3_000]),
  ]);
  await user.round();
  await user.all([user.append(1, 1, [700]), user.append(3, 1, [9_000, 40])]);
  await user.all([user.fence(1, 2), user.append(4, 1, [8_000, 8_000])]);
  await user.all([user.append(1, 3, [300, 900], 2), user.remove(3, 1)]);
  await user.seal(4, 1);
  await user.settle(4);
  await user.all([user.finish(4), user.append(7, 1, [120_000, 400_000, 300_000])]);
  await user.all([user.append(7, 1, [450_000]), user.fence(8, 4)]);
  await user.forget(2);
  await user.round();
}

async function live(at: number, ends: "once" | "for good") {
  const machine = new TwoDisks();
  const process = await machine.start();
  const tails = await startTails(process);
  const before = machine.callsOf("/a");
  const isHit = (since: number): boolean => since === at || (ends === "for good" && at < since);
  machine.faultOf = (of, number) => {
    return of === "/a" && isHit(number - before) ? "EIO" : undefined;
  };
  const seen: TailProcess = {
    store: process.store,
    get tails() {
      return tails.store;
    },
    timers: process.timers,
    failures: process.failures,
    alarms: [],
  };
  const ledger = new TailLedger();
  let hasFailed = false;
  try {
    await runScript(new TailUser(seen, ledger));
  } catch (error) {
    if (!(error instanceof LumeoError)) throw error;
    hasFailed = true;
  }
  for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
  return { machine, process, tails, seen, ledger, hasFailed };
}

async function callsOfTheScript(): Promise<number> {
  const { machine, hasFailed } = await live(1_000_000, "once");
  if (hasFailed) throw new Error("the script fails without a fault");
  return machine.callsOf("/a");
}

test("growing chunks lose nothing with their disk while it can be read", async (t) => {
  const calls = await callsOfTheScript();
  let moved = 0;
  for (let at = 1; at <= calls; at++) {
    const { process, tails, seen, ledger } = await live(at, "once");
    if (tails.disk.folder === "/a") continue; // it was not called so often
    moved++;
    t.is(process.set.roster.tailFloor, 0, `call ${at}: nothing is in doubt`);
    const { faults, found } = await auditTails(seen, ledger);
    const real = faults.filter((fault) => !isOfLostChunk(fault, seen));
    t.deepEqual(real, [], `call ${at} of ${calls}`);
    const user = new TailUser(seen, found);
    if (tails.store.find(chunkHandle(1))?.isInDoubt === false) await user.append(1, 20, [1_234]);
    await user.fence(99, 1);
    await user.round();
    t.false(tails.store.find(chunkHandle(99))?.isInDoubt, "what is new is new");
    await tails.close();
  }
  t.true(20 < moved, `${moved} of ${calls}`);
});

/** A sealed chunk on the disk that has failed is not there any more; its writes are known. */
function isOfLostChunk(fault: string, { store, tails }: TailProcess): boolean {
  const [, number] = /^chunk (\d+) /.exec(fault) ?? [];
  const handle = chunkHandle(Number(number));
  return tails.isSealed(handle) && store.find(handle) === undefined;
}

test("what was promised on a disk that cannot be read is in doubt, never new", async (t) => {
  const calls = await callsOfTheScript();
  for (let at = 1; at <= calls; at += 2) {
    const { process, tails, ledger } = await live(at, "for good");
    if (tails.disk.folder === "/a") continue;
    t.is(process.set.roster.tailFloor, "unknown", `call ${at}`);
    for (const handle of ledger.handles) {
      const replica = await tails.store.replicaOf(handle);
      t.true(replica === undefined || replica.isInDoubt, `call ${at}: chunk ${handle}`);
    }
    await tails.close();
  }
});

test("a log that is gone from its place is not taken for an empty one", async (t) => {
  const { process, tails } = await live(1_000_000, "once");
  const disk = process.set.serving.find(({ folder }) => folder === "/a");
  await disk?.disk.remove("volume");
  disk?.fail(new LumeoError("STORE_FAILED", "The disk was pulled"));
  for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
  t.is(tails.disk.folder, "/b");
  t.is(process.set.roster.tailFloor, "unknown");
  t.true((await tails.store.replicaOf(chunkHandle(1)))?.isInDoubt);
});

test("a log that has lost its last promise is not taken for whole", async (t) => {
  const { process, tails, seen, ledger } = await live(1_000_000, "once");
  await new TailUser(seen, ledger).append(7, 1, [5_000]);
  const disk = process.set.serving.find(({ folder }) => folder === "/a");
  const names = (await disk?.disk.list("tails"))?.filter((name) => name.endsWith(".wal"));
  const file = await disk?.disk.open(`tails/${names?.sort().at(-1)}`, { create: false });
  await file?.truncate((await file.size()) - 10);
  disk?.fail(new LumeoError("STORE_FAILED", "The disk forgets what it was told to keep"));
  for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
  t.is(tails.disk.folder, "/b");
  t.is(process.set.roster.tailFloor, "unknown");
  t.true((await tails.store.replicaOf(chunkHandle(7)))?.isInDoubt);
});
