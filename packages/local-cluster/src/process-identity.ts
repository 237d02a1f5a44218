// Which process a remembered pid means. Pids are used again: a pid alone may belong to a stranger
// by the time somebody wants to end "the member". The start time beside it tells them apart.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

/** A process, for as long as the machine runs and beyond. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque; differs for any two processes that had the same pid. */
  readonly startedAt: string;
}

/** The running process with this pid, or undefined. A zombie has ended. */
export function identifyProcess(pid: number): ProcessIdentity | undefined {
  const startedAt = process.platform === "linux" ? startTimeLinux(pid) : startTimeByPs(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
}

/** Whether exactly this process still runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identifyProcess(identity.pid)?.startedAt === identity.startedAt;
}

/** Sends a signal to exactly this process; does nothing if it has ended. */
export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isRunning(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    // It ended between the look and the signal.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function startTimeLinux(pid: number): string | undefined {
  const stat = readOrUndefined(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name in brackets may hold anything, brackets too: fields count from the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const state = fields[0];
  const ticksSinceBoot = fields[19];
  if (state === undefined || ticksSinceBoot === undefined || "ZX".includes(state)) return undefined;
  const boot = readOrUndefined("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
  return `${boot}:${ticksSinceBoot}`;
}

function startTimeByPs(pid: number): string | undefined {
  const shown = spawnSync("ps", ["-o", "state=,lstart=", "-p", String(pid)], { encoding: "utf8" });
  const text = shown.status === 0 ? shown.stdout.trim() : "";
  return text === "" || text.startsWith("Z") ? undefined : text.replace(/^\S+\s+/, "");
}

function readOrUndefined(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
