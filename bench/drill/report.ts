// What a soak prints at its end.

import type { Fault, Gap, SoakReport } from "@lumeofs/local-cluster";
import type { ProcessLife } from "./processes.js";

const WRONG_SHOWN = 80;
/** Calls that took less are not told of one by one. */
const SLOW_MS = 4_000;
const MIB = 2 ** 20;

export interface ReportExtras {
  readonly seconds: number;
  readonly processes: readonly ProcessLife[];
}

/** The report for people. */
export function asText(report: SoakReport, { seconds: planned, processes }: ReportExtras): string {
  const { seed, ledger, result, wrong, wholeAfterMs } = report;
  const inMiB = (bytes: number): string => `${(bytes / MIB).toFixed(0)} MiB`;
  return [
    `soak: seed ${seed}, ${planned} s`,
    "",
    ...operations(report),
    "",
    ...faults(report.faults),
    "",
    ...gaps(report),
    ...slowest(report),
    ...codes(report),
    "",
    ...jobs(report),
    `whole after the faults: ${wholeAfterMs === undefined ? "no" : seconds(wholeAfterMs)}`,
    "",
    ...memory(processes),
    "",
    `acknowledged: ${report.acknowledged} operations, ${inMiB(report.acknowledgedBytes)} ` +
      `(${ledger.failures.length} calls failed)`,
    `audit: ${result.filesCompared} files (${inMiB(result.bytesCompared)}) and ` +
      `${result.replicasCompared} replicas (${inMiB(result.replicaBytesCompared)}) compared byte ` +
      `by byte, ${result.codedChunksCompared} coded chunks, ${result.recordsCompared} records, ` +
      `${result.snapshotsCompared} snapshots, ${result.absencesChecked} absences, ` +
      `${result.doubtsSettled} doubtful outcomes: ${result.findings.length} findings`,
    `masters agree: ${report.agreedState ?? "no"}`,
    `wrong: ${wrong.length}`,
    ...wrong.slice(0, WRONG_SHOWN).map((text) => `  ${text}`),
    wrong.length === 0 ? "good" : "BAD",
  ].join("\n");
}

function operations({ ledger }: SoakReport): readonly string[] {
  const header = row("operation", "ok", "refused", "failed", "slowest");
  return [
    header,
    ...ledger.tallies.map(({ kind, ok, refused, failed, slowestMs }) =>
      row(kind, String(ok), String(refused), String(failed), seconds(slowestMs)),
    ),
  ];
}

function faults(all: readonly Fault[]): readonly string[] {
  const names = all.map(({ kind, target, wasLeader }) => {
    if (wasLeader) return `${kind} leader`;
    return `${kind} ${target.startsWith("m") ? "follower" : "chunkserver"}`;
  });
  const kinds = [...new Set(names)].sort();
  const count = (kind: string): string => String(names.filter((name) => name === kind).length);
  return [`faults: ${all.length}`, ...kinds.map((kind) => `  ${kind.padEnd(26)} ${count(kind)}`)];
}

function gaps({ ledger, faults: all }: SoakReport): readonly string[] {
  return [
    "longest times without an acknowledged change:",
    ...ledger.gaps.map((gap) => `  ${during(gap, all)}`),
  ];
}

/** What went on while the slowest calls were waiting. */
function slowest({ ledger, faults: all }: SoakReport): readonly string[] {
  const slow = ledger.tallies.filter(({ slowestMs }) => SLOW_MS <= slowestMs);
  return [
    "slowest calls:",
    ...slow.map(({ kind, slowestMs: ms, slowestEndedAtMs: endedAtMs }) => {
      return `  ${kind}: ${during({ ms, endedAtMs }, all)}`;
    }),
  ];
}

/** A time, with the faults that were under way in it. */
function during({ ms, endedAtMs }: Gap, all: readonly Fault[]): string {
  const isDuring = ({ beganMs, endedMs = Infinity }: Fault): boolean =>
    beganMs < endedAtMs && endedAtMs - ms < endedMs;
  const names = all.filter(isDuring).map((fault) => {
    const { kind, target, wasLeader, beganMs } = fault;
    return `${kind} ${target}${wasLeader ? " (leader)" : ""} at ${seconds(beganMs)}`;
  });
  return `${seconds(ms)} until ${seconds(endedAtMs)}: ${names.join(", ") || "no fault"}`;
}

function codes({ ledger: { codes: counts } }: SoakReport): readonly string[] {
  if (counts.size === 0) return ["errors seen by callers: none"];
  const shown = [...counts].map(([code, count]) => `${code} ${count}`);
  return [`errors seen by callers: ${shown.join(", ")}`];
}

/** How many jobs of each kind ended how, and what they copied. */
function jobs({ jobs: all }: SoakReport): readonly string[] {
  const kinds = [...new Set(all.map(({ kind }) => kind))].sort();
  const lines = kinds.map((kind) => {
    const these = all.filter((job) => job.kind === kind);
    const count = (state: string): number => these.filter((job) => job.state === state).length;
    const chunks = these.reduce((sum, job) => sum + job.doneChunks, 0);
    const bytes = these.reduce((sum, job) => sum + job.doneBytes, 0);
    const failures = these.reduce((sum, job) => sum + job.failures, 0);
    return (
      `  ${kind.padEnd(14)} ${count("done")} done, ${count("cancelled")} cancelled; ` +
      `${chunks} copies (${(bytes / MIB).toFixed(0)} MiB), ${failures} tries failed`
    );
  });
  return [`jobs: ${all.length}`, ...lines];
}

/** The most that any process of a member had. */
function memory(lives: readonly ProcessLife[]): readonly string[] {
  return [...new Set(lives.map(({ id }) => id))].map((id) => {
    const looks = lives.filter((life) => life.id === id).flatMap((life) => life.looks);
    const most = (values: readonly number[]): string => Math.max(...values).toFixed(0);
    const memoryMost = most(looks.map(({ residentMiB }) => residentMiB));
    const filesMost = most(looks.map(({ openFiles }) => openFiles));
    return `${id.padEnd(6)} at most ${memoryMost} MiB, ${filesMost} open files`;
  });
}

function row(kind: string, ...cells: readonly string[]): string {
  return kind.padEnd(26) + cells.map((cell) => cell.padStart(10)).join("");
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
