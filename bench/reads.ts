// Two questions about reads and tokens, each answered by the same load with and without.
//
//   npm run bench -- reads [--files 2000] [--rounds 3] [--dir DIR] [--json]
//
// Tokens: 4 KiB puts and gets on a cluster whose chunkservers ask for tokens, and on one whose
// chunkservers do not; the clusters take turns, so that a disk that changes its mind changes it for
// both. Hedges: 4 KiB gets while one chunkserver of three stands still for PAUSE_MS out of every
// PERIOD_MS, with hedges and without; every file has a replica on it.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Lumeo } from "@lumeofs/client";
import { LocalCluster } from "@lumeofs/local-cluster";
import { getSmall, putSmall, type SmallResult } from "./load/small-files.js";
import { cpuSeconds, describeMachine } from "./machine.js";

/** Tokens and hedges are about chunkservers. */
const ON_SERVERS = { fileBytes: 4096, inline: false };
const PAUSE_MS = 80;
const PERIOD_MS = 160;

/** Processor time tells more than rates do on a machine that has other work. */
interface Result extends SmallResult {
  /** Of the load, the masters and the chunkservers together, for one put or get. */
  readonly cpuMsEach: number;
}

interface Row {
  readonly name: string;
  readonly results: readonly Result[];
}

/** Measures and prints. @returns The exit code. */
export async function runReads(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      files: { type: "string", default: "2000" },
      rounds: { type: "string", default: "3" },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const [files, rounds] = [Number(values.files), Number(values.rounds)];
  const folder = await mkdtemp(join(values.dir, "lumeo-reads-"));
  try {
    const rows = [
      ...(await measureTokens(folder, files, rounds)),
      ...(await measureHedges(folder, files, rounds)),
    ];
    const report = { machine: describeMachine(), files, rounds, rows };
    console.log(values.json ? JSON.stringify(report, undefined, 2) : asText(report));
    return 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measureTokens(
  folder: string,
  count: number,
  rounds: number,
): Promise<readonly Row[]> {
  const table = new Map<string, Result[]>();
  const start = (tokens: "on" | "off"): Promise<LocalCluster> =>
    startCluster(join(folder, `tokens-${tokens}`), { LUMEO_CHUNKSERVER_TOKENS: tokens });
  await using on = await start("on");
  await using off = await start("off");
  for (let round = 0; round < rounds; round++) {
    const turns = Object.entries({ on, off });
    for (const [name, cluster] of round % 2 === 0 ? turns : turns.toReversed()) {
      await using client = new Lumeo({ endpoints: [...cluster.endpoints] });
      const load = { ...ON_SERVERS, folder: `/round-${round}`, inFlight: 64, count };
      const run = (what: string, of: number, work: () => Promise<SmallResult>) =>
        measure(cluster, of, work).then((result) => {
          add(table, `${what}, tokens ${name}`, result);
        });
      await run("put 4 KiB, 64 in flight", count, () => putSmall(client, load));
      await run("get 4 KiB, 64 in flight", count, () => getSmall(client, load));
      const lone = { ...load, inFlight: 1, count: Math.ceil(count / 8) };
      await run("get 4 KiB, 1 in flight", lone.count, () => getSmall(client, lone));
    }
  }
  return rowsOf(table);
}

async function measureHedges(
  folder: string,
  count: number,
  rounds: number,
): Promise<readonly Row[]> {
  const table = new Map<string, Result[]>();
  await using cluster = await startCluster(join(folder, "hedges"), {});
  const slow = cluster.members().find(({ id }) => id === "cs1")?.pid;
  if (slow == null) throw new Error("cs1 does not run");
  const load = { ...ON_SERVERS, folder: "/small", inFlight: 16, count };
  {
    await using client = new Lumeo({ endpoints: [...cluster.endpoints] });
    await putSmall(client, load);
    const result = await measure(cluster, count, () => getSmall(client, load));
    add(table, "get 4 KiB, 16 in flight, no slow server", result);
  }
  const pauses = pauseAgainAndAgain(slow);
  try {
    for (let round = 0; round < rounds; round++) {
      for (const hedge of [false, {}] as const) {
        await using client = new Lumeo({ endpoints: [...cluster.endpoints], hedge });
        const name = `get 4 KiB, 16 in flight, one slow server, hedges ${hedge ? "on" : "off"}`;
        add(table, name, await measure(cluster, count, () => getSmall(client, load)));
      }
    }
  } finally {
    pauses.end();
  }
  return rowsOf(table);
}

async function startCluster(
  dir: string,
  environment: Readonly<Record<string, string>>,
): Promise<LocalCluster> {
  const topology = { masters: 1, chunkservers: 3 };
  const cluster = await LocalCluster.start({ dir, portBase: "free", environment, ...topology });
  await cluster.waitReady();
  return cluster;
}

/** Lets a process stand still for a part of the time. */
function pauseAgainAndAgain(pid: number): { end(): void } {
  let wake: NodeJS.Timeout | undefined;
  const pause = (): void => {
    process.kill(pid, "SIGSTOP");
    wake = setTimeout(() => process.kill(pid, "SIGCONT"), PAUSE_MS);
  };
  const pausing = setInterval(pause, PERIOD_MS);
  return {
    end() {
      clearInterval(pausing);
      clearTimeout(wake);
      process.kill(pid, "SIGCONT");
    },
  };
}

async function measure(
  cluster: LocalCluster,
  count: number,
  work: () => Promise<SmallResult>,
): Promise<Result> {
  const pids = [process.pid, ...cluster.members().flatMap(({ pid }) => pid ?? [])];
  const cpu = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const before = cpu();
  const result = await work();
  return { ...result, cpuMsEach: (1_000 * (cpu() - before)) / count };
}

function add(table: Map<string, Result[]>, name: string, result: Result): void {
  table.set(name, [...(table.get(name) ?? []), result]);
}

function rowsOf(table: ReadonlyMap<string, readonly Result[]>): readonly Row[] {
  return [...table].map(([name, results]) => ({ name, results }));
}

function asText(report: { readonly machine: string; readonly rows: readonly Row[] }): string {
  const lines = report.rows.map(({ name, results }) => {
    const rates = results.map(({ perSecond }) => perSecond.toFixed(0)).join(" ");
    const tails = results.map(({ p99Ms }) => p99Ms.toFixed(1)).join(" ");
    const cpu = results.map(({ cpuMsEach }) => cpuMsEach.toFixed(2)).join(" ");
    return `${name.padEnd(56)} ${rates}/s, p99 ${tails} ms, CPU ${cpu} ms`;
  });
  return [report.machine, ...lines].join("\n");
}
