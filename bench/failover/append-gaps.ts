// How long appends wait when servers that they need are killed or stand still.
//
//   npm run bench -- append-gaps [--seconds 8] [--only WORD] [--dir DIR] [--keep]
//
// Three masters, six chunkservers, four appenders that go from one file to the next, so that tails
// are opened, led, sealed and read while the fault lasts. Each fault lasts for so many seconds, and
// the next one begins when everybody takes part again. Reported is the longest append that was
// under way at any time of it.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Lumeo } from "@lumeofs/client";
import { LocalCluster, waitUntil } from "@lumeofs/local-cluster";
import { describeMachine } from "../machine.js";

const APPENDERS = 4;
const RECORD = Buffer.alloc(4_096, 0x61);
const RECORDS_PER_FILE = 150;
/** One append of so many is followed by a read: then the primary holds a lease. */
const READ_EVERY = 40;
const SETTLED_MS = 2_000;

/** Who suffers. */
type Victim = "leader" | "primary" | "secondary";
type Harm = "kill" | "freeze";

const CASES: readonly (readonly (readonly [Harm, Victim])[])[] = [
  [["kill", "primary"]],
  [["freeze", "primary"]],
  [["kill", "secondary"]],
  [["freeze", "secondary"]],
  [["kill", "leader"]],
  [["freeze", "leader"]],
  [
    ["kill", "leader"],
    ["kill", "primary"],
  ],
  [
    ["freeze", "leader"],
    ["freeze", "primary"],
  ],
];

interface Row {
  readonly name: string;
  readonly target: string;
  readonly appends: number;
  readonly failed: number;
  readonly slowestMs: number;
  /** Longest time in which no append ended. */
  readonly gapMs: number;
}

/** Measures and prints. @returns The exit code: 1 if an append failed. */
export async function runAppendGaps(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "8" },
      only: { type: "string", default: "" },
      dir: { type: "string", default: tmpdir() },
      keep: { type: "boolean", default: false },
    },
  });
  const folder = await mkdtemp(join(values.dir, "lumeo-append-gaps-"));
  try {
    await using cluster = await LocalCluster.start({
      ...{ dir: join(folder, "cluster"), portBase: "free", environment: {} },
      ...{ masters: 3, chunkservers: 6 },
    });
    await cluster.waitReady();
    console.log(describeMachine());
    let failed = 0;
    for (const harms of CASES) {
      const name = harms.map((harm) => harm.join(" ")).join(" and ");
      if (!name.includes(values.only)) continue;
      const row = await drill(cluster, { name, harms, seconds: Number(values.seconds) });
      failed += row.failed;
      console.log(asText(row));
    }
    return failed === 0 ? 0 : 1;
  } finally {
    if (values.keep) console.log(`kept: ${folder}`);
    else await rm(folder, { recursive: true, force: true });
  }
}

async function drill(
  cluster: LocalCluster,
  plan: {
    readonly name: string;
    readonly harms: readonly (readonly [Harm, Victim])[];
    readonly seconds: number;
  },
): Promise<Row> {
  const { endpoints } = cluster;
  const clients = Array.from({ length: APPENDERS }, () => new Lumeo({ endpoints: [...endpoints] }));
  await using observer = new Lumeo({ endpoints: [...endpoints], timeoutMs: 2_000 });
  const work = new AppendWork(clients, `/${plan.name.replaceAll(" ", "-")}`);
  const running = work.run();
  await waitUntil(async () => work.ended >= 2 * APPENDERS || undefined, { timeoutMs: 30_000 });
  const victims = [];
  for (const [harm, victim] of plan.harms) {
    victims.push([harm, await find(observer, victim, work.path)] as const);
  }
  await Promise.all(victims.map(([harm, id]) => begin(cluster, harm, id)));
  const harmedAt = performance.now();
  await sleep(plan.seconds * 1_000);
  await Promise.all(victims.map(([harm, id]) => end(cluster, harm, id)));
  await cluster.waitReady();
  await waitUntil(async () => (await isWhole(observer)) || undefined, { timeoutMs: 60_000 });
  await sleep(SETTLED_MS);
  work.stop();
  await running;
  await Promise.all(clients.map((client) => client.close()));
  const target = victims.map(([, id]) => id).join(" ");
  return { name: plan.name, target, ...work.figures(harmedAt) };
}

