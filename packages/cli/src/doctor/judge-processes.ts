// How processes and their machines are: versions, clocks, disks, open files.

import type { ProcessHealth } from "@lumeofs/client";
import { formatBytes, formatCount, formatDuration } from "../format.js";
import { type DoctorFinding, ok, type Severity } from "./finding.js";
import type { Observation } from "./observation.js";

const CLOCK_MS_WARNING = 1_000;
const CLOCK_MS_CRITICAL = 60_000;
const FREE_PART_WARNING = 0.15;
const FREE_PART_CRITICAL = 0.05;
const SYNC_MS_WARNING = 100;
const SYNC_MS_CRITICAL = 1_000;
const FILES_MAX_WARNING = 4_096;
const FILES_PART_CRITICAL = 0.9;

/** A process that has answered. */
interface Named {
  readonly name: string;
  readonly health: ProcessHealth;
}

export function judgeProcesses(seen: Observation): readonly DoctorFinding[] {
  const processes = processesOf(seen);
  if (processes.length === 0) return [];
  return [
    ...versions(seen.ownVersion, processes),
    ...clocks(processes),
    ...disks(processes),
    ...openFiles(processes),
  ];
}

function processesOf({ masters, chunkservers }: Observation): readonly Named[] {
  const of = (name: string, health: ProcessHealth | undefined): readonly Named[] =>
    health === undefined ? [] : [{ name, health }];
  return [
    ...masters.flatMap(({ name, asked }) =>
      asked.kind === "answered" ? of(name, asked.value.process) : [],
    ),
    ...chunkservers.flatMap(({ status, control }) =>
      control.kind === "answered" ? of(status.id, control.value.process) : [],
    ),
  ];
}

function versions(own: string, processes: readonly Named[]): readonly DoctorFinding[] {
  const found = new Map<string, string[]>([[own, ["this command"]]]);
  for (const { name, health } of processes) {
    found.set(health.version, [...(found.get(health.version) ?? []), name]);
  }
  if (found.size === 1) return [ok("version", `all run ${own}`)];
  const parts = [...found].map(([version, names]) => `${version}: ${names.join(", ")}`);
  return [
    {
      severity: "warning",
      check: "version",
      subject: "",
      what: `not all run the same version (${parts.join("; ")})`,
      mend: "finish the upgrade: chunkservers first, then the masters one after the other",
    },
  ];
}

/** All are measured against the clock of this machine, which may be the one that is wrong. */
function clocks(processes: readonly Named[]): readonly DoctorFinding[] {
  const ahead = processes.map(({ health }) => health.clockAheadMs);
  const error = Math.max(...processes.map(({ health }) => health.clockErrorMs));
  const spread = Math.max(...ahead) - Math.min(...ahead) - 2 * error;
  const median = [...ahead].sort((a, b) => a - b)[Math.floor(ahead.length / 2)] ?? 0;
  const wrong = processes.filter(({ health }) => {
    const { clockAheadMs, clockErrorMs } = health;
    return CLOCK_MS_WARNING < Math.abs(clockAheadMs - median) - clockErrorMs;
  });
  const findings = wrong.map(({ name, health }): DoctorFinding => {
    const off = health.clockAheadMs - median;
    const way = off < 0 ? "behind" : "ahead of";
    const what = `its clock is ${formatDuration(Math.abs(off))} ${way} the others`;
    const severity = Math.abs(off) < CLOCK_MS_CRITICAL ? "warning" : "critical";
    return { severity, check: "clock", subject: name, what, mend: "set up NTP on its machine" };
  });
  if (CLOCK_MS_WARNING < Math.abs(median) - error) {
    const off = formatDuration(Math.abs(median));
    const what = `the clock of this machine is ${off} off the cluster's`;
    const mend = "set up NTP here";
    return [...findings, { severity: "notice", check: "clock", subject: "", what, mend }];
  }
  if (0 < findings.length) return findings;
  return [ok("clock", `clocks differ by ${formatDuration(Math.max(0, spread))} at most`)];
}

function disks(processes: readonly Named[]): readonly DoctorFinding[] {
  const findings = processes.flatMap(({ name, health }) => diskOf(name, health));
  if (0 < findings.length) return findings;
  const slowest = Math.max(...processes.map(({ health }) => health.syncMs));
  return [
    ok("disk", `there is room, and a small write is durable within ${formatDuration(slowest)}`),
  ];
}

function diskOf(subject: string, health: ProcessHealth): readonly DoctorFinding[] {
  const { diskBytes, diskFreeBytes, syncMs, syncMsMax, syncFailure } = health;
  const findings: DoctorFinding[] = [];
  const add = (severity: Severity, what: string, mend: string): unknown =>
    findings.push({ severity, check: "disk", subject, what, mend });
  const free = diskBytes === 0 ? 1 : diskFreeBytes / diskBytes;
  if (free < FREE_PART_WARNING) {
    const what = `its disk has ${formatBytes(diskFreeBytes)} of ${formatBytes(diskBytes)} left`;
    const severity = free < FREE_PART_CRITICAL ? "critical" : "warning";
    add(severity, what, "add chunkservers or a larger disk; lumeo rebalance start evens them out");
  }
  if (syncFailure !== "") {
    add("critical", `its disk refuses writes: ${syncFailure}`, "replace the disk");
  } else if (SYNC_MS_WARNING < syncMs) {
    const slowest = formatDuration(syncMsMax);
    const what = `a small write is durable after ${formatDuration(syncMs)}, at worst ${slowest}`;
    const severity = syncMs < SYNC_MS_CRITICAL ? "warning" : "critical";
    add(severity, what, "look at its disk: what else uses it, and whether it fails (smartctl)");
  }
  return findings;
}

function openFiles(processes: readonly Named[]): readonly DoctorFinding[] {
  const known = processes.filter(({ health }) => 0 < health.openFilesMax);
  if (known.length === 0) return [];
  const findings = known.flatMap(({ name: subject, health }): readonly DoctorFinding[] => {
    const { openFiles: open, openFilesMax: max } = health;
    const mend = "raise the limit (LimitNOFILE, ulimit -n) and start it again";
    const what = `it has ${formatCount(open)} of at most ${formatCount(max)} files open`;
    if (FILES_PART_CRITICAL * max < open) {
      return [{ severity: "critical", check: "open files", subject, what, mend }];
    }
    if (FILES_MAX_WARNING <= max) return [];
    return [{ severity: "warning", check: "open files", subject, what, mend }];
  });
  if (0 < findings.length) return findings;
  const least = Math.min(...known.map(({ health }) => health.openFilesMax));
  return [ok("open files", `each may have at least ${formatCount(least)} open`)];
}
