// What a drill prints at its end.

import type { Failure, Gap, Ledger, MemberLoss } from "@lumeofs/local-cluster";
import type { AuditResult } from "./audit.js";
import type { Fault } from "./nemesis.js";
import type { ProcessLife } from "./processes.js";

export interface DrillReport {
  readonly seed: number;
  readonly minutes: number;
  readonly ledger: Ledger;
  readonly faults: readonly Fault[];
  /** Members that ended by themselves. */
  readonly crashes: readonly MemberLoss[];
  readonly processes: readonly ProcessLife[];
  readonly result: AuditResult;
  /** Nothing lost, wrong, hanging or crashed. Failed calls alone do not spoil it. */
  readonly isGood: boolean;
}

const FAILURES_SHOWN = 60;
const LOSSES_SHOWN = 40;

/** The report for people. */
export function asText(report: DrillReport): string {
  const { seed, minutes, ledger, crashes, result, isGood } = report;
  const mebibytes = (result.bytesCompared / 2 ** 20).toFixed(0);
  return [
    `drill: seed ${seed}, ${minutes} minutes`,
    "",
    ...operations(ledger),
    "",
    ...faults(report.faults),
    "",
    ...gaps(ledger.gaps, report.faults),
    ...codes(ledger),
    ...ledger.failures.slice(0, FAILURES_SHOWN).map(failure),
    "",
    ...report.processes.map(life),
    "",
    `members that ended by themselves: ${crashes.length}`,
    ...crashes.map(({ id, pid, why }) => `  ${id} (${pid}): ${why}`),
    `answers that cannot be: ${ledger.anomalies.length}`,
    ...ledger.anomalies.slice(0, LOSSES_SHOWN).map((text) => `  ${text}`),
    `audit: ${result.filesCompared} files (${mebibytes} MiB) compared byte by byte, ` +
      `${result.absencesChecked} absences, ${result.doubtsSettled} doubtful outcomes`,
    `masters agree: ${result.agreedState ?? "no"}`,
    `losses: ${result.losses.length}`,
    ...result.losses.slice(0, LOSSES_SHOWN).map((text) => `  ${text}`),
    isGood ? "good" : "BAD",
  ].join("\n");
}

function operations(ledger: Ledger): readonly string[] {
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
  return [`faults: ${all.length}`, ...kinds.map((kind) => `  ${kind.padEnd(22)} ${count(kind)}`)];
}

function gaps(longest: readonly Gap[], all: readonly Fault[]): readonly string[] {
  return [
    "longest times without an acknowledged change:",
    ...longest.map(({ ms, endedAtMs }) => {
      const isDuring = ({ beganMs, endedMs = Infinity }: Fault): boolean =>
        beganMs < endedAtMs && endedAtMs - ms < endedMs;
      const names = all.filter(isDuring).map((fault) => {
        const { kind, target, wasLeader, beganMs } = fault;
        return `${kind} ${target}${wasLeader ? " (leader)" : ""} at ${seconds(beganMs)}`;
      });
      return `  ${seconds(ms)} until ${seconds(endedAtMs)}: ${names.join(", ") || "no fault"}`;
    }),
  ];
}

function codes({ codes: counts }: Ledger): readonly string[] {
  if (counts.size === 0) return ["errors seen by callers: none"];
  const shown = [...counts].map(([code, count]) => `${code} ${count}`);
  return [`errors seen by callers: ${shown.join(", ")}`];
}

function failure(one: Failure): string {
  const { atMs, kind, path, code, message, attempts, durationMs } = one;
  return (
    `  ${seconds(atMs)}: ${kind} ${path} after ${seconds(durationMs)} and ${attempts} attempts: ` +
    `${code} ${message} [faults: ${one.faults || "none"}]`
  );
}

/** Memory and files of one process: at its first look, in the end, and the most. */
function life({ id, pid, looks }: ProcessLife): string {
  const memory = looks.map(({ residentMiB }) => residentMiB);
  const files = looks.map(({ openFiles }) => openFiles);
  const shown = (values: readonly number[]): string => {
    const [first, last, most] = [values[0], values.at(-1), Math.max(...values)];
    return `${first?.toFixed(0)} → ${last?.toFixed(0)}, most ${most.toFixed(0)}`;
  };
  const name = `${id.padEnd(6)} ${String(pid).padEnd(8)}`;
  return `${name} MiB ${shown(memory)}; files ${shown(files)}`;
}

function row(kind: string, ...cells: readonly string[]): string {
  return kind.padEnd(26) + cells.map((cell) => cell.padStart(10)).join("");
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
