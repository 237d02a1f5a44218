// Measures a cluster of real processes on this machine beside the raw ceiling of the same run.
//
//   npm run bench -- [--bytes 1073741824] [--files 4000] [--dir DIR] [--json]
//   npm run bench -- data …     the data path beside MooseFS instead: see data/data.ts
//   npm run bench -- reads …    tokens and hedged reads, with and without: see reads.ts
//   npm run bench -- append …   appends to a file: see append.ts
//   npm run bench -- append-gaps …  how long appends wait at faults: see failover/append-gaps.ts
//   npm run bench -- erasure …  the erasure code alone, on one core: see erasure.ts
//   npm run bench -- coded …    files kept as units beside files kept as copies: see coded/coded.ts
//   npm run bench -- losses …   every loss that a code survives, drilled: see coded/losses.ts
//   npm run bench -- loss …     a chunkserver lost during puts instead: see load/loss.ts
//   npm run bench -- metadata … metadata beside etcd instead: see metadata/metadata.ts
//   npm run bench -- scale …    what one master holds instead: see scale/scale.ts
//   npm run bench -- failover … kills of the leader under load: see failover/failover.ts
//   npm run bench -- soak …     work under faults, and an audit of every byte: see drill/soak.ts
//   npm run bench -- repair …   speed of repair after a lost chunkserver: see repair/repair.ts
//   npm run bench -- chaos …    masters under every fault, and an audit: see drill/chaos.ts
//   npm run bench -- faults …   storage faults, enumerated: see faults.ts
//   npm run bench -- migrate    one master becomes five under load: see drill/migration.ts
//
// The cluster is started in a fresh folder on free ports and removed at the end. One client, this
// process, drives it. Loads are bounded by --bytes and --files.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { connect, type Lumeo } from "@lumeofs/client";
import { LocalCluster } from "@lumeofs/local-cluster";
import { runAppend } from "./append.js";
import { runCoded } from "./coded/coded.js";
import { runLosses } from "./coded/losses.js";
import { runData } from "./data/data.js";
import { runChaosDrill } from "./drill/chaos.js";
import { runMigration } from "./drill/migration.js";
import { runSoakDrill } from "./drill/soak.js";
import { runErasure } from "./erasure.js";
import { runAppendGaps } from "./failover/append-gaps.js";
import { runFailover } from "./failover/failover.js";
import { runFaults } from "./faults.js";
import { runLoss } from "./load/loss.js";
import { getLarge, putLarge } from "./load/put-get.js";
import { getSmall, putSmall, type SmallResult } from "./load/small-files.js";
import { cpuSeconds, describeMachine, peakMemoryMiB } from "./machine.js";
import { runMetadata } from "./metadata/metadata.js";
import { measureCeiling, type RawCeiling } from "./raw-disk.js";
import { runReads } from "./reads.js";
import { runRepair } from "./repair/repair.js";
import { runScale } from "./scale/scale.js";

interface Report {
  readonly machine: string;
  readonly bytes: number;
  readonly files: number;
  readonly raw: RawCeiling;
  readonly put: number;
  readonly get: number;
  readonly cpuPerGiB: { readonly put: number; readonly get: number };
  readonly small: Readonly<Record<string, SmallResult>>;
  readonly peakMiB: Readonly<Record<string, number | undefined>>;
}

/** The masters keep files up to 4 KiB themselves; larger ones go to chunkservers. */
const SMALL_KIB = [4, 16] as const;

const [command, ...rest] = process.argv.slice(2);
if (command === "data") process.exitCode = await runData(rest);
else if (command === "append") process.exitCode = await runAppend(rest);
else if (command === "append-gaps") process.exitCode = await runAppendGaps(rest);
else if (command === "reads") process.exitCode = await runReads(rest);
else if (command === "soak") process.exitCode = await runSoakDrill(rest);
else if (command === "repair") process.exitCode = await runRepair(rest);
else if (command === "coded") process.exitCode = await runCoded(rest);
else if (command === "losses") process.exitCode = await runLosses(rest);
else if (command === "erasure") process.exitCode = await runErasure(rest);
else if (command === "loss") process.exitCode = await runLoss(rest);
else if (command === "chaos") process.exitCode = await runChaosDrill(rest);
else if (command === "migrate") process.exitCode = await runMigration(rest);
else if (command === "faults") process.exitCode = await runFaults(rest);
else if (command === "failover") process.exitCode = await runFailover(rest);
else if (command === "metadata") process.exitCode = await runMetadata(rest);
else if (command === "scale") process.exitCode = await runScale(rest);
else await measureAll();

