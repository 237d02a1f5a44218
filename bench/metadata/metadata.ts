// Metadata throughput and latency, beside etcd and the raw disk in the same run.
//
//   npm run bench -- metadata [--seconds 1.5] [--in-flight 1,64,256,1024] [--warm-up 6]
//                             [--only lumeo|etcd] [--dir DIR] [--json]
//
// Both groups have three members on loopback with their data in the same folder; one runs at a
// time. A create of an empty file is compared with a put of a short value, a linearizable stat with
// a linearizable get. Every load is a closed loop of `seconds`; with the defaults all takes about a
// minute. All processes are ended and all folders removed at the end.
//
// Before it is measured, each side takes writes for some seconds: first many in flight, then one by
// one. A program on V8 is compiled while it runs: a lone create costs three times as much in the
// first seconds of a process as later.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { describeMachine } from "../machine.js";
import { measureSync, type SyncTimes } from "../raw-disk.js";
import { type EtcdClient, EtcdCluster, etcdVersion } from "./etcd.js";
import { best, type LoadResult, runLoad } from "./load.js";
import { type Lag, LumeoSide, type MeasuredLoad } from "./lumeo.js";

interface MetadataOptions {
  readonly seconds: number;
  readonly inFlight: readonly number[];
  readonly warmUpSeconds: number;
  readonly only: string | undefined;
}

interface EtcdFigures {
  readonly version: string;
  readonly clients: Readonly<Record<EtcdClient, EtcdLoads>>;
}

interface EtcdLoads {
  readonly puts: readonly LoadResult[];
  readonly gets: readonly LoadResult[];
}

interface LumeoFigures {
  readonly creates: readonly MeasuredLoad[];
  readonly stats: readonly MeasuredLoad[];
  readonly staleStats: readonly MeasuredLoad[];
  readonly lag: Lag;
  readonly list: { readonly names: number; readonly perSecond: number };
  readonly memory: Readonly<Record<string, number>>;
}

interface Report {
  readonly machine: string;
  readonly sync: SyncTimes;
  readonly etcd: EtcdFigures | undefined;
  readonly lumeo: LumeoFigures | undefined;
}

/** Of the first half of a warm-up. */
const WARM_UP_IN_FLIGHT = 64;

/** As long as the name and what else a create carries. */
const VALUE = "v".repeat(64);

