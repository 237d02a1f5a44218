// The part of a soak in which callers work and things go wrong, until the time is up and every call
// has ended.

import { setMaxListeners } from "node:events";
import { SeededRandom } from "@lumeofs/base";
import { Lumeo } from "@lumeofs/client";
import type { LocalCluster } from "../../local-cluster.js";
import { Ledger } from "../ledger.js";
import { longEnough, type Stretch } from "../long-enough.js";
import { rest } from "../rest.js";
import { appendRecords, SharedLogs } from "./appenders.js";
import { Caller, type Stage } from "./caller.js";
import { keepCoded } from "./coded-folders.js";
import { type Fault, Faults } from "./faults.js";
import type { Journal } from "./journal.js";
import { keepSnapshots } from "./keepsakes.js";
import { liveWithLargeFiles } from "./large-files.js";
import { Model } from "./model.js";
import { Nemesis } from "./nemesis.js";
import { passBy } from "./passers-by.js";
import { race } from "./races.js";
import { liveWithSmallFiles } from "./small-files.js";
import { liveWithTrees } from "./trees.js";
import { Upheavals } from "./upheavals.js";
import { Watchtower } from "./watchtower.js";

export interface PlayPlan extends Stretch {
  readonly seed: number;
  readonly journal: Journal;
  readonly largeBytesMax: number;
  readonly largeBudgetBytes: number;
  readonly repairAfterMs: number;
  /** Some folders are kept as this code: see keepCoded. */
  readonly code?: string | undefined;
}

export interface Played {
  readonly ledger: Ledger;
  readonly faults: readonly Fault[];
  /** By the ledger's clock: nothing new was begun from then on. */
  readonly overMs: number;
}

const CLIENTS = 3;
const SMALL_CALLERS = 4;
const SMALL_BYTES_MAX = 256 * 1024;
const APPENDERS = 3;
const RECORD_BYTES_MAX = 32 * 1024;
const KEPT_BYTES_MAX = 4 * 1024 * 1024;
const FULL_BYTES = 64 * 1024 * 1024;
/** Calls still under way so long after the last fault hang. */
const HANG_MS = 120_000;

/** Runs all of it. */
export async function play(cluster: LocalCluster, plan: PlayPlan): Promise<Played> {
  const end = new AbortController();
  setMaxListeners(0, end.signal); // one for everybody who rests
  const random = new SeededRandom(plan.seed, "soak");
  const ledger: Ledger = new Ledger(() => faults.underWay);
  const faults = new Faults(() => ledger.elapsedMs);
  const { endpoints } = cluster;
  const clients = Array.from({ length: CLIENTS }, () => new Lumeo({ endpoints }));
  await using tower = new Watchtower(endpoints);
  const parts = { cluster, tower, faults, anomaly: (text: string) => ledger.anomaly(text) };
  const nemesis = new Nemesis(
    { ...parts, random: random.fork("nemesis") },
    { restMsMax: 6_000, faultMsMax: 12_000 },
  );
  const upheavals = new Upheavals(
    { ...parts, random: random.fork("upheavals") },
    { restMsMax: 4_000, repairAfterMs: plan.repairAfterMs, fullBytes: FULL_BYTES },
  );
  try {
    if (plan.code !== undefined) await keepCoded(clients[0] as Lumeo, plan.code);
    const stage = { model: new Model(), journal: plan.journal, ledger, end: end.signal };
    const work = begin(clients, random, stage, plan);
    const harm = Promise.all([nemesis.run(end.signal), upheavals.run(end.signal)]);
    const over = longEnough(plan, () => faults.all.length, end.signal);
    await Promise.race([over, work, harm]);
    end.abort();
    const overMs = ledger.elapsedMs;
    await harm;
    if (!(await inTime(work))) {
      for (const call of ledger.underWay) ledger.anomaly(`hangs: ${call}`);
    }
    return { ledger, faults: faults.all, overMs };
  } finally {
    end.abort();
    await Promise.all(clients.map((client) => client.close({ graceMs: 0 })));
  }
}

function begin(
  clients: readonly Lumeo[],
  random: SeededRandom,
  stage: Stage,
  plan: PlayPlan,
): Promise<unknown> {
  const caller = (name: string, client: number): Caller => {
    return new Caller(clients[client % CLIENTS] as Lumeo, random.fork(name), stage);
  };
  const folders = countTo(SMALL_CALLERS).map((i) => `/small-${i}`);
  const smallFiles = folders.map((folder, i) =>
    liveWithSmallFiles(caller(folder, i), { folder, bytesMax: SMALL_BYTES_MAX, restMsMax: 120 }),
  );
  const [bytesMax, budgetBytes] = [plan.largeBytesMax, plan.largeBudgetBytes];
  const large = { folder: "/large", bytesMax, budgetBytes, restMsMax: 800 };
  const kept = { folder: "/kept", busy: folders, bytesMax: KEPT_BYTES_MAX, restMsMax: 600 };
  const logs = new SharedLogs("/logs");
  const appended = { folder: "/logs", bytesMax: RECORD_BYTES_MAX, restMsMax: 150 };
  const racers = countTo(CLIENTS).map((i) => caller(`racer ${i}`, i));
  return Promise.all([
    ...smallFiles,
    liveWithLargeFiles(caller("large", 0), large),
    liveWithTrees(caller("trees", 1), { folder: "/trees", restMsMax: 200 }),
    keepSnapshots(caller("kept", 2), kept),
    ...countTo(APPENDERS).map((i) => appendRecords(caller(`appender ${i}`, i), logs, appended)),
    race(racers, { folder: "/races", restMsMax: 200 }),
    passBy(caller("passer-by", 1), { restMsMax: 150 }),
  ]);
}

/** False if something has not ended by then. */
async function inTime(work: Promise<unknown>): Promise<boolean> {
  const over = new AbortController();
  const patience = rest(HANG_MS, over.signal).then(() => false);
  const ended = await Promise.race([work.then(() => true), patience]);
  over.abort();
  return ended;
}

function countTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, i) => i);
}
