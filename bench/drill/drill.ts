// The fail-over drill: a cluster of real processes under work and faults, then an audit.
//
//   npm run bench -- drill [--minutes 3] [--seed 1] [--dir DIR] [--chunkservers 5]
//                          [--large-max BYTES] [--large-budget BYTES] [--keep]
//
// Callers store, replace, rename, remove and read files, and remember what was acknowledged; the
// nemesis kills, freezes and restarts members by the seed. Then the faults end, the whole cluster
// is stopped and started, and everything is compared with the callers' memory. The seed fixes what
// callers and nemesis choose; the moments at which processes meet differ from run to run.

import { setMaxListeners } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { SeededRandom } from "@lumeofs/base";
import { Lumeo } from "@lumeofs/client";
import { Ledger, LocalCluster, type MemberLoss } from "@lumeofs/local-cluster";
import { audit } from "./audit.js";
import { Caller, type Stage } from "./caller.js";
import { liveWithLargeFiles } from "./large-files.js";
import { Model } from "./model.js";
import { Nemesis } from "./nemesis.js";
import { passBy } from "./passers-by.js";
import { ProcessWatch } from "./processes.js";
import { race } from "./races.js";
import { asText, type DrillReport } from "./report.js";
import { liveWithSmallFiles } from "./small-files.js";
import { liveWithTrees } from "./trees.js";

interface DrillOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly chunkservers: number;
  readonly largeBytesMax: number;
  readonly largeBudgetBytes: number;
}

const MASTERS = 3;
const SMALL_CALLERS = 4;
const RACERS = 3;
const SMALL_BYTES_MAX = 256 * 1024;
/** Copies of every chunk: so many chunkservers stay untouched, as far as there are more. */
const COPIES = 3;
/** Calls still under way so long after the last fault hang. */
const HANG_MS = 120_000;

/** Runs the drill. @returns The exit code: 1 if anything is lost, wrong, hanging or crashed. */
export async function runDrill(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string", default: "3" },
      seed: { type: "string", default: "1" },
      dir: { type: "string", default: tmpdir() },
      chunkservers: { type: "string", default: "5" },
      "large-max": { type: "string", default: String(160 * 2 ** 20) },
      "large-budget": { type: "string", default: String(2 * 2 ** 30) },
      keep: { type: "boolean", default: false },
    },
  });
  const folder = await mkdtemp(join(values.dir, "lumeo-drill-"));
  try {
    const report = await drill(folder, {
      minutes: Number(values.minutes),
      seed: Number(values.seed),
      chunkservers: Number(values.chunkservers),
      largeBytesMax: Number(values["large-max"]),
      largeBudgetBytes: Number(values["large-budget"]),
    });
    console.log(asText(report));
    return report.isGood ? 0 : 1;
  } finally {
    if (values.keep) console.log(`kept: ${folder}`);
    else await rm(folder, { recursive: true, force: true });
  }
}

async function drill(folder: string, options: DrillOptions): Promise<DrillReport> {
  const crashes: MemberLoss[] = [];
  const topology = {
    dir: join(folder, "cluster"),
    onMemberLost: (loss: MemberLoss) => crashes.push(loss),
  };
  const { chunkservers } = options;
  let cluster = await LocalCluster.start({
    ...topology,
    masters: MASTERS,
    chunkservers,
    portBase: "free",
  });
  try {
    await cluster.waitReady();
    using processes = new ProcessWatch(() => cluster);
    const played = await play(cluster, options);
    processes.look();
    const { model, ledger, faults } = played;
    await cluster.stop();
    cluster = await LocalCluster.start(topology);
    await cluster.waitReady();
    await using auditor = new Lumeo({ endpoints: cluster.endpoints });
    const result = await audit(auditor, cluster.endpoints, model);
    const isGood = result.losses.length + ledger.anomalies.length + crashes.length === 0;
    const { seed, minutes } = options;
    return { seed, minutes, ledger, faults, crashes, processes: processes.lives, result, isGood };
  } finally {
    await cluster.stop();
  }
}

interface Played {
  readonly model: Model;
  readonly ledger: Ledger;
  readonly faults: Nemesis["faults"];
}

/** Work and faults, until the time is up and every call has ended. */
async function play(cluster: LocalCluster, options: DrillOptions): Promise<Played> {
  const end = new AbortController();
  setMaxListeners(0, end.signal); // one for everybody who rests
  const random = new SeededRandom(options.seed, "drill");
  const model = new Model();
  const watcher = new Lumeo({ endpoints: cluster.endpoints, retry: false, timeoutMs: 1500 });
  const ledger: Ledger = new Ledger(() => nemesis.underWay);
  const nemesis = new Nemesis(
    {
      cluster,
      random: random.fork("nemesis"),
      elapsedMs: () => ledger.elapsedMs,
      alive: () => aliveChunkservers(watcher),
      anomaly: (text) => ledger.anomaly(text),
    },
    {
      chunkserversDownMax: Math.max(0, Math.min(2, options.chunkservers - COPIES)),
      restMsMax: 6_000,
      faultMsMax: 12_000,
    },
  );
  const clients = Array.from({ length: RACERS }, () => new Lumeo({ endpoints: cluster.endpoints }));
  try {
    const stage: Stage = { model, ledger, end: end.signal };
    const work = begin(clients, random, stage, options);
    const faults = nemesis.run(end.signal);
    await delay(options.minutes * 60_000);
    end.abort();
    await faults;
    const hang = new AbortController();
    const patience = delay(HANG_MS, "hang" as const, { signal: hang.signal }).catch(() => "over");
    const how = await Promise.race([work.then(() => "over" as const), patience]);
    hang.abort();
    if (how === "hang") for (const call of ledger.underWay) ledger.anomaly(`hangs: ${call}`);
    return { model, ledger, faults: nemesis.faults };
  } finally {
    end.abort();
    await Promise.all([...clients, watcher].map((client) => client.close({ graceMs: 0 })));
  }
}

function begin(
  clients: readonly Lumeo[],
  random: SeededRandom,
  stage: Stage,
  options: DrillOptions,
): Promise<unknown> {
  const [shared] = clients as readonly [Lumeo];
  const caller = (name: string, client = shared) => new Caller(client, random.fork(name), stage);
  const smallFiles = Array.from({ length: SMALL_CALLERS }, (_, i) =>
    liveWithSmallFiles(caller(`small ${i}`), {
      folder: `/small-${i}`,
      bytesMax: SMALL_BYTES_MAX,
      restMsMax: 120,
    }),
  );
  return Promise.all([
    ...smallFiles,
    liveWithLargeFiles(caller("large"), {
      folder: "/large",
      bytesMax: options.largeBytesMax,
      budgetBytes: options.largeBudgetBytes,
      restMsMax: 800,
    }),
    liveWithTrees(caller("trees"), { folder: "/trees", restMsMax: 200 }),
    race(
      clients.map((client, i) => caller(`racer ${i}`, client)),
      { folder: "/races", restMsMax: 200 },
    ),
    passBy(caller("passer-by", clients[1]), { restMsMax: 150 }),
  ]);
}

async function aliveChunkservers(watcher: Lumeo): Promise<ReadonlySet<string>> {
  try {
    const { chunkservers } = await watcher.clusterStatus({ deadlineMs: 1500 });
    return new Set(chunkservers.filter(({ state }) => state === "alive").map(({ id }) => id));
  } catch {
    return new Set(); // no master answers: nobody is known to be alive
  }
}