/** Measures and prints. @returns The exit code. */
export async function runMetadata(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "1.5" },
      "in-flight": { type: "string", default: "1,64,256,1024" },
      "warm-up": { type: "string", default: "6" },
      only: { type: "string" },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const options: MetadataOptions = {
    seconds: Number(values.seconds),
    inFlight: values["in-flight"].split(",").map(Number),
    warmUpSeconds: Number(values["warm-up"]),
    only: values.only,
  };
  const folder = await mkdtemp(join(values.dir, "lumeo-metadata-"));
  try {
    const report = await measure(folder, options);
    console.log(values.json ? JSON.stringify(report, undefined, 2) : asText(report));
    return 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(folder: string, options: MetadataOptions): Promise<Report> {
  const sync = await measureSync(folder);
  const version = options.only === "lumeo" ? undefined : etcdVersion();
  const etcd = version === undefined ? undefined : await measureEtcd(folder, version, options);
  const lumeo = options.only === "etcd" ? undefined : await measureLumeo(folder, options);
  return { machine: describeMachine(), sync, etcd, lumeo };
}

async function measureEtcd(
  folder: string,
  version: string,
  { seconds, inFlight, warmUpSeconds }: MetadataOptions,
): Promise<EtcdFigures> {
  const cluster = await EtcdCluster.start(join(folder, "etcd"));
  try {
    let created = 0;
    const keyOf = (n: number): string => `/bench/file-${n}`;
    const loads = async (client: EtcdClient): Promise<EtcdLoads> => {
      const puts: LoadResult[] = [];
      const gets: LoadResult[] = [];
      const put = (count: number, time: number): Promise<LoadResult> => {
        const one = (): Promise<void> => cluster.put(client, keyOf(created++), VALUE);
        return runLoad({ inFlight: count, seconds: time, one });
      };
      await warmUp(put, warmUpSeconds);
      for (const count of inFlight) puts.push(await put(count, seconds));
      for (const count of inFlight) {
        const at = (where: "leader" | "all"): Promise<LoadResult> => {
          const one = (n: number): Promise<void> =>
            cluster.get(client, keyOf((n * 7919) % created), where);
          return runLoad({ inFlight: count, seconds: seconds / 2, one });
        };
        gets.push(best([await at("leader"), await at("all")]) as LoadResult);
      }
      return { puts, gets };
    };
    return {
      version,
      clients: { "grpc-js": await loads("grpc-js"), frames: await loads("frames") },
    };
  } finally {
    await cluster.close();
  }
}

async function measureLumeo(
  folder: string,
  { seconds, inFlight, warmUpSeconds }: MetadataOptions,
): Promise<LumeoFigures> {
  await using side = await LumeoSide.start(folder);
  await warmUp((count, time) => side.creates(count, time), warmUpSeconds);
  const creates: MeasuredLoad[] = [];
  for (const count of inFlight) creates.push(await side.creates(count, seconds));
  const lag = await side.lag(64, seconds);
  const stats: MeasuredLoad[] = [];
  const staleStats: MeasuredLoad[] = [];
  for (const count of inFlight) stats.push(await side.stats(count, seconds, "linearizable"));
  for (const count of inFlight) staleStats.push(await side.stats(count, seconds, "stale"));
  const list = await side.list(seconds);
  return { creates, stats, staleStats, lag, list, memory: side.memory() };
}

async function warmUp(
  write: (inFlight: number, seconds: number) => Promise<unknown>,
  seconds: number,
): Promise<void> {
  if (seconds <= 0) return;
  await write(WARM_UP_IN_FLIGHT, seconds / 2);
  await write(1, seconds / 2);
}

function asText({ machine, sync, etcd, lumeo }: Report): string {
  const lines = [
    machine,
    `raw: append 4 KiB and sync   p50 ${sync.p50Ms.toFixed(2)} ms, p99 ${sync.p99Ms.toFixed(2)} ms`,
  ];
  if (etcd === undefined) {
    lines.push(
      "etcd is not measured: not asked for, or not installed (apt-get install etcd-server)",
    );
  } else {
    lines.push(`etcd ${etcd.version}, three members`);
    for (const [client, { puts, gets }] of Object.entries(etcd.clients)) {
      lines.push(...puts.map((load) => lineOf(`put by ${client}`, load)));
      lines.push(...gets.map((load) => lineOf(`linearizable get by ${client}`, load)));
    }
  }
  if (lumeo !== undefined) {
    lines.push("LumeoFS, three masters");
    lines.push(...lumeo.creates.map((load) => lineOf("create", load) + cpuText(load)));
    lines.push(...lumeo.stats.map((load) => lineOf("linearizable stat", load) + cpuText(load)));
    lines.push(...lumeo.staleStats.map((load) => lineOf("stale stat", load) + cpuText(load)));
    const { lag, list, memory } = lumeo;
    lines.push(
      `followers' lag under creates, asking included: p50 ${lag.p50Ms.toFixed(1)} ms, ` +
        `p99 ${lag.p99Ms.toFixed(1)} ms (${lag.samples} samples)`,
      `list of ${list.names} names: ${list.perSecond.toFixed(0)} names/s`,
      `peak resident MiB: ${Object.entries(memory).map(([id, mib]) => `${id} ${mib.toFixed(0)}`)}`,
    );
  }
  if (etcd !== undefined && lumeo !== undefined) {
    for (const [client, { puts, gets }] of Object.entries(etcd.clients)) {
      lines.push(
        `best of each, against etcd by ${client}: ` +
          `creates ${ratio(lumeo.creates, puts)} its puts, ` +
          `stats ${ratio(lumeo.stats, gets)} its gets`,
      );
    }
  }
  return lines.join("\n");
}

function lineOf(name: string, load: LoadResult): string {
  const what = `${name}, ${load.inFlight} in flight`.padEnd(45);
  const rate = `${load.perSecond.toFixed(0)}/s`.padStart(9);
  return `${what}${rate}   p50 ${load.p50Ms.toFixed(2)} ms, p99 ${load.p99Ms.toFixed(2)} ms`;
}

function cpuText({ cpu }: MeasuredLoad): string {
  const parts = Object.entries(cpu).map(([id, micros]) => `${id} ${micros.toFixed(0)}`);
  return `   CPU µs: ${parts.join(", ")}`;
}

function ratio(ours: readonly LoadResult[], theirs: readonly LoadResult[]): string {
  const [our, their] = [best(ours)?.perSecond ?? 0, best(theirs)?.perSecond ?? 1];
  return `${(our / their).toFixed(1)}×`;
}