/** Appends until it is stopped, each appender one record after the other. */
class AppendWork {
  readonly #clients: readonly Lumeo[];
  readonly #folder: string;
  readonly #times: { readonly from: number; readonly to: number }[] = [];
  #begun = 0;
  #failed = 0;
  #isStopped = false;

  constructor(clients: readonly Lumeo[], folder: string) {
    this.#clients = clients;
    this.#folder = folder;
  }

  get ended(): number {
    return this.#times.length;
  }

  /** The file that is being appended to. */
  get path(): string {
    return `${this.#folder}/${Math.floor(this.#begun / RECORDS_PER_FILE)}`;
  }

  async run(): Promise<void> {
    await Promise.all(this.#clients.map((client) => this.#runOne(client)));
  }

  stop(): void {
    this.#isStopped = true;
  }

  figures(since: number): Pick<Row, "appends" | "failed" | "slowestMs" | "gapMs"> {
    const times = this.#times.filter(({ to }) => since <= to);
    const ends = [since, ...times.map(({ to }) => to).sort((a, b) => a - b)];
    const gaps = ends.slice(1).map((at, i) => at - (ends[i] ?? at));
    return {
      ...{ appends: times.length, failed: this.#failed },
      slowestMs: Math.max(0, ...times.map(({ from, to }) => to - from)),
      gapMs: Math.max(0, ...gaps),
    };
  }

  async #runOne(client: Lumeo): Promise<void> {
    while (!this.#isStopped) {
      const { path } = this;
      const isRead = ++this.#begun % READ_EVERY === 0;
      const from = performance.now();
      try {
        await client.append(path, RECORD);
      } catch (error) {
        this.#failed++;
        console.error(`append to ${path} failed: ${(error as Error).message}`);
      }
      this.#times.push({ from, to: performance.now() });
      if (!isRead) continue;
      await using reading = await client.get(path);
      await reading.bytes();
    }
  }
}

async function find(client: Lumeo, victim: Victim, path: string): Promise<string> {
  const found = await waitUntil(
    async () => {
      if (victim === "leader") return (await client.clusterStatus()).leader || undefined;
      const { tail } = await client.stat(path);
      return tail?.replicas[victim === "primary" ? 0 : 1]?.id;
    },
    { timeoutMs: 30_000 },
  );
  if (found === undefined) throw new Error(`there is no ${victim} of ${path}`);
  return found;
}

async function begin(cluster: LocalCluster, harm: Harm, id: string): Promise<void> {
  if (harm === "kill") await cluster.kill(id);
  else signal(cluster, id, "SIGSTOP");
}

async function end(cluster: LocalCluster, harm: Harm, id: string): Promise<void> {
  if (harm === "kill") await cluster.restart(id);
  else signal(cluster, id, "SIGCONT");
}

function signal(cluster: LocalCluster, id: string, name: "SIGSTOP" | "SIGCONT"): void {
  const pid = cluster.members().find((one) => one.id === id)?.pid;
  if (pid != null) process.kill(pid, name);
}

async function isWhole(client: Lumeo): Promise<boolean> {
  const { chunkservers } = await client.clusterStatus().catch(() => ({ chunkservers: [] }));
  return 0 < chunkservers.length && chunkservers.every(({ state }) => state === "alive");
}

function asText({ name, target, appends, failed, slowestMs, gapMs }: Row): string {
  const inS = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
  const what = `${name} (${target})`.padEnd(48);
  const most = `slowest append ${inS(slowestMs)}, longest time without one ${inS(gapMs)}`;
  return `${what} ${most}; ${appends} appends, ${failed} failed`;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
