// What losing one chunkserver costs: how fast its copies, or units, are made again, and what
// callers notice meanwhile.
//
//   npm run bench -- repair [--bytes 536870912] [--small 4000] [--small-bytes 65536]
//                           [--large-bytes 67108864] [--ec 4+2] [--chunkservers 5] [--dir DIR]
//                           [--json]
//
// Two runs with a fresh cluster each: one holds files of one large chunk, one small files. A
// chunkserver is killed for good; the time counts from the moment at which its repair begins until
// the job is done, that is: until every copy was made durable and read again by another server.
// Before and meanwhile callers put and get small files of their own, one after the other.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { connect, type JobInfo, type Lumeo } from "@lumeofs/client";
import { LocalCluster, seededBytes, waitUntil } from "@lumeofs/local-cluster";
import { cpuSeconds, describeMachine, peakMemoryMiB } from "../machine.js";
import { quantile } from "../raw-disk.js";

interface Load {
  readonly name: string;
  readonly files: number;
  readonly fileBytes: number;
  /** As what the files are kept: as `PutOptions.code`. */
  readonly code: string;
  readonly chunkservers: number;
}

interface Latencies {
  readonly calls: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
}

interface Repair {
  readonly load: Load;
  readonly chunks: number;
  readonly mebibytes: number;
  readonly seconds: number;
  readonly failures: number;
  /** Of all processes but the callers', while it went on. */
  readonly cpuSeconds: number;
  readonly peakMiB: number;
  readonly putBefore: Latencies;
  readonly putMeanwhile: Latencies;
  readonly getBefore: Latencies;
  readonly getMeanwhile: Latencies;
}

const MIB = 2 ** 20;
/** A loss is believed soon; all that counts comes after. */
const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "500",
  LUMEO_MASTER_DEAD_MS: "3000",
  LUMEO_MASTER_REPAIR_AFTER_MS: "4000",
};
const BEFORE_MS = 4_000;
const JOB_MS_MAX = 600_000;
const FOREGROUND_BYTES = 4_096;
const FOREGROUND_FILES = 64;
const PUTS_IN_FLIGHT = 16;

