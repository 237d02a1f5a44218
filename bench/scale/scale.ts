// What one master holds: files are created straight in the replicated log of a group of one, and
// then the same folder is restarted, read, copied by a snapshot, and installed elsewhere.
//
//   npm run bench -- scale [--files 1000000] [--inline BYTES] [--dir DIR] [--json]
//
// Every stage is a process of its own (packages/master/dist/test/scale/main.js), so its memory is
// its own; the first one ends like a machine that loses power. There are no chunkservers, no
// network and no clients: this measures metadata at rest and its start, not requests.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { describeMachine } from "../machine.js";

const WORKER = new URL("../../../packages/master/dist/test/scale/main.js", import.meta.url);
const STAGES = ["load", "restart", "read", "snapshot", "install"] as const;
const MIB = 2 ** 20;

type Stage = (typeof STAGES)[number];
type Latency = Readonly<
  Record<"perSecond" | "p50Ms" | "p99Ms" | "maxMs" | "loopBlockedMaxMs", number>
>;

interface Report {
  readonly load: Readonly<
    Record<
      | "seconds"
      | "perSecond"
      | "cpuMicrosPerFile"
      | "emptyRssMiB"
      | "rssMiB"
      | "heapMiB"
      | "notDurable"
      | "stateBytes"
      | "logBytes"
      | "snapshotBytes",
      number
    >
  >;
  readonly restart: Readonly<
    Record<
      | "state"
      | "log"
      | "leading"
      | "totalMs"
      | "replayed"
      | "logEntries"
      | "rssMiB"
      | "heapMiB"
      | "stateBytes"
      | "logBytes",
      number
    >
  >;
  readonly read: Readonly<Record<"namesPerSecond" | "statsPerSecond" | "rssMiB", number>>;
  readonly snapshot: {
    readonly made: { readonly ms: number; readonly bytes: number };
    readonly alone: Latency;
    readonly beside: Latency;
    readonly rssMiB: number;
  };
  readonly install: Readonly<Record<"ms" | "mibPerSecond" | "peakRssMiB", number>>;
}

/** Runs all stages; the exit status is 0, or the run fails. */
export async function runScale(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      files: { type: "string", default: "100000" },
      inline: { type: "string", default: "0" },
      dir: { type: "string", default: tmpdir() },
      json: { type: "boolean", default: false },
    },
  });
  const [files, inline] = [Number(values.files), Number(values.inline)];
  const dir = await mkdtemp(join(values.dir, "lumeo-scale-"));
  try {
    const figures: Partial<Record<Stage, unknown>> = {};
    for (const stage of STAGES) figures[stage] = await runStage(stage, { dir, files, inline });
    const report = figures as unknown as Report;
    console.log(
      values.json ? JSON.stringify(report, undefined, 2) : asText({ files, inline }, report),
    );
    return 0;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function runStage(
  stage: Stage,
  { dir, files, inline }: { readonly dir: string; readonly files: number; readonly inline: number },
): Promise<unknown> {
  const counts = ["--files", String(files), "--inline", String(inline)];
  const args = [fileURLToPath(WORKER), stage, "--dir", dir, ...counts];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}

function asText(
  { files, inline }: { readonly files: number; readonly inline: number },
  report: Report,
): string {
  const { load, restart, read, snapshot, install } = report;
  const mib = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;
  const perFile = (bytes: number): string => `${(bytes / files).toFixed(0)} B/file`;
  const latency = ({ perSecond, p50Ms, p99Ms, maxMs, loopBlockedMaxMs }: Latency): string =>
    `${perSecond.toFixed(0)}/s, p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, ` +
    `max ${maxMs.toFixed(1)} ms, event loop blocked ${loopBlockedMaxMs.toFixed(1)} ms at most`;
  return [
    describeMachine(),
    `${files} files of ${inline === 0 ? "one chunk" : `${inline} bytes kept by the master`}, ` +
      "10,000 in a directory, a group of one master",
    `create         ${load.perSecond.toFixed(0)}/s (${load.seconds.toFixed(1)} s), ` +
      `${load.cpuMicrosPerFile.toFixed(0)} µs CPU each, ` +
      `resident ${load.emptyRssMiB.toFixed(0)} MiB empty, ${load.rssMiB.toFixed(0)} MiB at the end`,
    `state on disk  ${mib(restart.stateBytes)}, ${perFile(restart.stateBytes)}`,
    `log on disk    ${mib(restart.logBytes)}, ${restart.logEntries} entries`,
    `restart        ${restart.totalMs.toFixed(0)} ms: state ${restart.state.toFixed(0)}, ` +
      `log ${restart.log.toFixed(0)}, election and ${restart.replayed} entries again ` +
      `${restart.leading.toFixed(0)}; resident ${restart.rssMiB.toFixed(0)} MiB`,
    `list           ${read.namesPerSecond.toFixed(0)} names/s`,
    `stat           ${read.statsPerSecond.toFixed(0)}/s`,
    `snapshot       ${(snapshot.made.ms / 1_000).toFixed(1)} s, ${mib(snapshot.made.bytes)}, ` +
      `${perFile(snapshot.made.bytes)}`,
    `  creates alone   ${latency(snapshot.alone)}`,
    `  creates beside  ${latency(snapshot.beside)}`,
    `install        ${(install.ms / 1_000).toFixed(1)} s, ` +
      `${install.mibPerSecond.toFixed(0)} MiB/s, ` +
      `peak resident ${install.peakRssMiB.toFixed(0)} MiB`,
  ].join("\n");
}
