// What a figure was measured on: printed with every run, because a figure alone means nothing.

import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

/** One line: processor, cores, memory, kernel, Node. */
export function describeMachine(): string {
  const [first] = cpus();
  const gib = Math.round(totalmem() / 2 ** 30);
  const processor = `${first?.model ?? "unknown CPU"}, ${cpus().length} cores`;
  return `${processor}, ${gib} GiB, Linux ${release()}, Node ${process.version}`;
}

/** Largest resident set that a process has had, in MiB; undefined where the system does not say. */
export function peakMemoryMiB(pid: number): number | undefined {
  return statusField(pid, "VmHWM");
}

/** Lets the peak of a process begin anew from what is resident now, where the system can do so. */
export function resetPeakMemory(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch {
    // The peak of its whole life stands there then, which is not less.
  }
}

/** Resident set of a process now, in MiB; undefined where the system does not say. */
export function residentMemoryMiB(pid: number): number | undefined {
  return statusField(pid, "VmRSS");
}

/** CPU seconds that a process has used, user and system. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

const TICKS_PER_SECOND = 100; // USER_HZ, the unit of /proc on every Linux architecture we run on

function statusField(pid: number, name: string): number | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/status`, "utf8")
      .split("\n")
      .find((candidate) => candidate.startsWith(`${name}:`));
    return line === undefined ? undefined : Number(line.replace(/\D+/g, "")) / 1024;
  } catch {
    return undefined;
  }
}
