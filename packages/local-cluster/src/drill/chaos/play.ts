// The part of a chaos drill in which things go wrong: callers and nemesis at work, until the time
// is up and every call has ended.

import { setMaxListeners } from "node:events";
import type { SeededRandom } from "@lumeofs/base";
import { Lumeo } from "@lumeofs/client";
import type { LocalCluster } from "../../local-cluster.js";
import { Ledger } from "../ledger.js";
import { longEnough, type Stretch } from "../long-enough.js";
import { rest } from "../rest.js";
import { Counter } from "./counter.js";
import { type ChaosFault, GroupNemesis } from "./group-nemesis.js";
import { LockUsers } from "./lock-users.js";
import type { MemberLogs } from "./member-logs.js";
import { NameKeeper } from "./names.js";
import { Watcher, type WatcherKind } from "./watchers.js";

export interface PlayParts {
  readonly stretch: Stretch;
  readonly random: SeededRandom;
  readonly logs: MemberLogs;
  /** Makes one backup of the metadata. @throws if that failed. */
  readonly backup: (endpoints: readonly string[]) => Promise<void>;
}

/** What came of it. */
export interface Played {
  readonly ledger: Ledger;
  readonly faults: readonly ChaosFault[];
  /** Masters whose disk was wiped. */
  readonly wiped: ReadonlySet<string>;
  readonly keepers: readonly NameKeeper[];
  readonly counter: Counter;
  readonly watchers: readonly Watcher[];
  readonly backups: { readonly made: number; readonly failed: number };
}

export const FOLDER = "/chaos";
/** The last change of all. */
export const LAST = `${FOLDER}/last`;
const CLIENTS = 3;
const KEEPERS = 4;
const READERS = 3;
const LOCK_USERS = 3;
const WATCHERS: readonly WatcherKind[] = ["steady", "slow", "resuming"];
/** What is still under way so long after the last fault hangs. */
const HANG_MS = 60_000;
const BACKUP_REST_MS = 1_500;

/** Runs all of it. Everybody knows the masters of the beginning only. */
export async function play(cluster: LocalCluster, parts: PlayParts): Promise<Played> {
  const { random } = parts;
  const { endpoints } = cluster;
  const clients = Array.from({ length: CLIENTS }, () => new Lumeo({ endpoints }));
  const client = (i: number): Lumeo => clients[i % CLIENTS] as Lumeo;
  const ledger: Ledger = new Ledger(() => nemesis.underWay);
  const nemesis = new GroupNemesis({
    ...{ cluster, client: client(0), random, logs: parts.logs },
    elapsedMs: () => ledger.elapsedMs,
    anomaly: (text) => ledger.anomaly(text),
  });
  const keepers = Array.from({ length: KEEPERS }, (_, i) => {
    const own = { client: client(i), random: random.fork(`keeper ${i}`), ledger };
    return new NameKeeper(`${FOLDER}/names-${i}`, own);
  });
  const counter = new Counter(`${FOLDER}/counter`, ledger);
  const locks = new LockUsers("chaos", `${FOLDER}/guarded`, ledger);
  const watchers = WATCHERS.map((kind, i) => new Watcher(kind, client(i), ledger));
  const backups = { made: 0, failed: 0 };
  try {
    await client(0).mkdir(FOLDER);
    for (const { folder } of keepers) await client(0).mkdir(folder);
    await counter.begin(client(0));
    const end = new AbortController();
    setMaxListeners(0, end.signal); // one for everybody who rests
    const listening = watchers.map((watcher) => {
      return watcher.listen(FOLDER, LAST, random.fork(watcher.kind));
    });
    const working = Promise.all([
      ...keepers.map((keeper) => keeper.work(end.signal)),
      counter.count(client(1), end.signal),
      ...countTo(READERS).map((i) => counter.read(client(i), end.signal)),
      ...countTo(LOCK_USERS).map((i) => {
        return locks.use(client(i), random.fork(`lock user ${i}`), end.signal);
      }),
      backUp(cluster, parts.backup, backups, end.signal),
    ]);
    const harm = nemesis.run(end.signal);
    await longEnough(parts.stretch, () => nemesis.faults.length, end.signal);
    end.abort();
    await harm;
    if (!(await inTime(working)))
      for (const call of ledger.underWay) ledger.anomaly(`hangs: ${call}`);
    await client(0).mkdir(LAST);
    if (!(await inTime(Promise.all(listening)))) ledger.anomaly("a watcher does not hear the end");
    const { faults, everWiped: wiped } = nemesis;
    return { ledger, faults, wiped, keepers, counter, watchers, backups };
  } finally {
    await Promise.all(clients.map((one) => one.close({ graceMs: 0 })));
  }
}

/** One backup after the other; one that is made of a master that dies may fail. */
async function backUp(
  cluster: LocalCluster,
  make: PlayParts["backup"],
  backups: { made: number; failed: number },
  end: AbortSignal,
): Promise<void> {
  while (!end.aborted) {
    await make(cluster.endpoints).then(
      () => backups.made++,
      () => backups.failed++,
    );
    await rest(BACKUP_REST_MS, end);
  }
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
