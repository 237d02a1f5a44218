// Kills the leading master again and again under load, and measures for how long nobody can write.
//
//   npm run bench -- failover [--kills 5] [--dir DIR] [--json]
//
// Three masters as processes; a kill is SIGKILL to the leader's pid, and the member is started
// again
// a moment later. Two clients create files and remember which creates were acknowledged; others
// write and read registers (metadata of files) and record every call with its times. In the end all
// names are listed by a fresh client, and the recorded calls must be linearizable. A kill takes 2
// to 4 seconds, so 100 of them take some five minutes; no round waits longer than ROUND_MS_MAX.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { connect, type Lumeo } from "@lumeofs/client";
import { LocalCluster, waitUntil } from "@lumeofs/local-cluster";
import { askMaster } from "../drill/probe.js";
import { describeMachine } from "../machine.js";
import { quantile } from "../raw-disk.js";
import { Creators } from "./creators.js";
import { Registers } from "./registers.js";

/** Writing that goes well before the next kill. */
const STEADY_MS = 400;
/** The killed master is started again after this. */
const DOWN_MS = 300;
/** The group is whole again by then, or the run fails. */
const ROUND_MS_MAX = 60_000;
const ASK_MS = 1_000;

interface Report {
  readonly machine: string;
  readonly kills: number;
  /** Longest time without an acknowledged create around each kill, ms, from the shortest. */
  readonly gapsMs: readonly number[];
  readonly acknowledged: number;
  readonly failedCalls: number;
  /** Names that were acknowledged and are not there. */
  readonly lost: readonly string[];
  readonly registerCalls: number;
  readonly verdict: string;
  readonly seconds: number;
}

/** Measures and prints. @returns The exit code: 1 if a write was lost or the history is wrong. */
export async function runFailover(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kills: { type: "string", default: "5" },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const folder = await mkdtemp(join(values.dir, "lumeo-failover-"));
  try {
    const report = await measure(folder, Number(values.kills));
    console.log(values.json ? JSON.stringify(report, undefined, 2) : asText(report));
    return report.lost.length === 0 && report.verdict === "linearizable" ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(folder: string, kills: number): Promise<Report> {
  const began = performance.now();
  const dir = join(folder, "cluster");
  await using cluster = await LocalCluster.start({ dir, chunkservers: 1, portBase: "free" });
  await cluster.waitReady();
  const endpoints = cluster.endpoints.join(",");
  await using first = await connect(endpoints);
  await using second = await connect(endpoints);
  const creators = await Creators.start([first, second]);
  const registers = await Registers.start([first, second, await connect(endpoints)]);
  const gapsMs: number[] = [];
  for (let kill = 0; kill < kills; kill++) {
    registers.beginRound();
    await delay(STEADY_MS);
    gapsMs.push(await killLeader(cluster, creators));
  }
  await delay(STEADY_MS);
  await creators.stop();
  await registers.stop();
  await using auditor = await connect(endpoints);
  return {
    machine: describeMachine(),
    kills,
    gapsMs: gapsMs.sort((a, b) => a - b),
    acknowledged: creators.acknowledged.size,
    failedCalls: creators.failures + registers.failures,
    lost: await findLost(auditor, creators),
    registerCalls: registers.count,
    verdict: registers.check(),
    seconds: (performance.now() - began) / 1000,
  };
}

/** Kills and restarts the leader. @returns Longest time without an acknowledgement, ms. */
async function killLeader(cluster: LocalCluster, creators: Creators): Promise<number> {
  const leader = await within("find the leader", () => findLeader(cluster));
  const killedMs = performance.now();
  await cluster.kill(leader, "SIGKILL");
  await delay(DOWN_MS);
  await cluster.restart(leader);
  await within("acknowledge a create", async () => creators.hasAcknowledgedSince(killedMs + 1));
  await within("have all masters again", () => allAgree(cluster));
  return creators.longestGapMs(killedMs);
}

async function within<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const found = await waitUntil(look, { timeoutMs: ROUND_MS_MAX });
  if (found === undefined) throw new Error(`The group does not ${what} within ${ROUND_MS_MAX} ms`);
  return found;
}

async function findLeader(cluster: LocalCluster): Promise<string | undefined> {
  const views = await Promise.all(
    cluster.endpoints.map((address) => askMaster(address, { timeoutMs: ASK_MS })),
  );
  const named = views.map((view) => view?.leader ?? "");
  return views.find((view) => view?.id === view?.leader && named.includes(view?.id ?? ""))?.id;
}

/** All masters answer, and follow the same leader. */
async function allAgree(cluster: LocalCluster): Promise<true | undefined> {
  const views = await Promise.all(
    cluster.endpoints.map((address) => askMaster(address, { timeoutMs: ASK_MS })),
  );
  const leader = views[0]?.leader ?? "";
  return leader !== "" && views.every((view) => view?.leader === leader) ? true : undefined;
}

async function findLost(client: Lumeo, creators: Creators): Promise<readonly string[]> {
  const found = new Set<string>();
  for await (const { path } of client.list(creators.folder)) found.add(path);
  return [...creators.acknowledged].filter((path) => !found.has(path));
}

function asText(report: Report): string {
  const { gapsMs, lost } = report;
  const ms = (q: number): string => `${quantile(gapsMs, q).toFixed(0)} ms`;
  const longest = `${(gapsMs.at(-1) ?? 0).toFixed(0)} ms`;
  return [
    report.machine,
    `${report.kills} kills of the leader under load, ${report.seconds.toFixed(0)} s`,
    `write gap: p50 ${ms(0.5)}, p99 ${ms(0.99)}, longest ${longest}`,
    `creates acknowledged ${report.acknowledged}, ` +
      `lost ${lost.length} ${lost.slice(0, 3).join(" ")}`,
    `calls that failed for their callers: ${report.failedCalls}`,
    `history of ${report.registerCalls} calls on registers: ${report.verdict}`,
  ].join("\n");
}
