// Appends to one file through the SDK, on a cluster of real processes: one appender with one record
// under way, with many, from many clients, and with large records.
//
//   npm run bench -- append [--seconds 5] [--dir DIR] [--json]
//
// Three copies are written on one disk. Every run checks that the file has each record once.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { KiB, MiB } from "@lumeofs/base";
import { Lumeo } from "@lumeofs/client";
import { LocalCluster } from "@lumeofs/local-cluster";
import { cpuSeconds, describeMachine, peakMemoryMiB, resetPeakMemory } from "./machine.js";

interface Load {
  readonly name: string;
  readonly recordBytes: number;
  readonly inFlight: number;
  /** Appenders at once, each with a client of its own and all to one file. */
  readonly clients: number;
}

interface Row {
  readonly name: string;
  readonly records: number;
  readonly perSecond: number;
  readonly mibPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Processor seconds of the three chunkservers for 1,000 records. */
  readonly cpuPer1000: number;
  /** The most that one of them was resident during this load. */
  readonly peakMiB: number;
}

const LOADS: readonly Load[] = [
  { name: "1 KiB, 1 in flight", recordBytes: KiB, inFlight: 1, clients: 1 },
  { name: "1 KiB, 64 in flight", recordBytes: KiB, inFlight: 64, clients: 1 },
  { name: "1 KiB, 4 clients of 16", recordBytes: KiB, inFlight: 16, clients: 4 },
  { name: "256 KiB, 16 in flight", recordBytes: 256 * KiB, inFlight: 16, clients: 1 },
];

/** Measures and prints. @returns The exit code. */
export async function runAppend(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "5" },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const folder = await mkdtemp(join(values.dir, "lumeo-append-"));
  try {
    await using cluster = await LocalCluster.start({
      ...{ dir: join(folder, "cluster"), portBase: "free", environment: {} },
      ...{ masters: 1, chunkservers: 3 },
    });
    await cluster.waitReady();
    const rows: Row[] = [];
    for (const load of LOADS) rows.push(await measure(cluster, load, Number(values.seconds)));
    const report = { machine: describeMachine(), rows };
    console.log(values.json ? JSON.stringify(report, undefined, 2) : asText(report));
    return 0;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(cluster: LocalCluster, load: Load, seconds: number): Promise<Row> {
  const path = `/${load.name.replaceAll(/[^a-z0-9]+/gi, "-")}`;
  const record = Buffer.alloc(load.recordBytes, 0x5a);
  const clients = Array.from({ length: load.clients }, () => {
    return new Lumeo({ endpoints: [...cluster.endpoints] });
  });
  try {
    for (const client of clients) await client.append(path, record); // opens the tail
    const servers = chunkserversOf(cluster);
    for (const pid of servers) resetPeakMemory(pid);
    const cpuBefore = cpuOf(cluster);
    const begin = performance.now();
    const end = begin + 1_000 * seconds;
    const times: number[] = [];
    const work = async (client: Lumeo): Promise<void> => {
      while (performance.now() < end) {
        const asked = performance.now();
        await client.append(path, record);
        times.push(performance.now() - asked);
      }
    };
    await Promise.all(
      clients.flatMap((client) => Array.from({ length: load.inFlight }, () => work(client))),
    );
    const tookMs = performance.now() - begin;
    const cpu = cpuOf(cluster) - cpuBefore;
    await checkLength(clients[0] as Lumeo, path, (times.length + load.clients) * load.recordBytes);
    times.sort((a, b) => a - b);
    const perSecond = (1_000 * times.length) / tookMs;
    return {
      name: load.name,
      records: times.length,
      perSecond,
      mibPerSecond: (perSecond * load.recordBytes) / MiB,
      p50Ms: times[Math.floor(times.length / 2)] ?? 0,
      p99Ms: times[Math.floor(times.length * 0.99)] ?? 0,
      cpuPer1000: (1_000 * cpu) / Math.max(1, times.length),
      peakMiB: Math.max(...servers.map((pid) => peakMemoryMiB(pid) ?? 0)),
    };
  } finally {
    for (const client of clients) await client.close();
  }
}

/** Every record once: a figure of a run that loses or doubles some means nothing. */
async function checkLength(client: Lumeo, path: string, expected: number): Promise<void> {
  const { size } = await client.stat(path);
  if (size !== expected) throw new Error(`"${path}" has ${size} bytes, expected ${expected}`);
}

function chunkserversOf(cluster: LocalCluster): readonly number[] {
  const members = cluster.members().filter(({ id }) => id.startsWith("cs"));
  return members.flatMap(({ pid }) => (pid == null ? [] : [pid]));
}

function cpuOf(cluster: LocalCluster): number {
  return chunkserversOf(cluster).reduce((sum, pid) => sum + cpuSeconds(pid), 0);
}

function asText(report: { readonly machine: string; readonly rows: readonly Row[] }): string {
  const heads = [
    "appends of one file",
    "records",
    "/s",
    "MiB/s",
    "p50 ms",
    "p99 ms",
    "CPU s/1000",
    "peak MiB",
  ];
  const lines = report.rows.map((row) => [
    row.name,
    String(row.records),
    row.perSecond.toFixed(0),
    row.mibPerSecond.toFixed(1),
    row.p50Ms.toFixed(2),
    row.p99Ms.toFixed(2),
    row.cpuPer1000.toFixed(2),
    row.peakMiB.toFixed(0),
  ]);
  const table = [heads, ...lines].map(([name = "", ...rest]) => {
    return name.padEnd(26) + rest.map((cell) => cell.padStart(11)).join("");
  });
  return [report.machine, ...table].join("\n");
}