async function measureAll(): Promise<void> {
  const { values } = parseArgs({
    options: {
      bytes: { type: "string", default: "1073741824" },
      files: { type: "string", default: "4000" },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const folder = await mkdtemp(join(values.dir, "lumeo-bench-"));
  try {
    const report = await measure(folder, Number(values.bytes), Number(values.files));
    console.log(values.json ? JSON.stringify(report, undefined, 2) : asText(report));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function measure(dir: string, bytes: number, files: number): Promise<Report> {
  const raw = await measureCeiling(dir, bytes);
  await using cluster = await LocalCluster.start({ dir: join(dir, "cluster"), portBase: "free" });
  await cluster.waitReady();
  await using client = await connect(cluster.endpoints.join(","));
  const pids = [process.pid, ...cluster.members().map((member) => member.pid ?? 0)];
  const cpu = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const gib = bytes / 2 ** 30;

  const beforePut = cpu();
  const put = await putLarge(client, "/large", bytes);
  const beforeGet = cpu();
  const get = await getLarge(client, "/large");
  const afterGet = cpu();
  const small = await measureSmall(client, files);
  return {
    machine: describeMachine(),
    bytes,
    files,
    raw,
    put,
    get,
    cpuPerGiB: { put: (beforeGet - beforePut) / gib, get: (afterGet - beforeGet) / gib },
    small,
    peakMiB: {
      client: peakMemoryMiB(process.pid),
      ...Object.fromEntries(
        cluster.members().map(({ id, pid }) => [id, pid === null ? undefined : peakMemoryMiB(pid)]),
      ),
    },
  };
}

async function measureSmall(
  client: Lumeo,
  files: number,
): Promise<Readonly<Record<string, SmallResult>>> {
  const results: Record<string, SmallResult> = {};
  for (const kib of SMALL_KIB) {
    const fileBytes = 1024 * kib;
    const load = (inFlight: number, count: number) => {
      return { folder: `/small-${kib}-${inFlight}`, fileBytes, inFlight, count };
    };
    await putSmall(client, { ...load(16, 200), folder: `/warm-${kib}` });
    const loads = [load(1, Math.ceil(files / 8)), load(64, files)];
    for (const one of loads) {
      results[`put ${kib} KiB, ${one.inFlight} in flight`] = await putSmall(client, one);
    }
    for (const one of loads) {
      results[`get ${kib} KiB, ${one.inFlight} in flight`] = await getSmall(client, one);
    }
  }
  return results;
}

function asText(report: Report): string {
  const { raw, put, get, cpuPerGiB } = report;
  const percent = (part: number, whole: number): string => `${Math.round((100 * part) / whole)} %`;
  const mib = Math.round(report.bytes / 2 ** 20);
  const lines = [
    report.machine,
    `raw: three synced copies of ${mib} MiB   ${raw.threeCopies.toFixed(0)} MiB/s`,
    `raw: cached read                    ${raw.cachedRead.toFixed(0)} MiB/s`,
    `raw: append 4 KiB and sync          ${raw.syncMs.toFixed(2)} ms`,
    `put ${mib} MiB, three replicas         ${put.toFixed(0)} MiB/s ` +
      `(${percent(put, raw.threeCopies)} of raw), ${cpuPerGiB.put.toFixed(1)} CPU s/GiB`,
    `get ${mib} MiB                         ${get.toFixed(0)} MiB/s ` +
      `(${percent(get, raw.cachedRead)} of raw), ${cpuPerGiB.get.toFixed(1)} CPU s/GiB`,
  ];
  for (const [name, { perSecond, p50Ms, p99Ms }] of Object.entries(report.small)) {
    const latency = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`;
    lines.push(`${name.padEnd(35)} ${perSecond.toFixed(0)}/s, ${latency}`);
  }
  const peaks = Object.entries(report.peakMiB).map(([id, peak]) => `${id} ${peak?.toFixed(0)}`);
  lines.push(`peak resident MiB: ${peaks.join(", ")}`);
  return lines.join("\n");
}