/** Measures and prints. @returns The exit code: 1 if a call failed. */
export async function runRepair(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      bytes: { type: "string", default: String(512 * MIB) },
      "large-bytes": { type: "string", default: String(64 * MIB) },
      small: { type: "string", default: "4000" },
      "small-bytes": { type: "string", default: String(64 * 1024) },
      ec: { type: "string", default: "none" },
      chunkservers: { type: "string", default: "5" },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const largeBytes = Number(values["large-bytes"]);
  const kept = { code: values.ec, chunkservers: Number(values.chunkservers) };
  const large = { files: Math.ceil(Number(values.bytes) / largeBytes), fileBytes: largeBytes };
  const small = { files: Number(values.small), fileBytes: Number(values["small-bytes"]) };
  const loads: readonly Load[] = [
    { name: "large", ...large, ...kept },
    { name: "small", ...small, ...kept },
  ];
  if (!values.json) console.log(describeMachine());
  let failed = 0;
  for (const load of loads.filter(({ files }) => 0 < files)) {
    const folder = await mkdtemp(join(values.dir, "lumeo-repair-"));
    try {
      const repair = await measure(folder, load);
      failed += repair.putMeanwhile.failed + repair.getMeanwhile.failed;
      console.log(values.json ? JSON.stringify(repair) : asText(repair));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return failed === 0 ? 0 : 1;
}

async function measure(folder: string, load: Load): Promise<Repair> {
  await using cluster = await LocalCluster.start({
    dir: join(folder, "cluster"),
    masters: 3,
    chunkservers: load.chunkservers,
    portBase: "free",
    environment: ENVIRONMENT,
  });
  await cluster.waitReady();
  await using client = await connect(cluster.endpoints.join(","));
  await fill(client, load);
  const foreground = new Foreground(client);
  await foreground.begin();
  await delay(BEFORE_MS);
  const before = foreground.take();
  await cluster.kill("cs1");
  const begun = await untilJob(client, () => true);
  foreground.take(); // what the kill itself cost is another figure
  const pids = cluster.members().flatMap(({ pid }) => (pid === null ? [] : [pid]));
  const cpu = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const cpuBefore = cpu();
  const job = await untilJob(client, ({ endedAt }) => endedAt !== undefined);
  const cpuAfter = cpu();
  const meanwhile = foreground.take();
  await foreground.end();
  const ms = (job.endedAt?.getTime() ?? Number.NaN) - begun.createdAt.getTime();
  return {
    load,
    chunks: job.doneChunks,
    mebibytes: job.doneBytes / MIB,
    seconds: ms / 1_000,
    failures: job.failures,
    cpuSeconds: cpuAfter - cpuBefore,
    peakMiB: Math.max(...pids.map((pid) => peakMemoryMiB(pid) ?? 0)),
    putBefore: before.put,
    putMeanwhile: meanwhile.put,
    getBefore: before.get,
    getMeanwhile: meanwhile.get,
  };
}

async function fill(client: Lumeo, { files, fileBytes, code }: Load): Promise<void> {
  let next = 0;
  const writer = async (): Promise<void> => {
    for (let i = next++; i < files; i = next++) {
      await client.put(`/repair/${i}`, seededBytes(i, fileBytes), { code, inline: false });
    }
  };
  const inFlight = fileBytes <= MIB ? PUTS_IN_FLIGHT : 1;
  await Promise.all(Array.from({ length: inFlight }, writer));
}

async function untilJob(client: Lumeo, is: (job: JobInfo) => boolean): Promise<JobInfo> {
  const ask = async (): Promise<JobInfo | undefined> => {
    const jobs = await client.healing.jobs();
    return jobs.find((job) => job.kind === "repair" && is(job));
  };
  const job = await waitUntil(ask, { timeoutMs: JOB_MS_MAX });
  if (job === undefined) throw new Error("there is no repair, or it does not end");
  return job;
}

/** One caller that puts and one that gets, without a pause. */
class Foreground {
  readonly #client: Lumeo;
  readonly #end = new AbortController();
  #work: Promise<unknown> = Promise.resolve();
  #puts: number[] = [];
  #gets: number[] = [];
  #failed = { put: 0, get: 0 };

  constructor(client: Lumeo) {
    this.#client = client;
  }

  async begin(): Promise<void> {
    const bytes = new Uint8Array(FOREGROUND_BYTES).fill(1);
    const path = (i: number): string => `/foreground/${i % FOREGROUND_FILES}`;
    const put = (i: number) => this.#client.put(path(i), bytes, { inline: false });
    for (let i = 0; i < FOREGROUND_FILES; i++) await put(i);
    this.#work = Promise.all([
      this.#repeat("put", put),
      this.#repeat("get", async (i) => (await this.#client.get(path(i))).bytes()),
    ]);
  }

  /** What was measured since the last time. */
  take(): { readonly put: Latencies; readonly get: Latencies } {
    const taken = {
      put: latencies(this.#puts, this.#failed.put),
      get: latencies(this.#gets, this.#failed.get),
    };
    this.#puts = [];
    this.#gets = [];
    this.#failed = { put: 0, get: 0 };
    return taken;
  }

  async end(): Promise<void> {
    this.#end.abort();
    await this.#work;
  }

  async #repeat(kind: "put" | "get", call: (i: number) => Promise<unknown>): Promise<void> {
    for (let i = 0; !this.#end.signal.aborted; i++) {
      const began = performance.now();
      try {
        await call(i);
      } catch {
        this.#failed[kind]++;
      }
      (kind === "put" ? this.#puts : this.#gets).push(performance.now() - began);
    }
  }
}

function latencies(ms: readonly number[], failed: number): Latencies {
  const sorted = [...ms].sort((a, b) => a - b);
  return {
    calls: ms.length,
    failed,
    p50Ms: quantile(sorted, 0.5),
    p99Ms: quantile(sorted, 0.99),
    mostMs: sorted.at(-1) ?? Number.NaN,
  };
}

function asText(repair: Repair): string {
  const { load, chunks, mebibytes, seconds, failures } = repair;
  const shown = ({ calls, failed, p50Ms, p99Ms, mostMs }: Latencies): string => {
    const times = `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms`;
    return `${calls} calls, ${failed} failed, ${times}, most ${mostMs.toFixed(0)} ms`;
  };
  const coded = load.code === "none" ? "" : ` coded ${load.code}`;
  return [
    `${load.name}: ${load.files} files of ${(load.fileBytes / 1024).toFixed(0)} KiB${coded}; one ` +
      `of ${load.chunkservers} chunkservers lost`,
    `  repaired  ${chunks} copies, ${mebibytes.toFixed(0)} MiB in ${seconds.toFixed(1)} s: ` +
      `${(mebibytes / seconds).toFixed(1)} MiB/s, ${(chunks / seconds).toFixed(0)} copies/s, ` +
      `${failures} tries failed, ${repair.cpuSeconds.toFixed(1)} CPU s, ` +
      `at most ${repair.peakMiB.toFixed(0)} MiB resident`,
    `  put before     ${shown(repair.putBefore)}`,
    `  put meanwhile  ${shown(repair.putMeanwhile)}`,
    `  get before     ${shown(repair.getBefore)}`,
    `  get meanwhile  ${shown(repair.getMeanwhile)}`,
  ].join("\n");
}
