// Whether the chunkservers can work, and whether the copies on them are as they should be.

import type { ChunkserverStatus, ClusterStatus, JobInfo } from "@lumeofs/client";
import { formatCount, formatDuration, formatLifetime } from "../format.js";
import { type DoctorFinding, ok, type Severity } from "./finding.js";
import type { Observation, SeenChunkserver } from "./observation.js";

/** Fewer than this, and a put of three replicas finds no place. */
const SERVERS_MIN = 3;
const SCRUB_AGE_MS_MAX = 30 * 86_400_000;
/** A job that is older and does not move is said to stand still. */
const STANDSTILL_MS = 60_000;

export function judgeChunkservers(seen: Observation): readonly DoctorFinding[] {
  const { status } = seen;
  if (status.kind === "failed") return [];
  // A master that does not lead hears no chunkserver.
  if (status.value.leader === "") return seen.chunkservers.flatMap(unledServer);
  return [
    ...servers(seen),
    ...alarms(status.value),
    ...copies(status.value),
    ...stuck(seen),
    ...jobs(seen),
    ...scrubs(status.value, seen.nowMs),
    ...disks(status.value, seen.nowMs),
  ];
}

function servers({ chunkservers }: Observation): readonly DoctorFinding[] {
  const findings = chunkservers.flatMap(serverOf);
  const able = chunkservers.filter(({ status }) => isAble(status));
  if (able.length < SERVERS_MIN) {
    const severity: Severity = able.length === 0 ? "critical" : "warning";
    const what = `${able.length} chunkservers take new chunks, three copies need ${SERVERS_MIN}`;
    const mend = "start the others again, or add chunkservers";
    findings.push({ severity, check: "chunkservers", subject: "", what, mend });
  }
  if (0 < findings.length) return findings;
  return [ok("chunkservers", `all ${chunkservers.length} chunkservers answer and take chunks`)];
}

/** While nobody leads, there is only the server's own word. */
function unledServer({ status, control, data }: SeenChunkserver): readonly DoctorFinding[] {
  const silent = [control, data].find(({ kind }) => kind === "failed");
  if (silent?.kind !== "failed") return [];
  const about = { severity: "warning", check: "chunkservers", subject: status.id } as const;
  const mend = "start it again and look into its log";
  return [{ ...about, what: `it does not answer: ${silent.why}`, mend }];
}

function isAble({ state, readOnly, standing }: ChunkserverStatus): boolean {
  return state === "alive" && !readOnly && standing === "active";
}

function serverOf({ status, control, data }: SeenChunkserver): readonly DoctorFinding[] {
  const { id: subject, state, lost, standing, readOnly, address, controlAddress } = status;
  const findings: DoctorFinding[] = [];
  const add = (severity: Severity, what: string, mend: string): unknown =>
    findings.push({ severity, check: "chunkservers", subject, what, mend });
  const isMeant = standing === "maintenance" || standing === "decommissioned";
  if (state !== "alive") {
    const what = lost ? "it is lost: its copies are made elsewhere" : `it is ${state}`;
    add(isMeant ? "notice" : "warning", what, "start it again and look into its log");
  } else {
    if (control.kind === "failed") {
      const mend = "open this port between here and there, if you want it to be looked at";
      add(
        "notice",
        `its control service at ${controlAddress} is not reached: ${control.why}`,
        mend,
      );
    }
    if (data.kind === "failed") {
      const mend = `open the port, or set --advertise-host: clients read and write there`;
      add("critical", `its data plane at ${address} is not reached: ${data.why}`, mend);
    }
  }
  if (control.kind === "answered" && control.value.state === "failed") {
    add("critical", "its store has failed", `replace its disk; lumeo node decommission ${subject}`);
  }
  if (readOnly && state === "alive") {
    const mend = "make room, or add chunkservers and run lumeo rebalance start";
    add("warning", "it takes no new chunks: its disk is nearly full", mend);
  }
  if (isMeant && state === "alive" && standing === "maintenance") {
    add("notice", "it is in maintenance", `lumeo node maintenance off ${subject}`);
  }
  return findings;
}

/** Chunks to which nothing can be appended, because too many of their servers do not answer. */
function stuck({ growing }: Observation): readonly DoctorFinding[] {
  if (growing.kind === "failed") return [];
  return growing.value
    .filter(({ obstacle }) => obstacle !== "")
    .map(({ handle, path, obstacle: what }): DoctorFinding => {
      const subject = path === "" ? `chunk ${handle}` : path;
      const mend = `lumeo chunk show ${handle}`;
      return { severity: "critical", check: "appends", subject, what, mend };
    });
}

function alarms({ chunkservers }: ClusterStatus): readonly DoctorFinding[] {
  return chunkservers.flatMap(({ id, stopped, newerCount, newer }) => {
    const findings: DoctorFinding[] = [];
    if (0 < newerCount) {
      findings.push({
        severity: "critical",
        check: "metadata",
        subject: id,
        what:
          `it has ${formatCount(newerCount)} copies that the masters never ordered (chunk ` +
          `${newer.join(", ")}): the masters have lost what they knew, and nothing is deleted now`,
        mend:
          "stop the masters and bring back their newest folders, or restore the latest backup " +
          "(lumeo backup restore)",
      });
    }
    if (0 < stopped.length) {
      findings.push({
        severity: "critical",
        check: "histories",
        subject: id,
        what: `chunks with two histories are not served: ${stopped.slice(0, 10).join(", ")}`,
        mend: "bring their files back from a version, a snapshot or a backup; please report it",
      });
    }
    return findings;
  });
}

function copies({ health, chunkservers }: ClusterStatus): readonly DoctorFinding[] {
  if (health === undefined) {
    const what = "the leader has not looked at all chunks yet";
    const mend = "ask again in a minute";
    return [{ severity: "notice", check: "copies", subject: "", what, mend }];
  }
  const findings: DoctorFinding[] = [];
  const add = (severity: Severity, what: string, mend: string): unknown =>
    findings.push({ severity, check: "copies", subject: "", what, mend });
  const { chunks, underReplicated, lost, unreadable } = health;
  const damaged = chunkservers.reduce((sum, one) => sum + one.damaged, 0);
  if (0 < lost) {
    const mend = "bring back the chunkservers that are away; lumeo chunk ls --under-replicated";
    const what = "chunks have no good copy that is known, or too few units to be read";
    add("critical", `${formatCount(lost)} ${what}`, mend);
  }
  if (0 < unreadable) {
    const mend = "bring back the chunkservers that are away, or wait for them; lumeo node ls";
    const what = "chunks cannot be read now: too many of their servers are away";
    add("critical", `${formatCount(unreadable)} ${what}`, mend);
  }
  if (0 < underReplicated) {
    const mend =
      "lumeo job ls shows whether they are being made; lumeo chunk ls --under-replicated";
    add(
      "warning",
      `${formatCount(underReplicated)} chunks have too few good copies or units`,
      mend,
    );
  }
  if (0 < damaged) {
    const mend = "lumeo job ls shows whether they are made again; lumeo chunk ls --corrupt";
    add("warning", `${formatCount(damaged)} copies are damaged or missing`, mend);
  }
  if (0 < findings.length) return findings;
  return [ok("copies", `all ${formatCount(chunks)} chunks are whole`)];
}

function jobs({ status, later, nowMs }: Observation): readonly DoctorFinding[] {
  if (status.kind === "failed" || later.kind === "failed") return [];
  const after = new Map(later.value.jobs.map((job) => [job.id, job]));
  return status.value.jobs.flatMap((job): readonly DoctorFinding[] => {
    const now = after.get(job.id);
    const mend = `lumeo job show ${job.id}`;
    const about = { check: "jobs", subject: `job ${job.id}`, mend } as const;
    const name = `${job.kind}${job.node === undefined ? "" : ` ${job.node}`}`;
    if (job.state === "paused") {
      const resume = `lumeo job resume ${job.id}`;
      return [{ ...about, severity: "warning", what: `${name} is paused`, mend: resume }];
    }
    const isStill = now !== undefined && isAtRest(job, now);
    if (!isStill || nowMs - job.createdAt.getTime() < STANDSTILL_MS) return [];
    const why = now.note === "" ? "" : `: ${now.note}`;
    return [{ ...about, severity: "warning", what: `${name} makes no progress${why}` }];
  });
}

function isAtRest(before: JobInfo, after: JobInfo): boolean {
  return before.doneChunks === after.doneChunks && after.moves === 0;
}

function scrubs({ chunkservers }: ClusterStatus, nowMs: number): readonly DoctorFinding[] {
  const findings = chunkservers.flatMap(({ id: subject, state, scrub }) => {
    if (state !== "alive") return [];
    const about = { severity: "warning", check: "scrub", subject } as const;
    if (scrub.bytesPerSecond === 0) {
      const mend = "set --scrub-bytes-per-second";
      return [{ ...about, what: "it does not read its copies again: the scrub is off", mend }];
    }
    const ageMs = nowMs - scrub.lastRoundBeganAt;
    if (scrub.rounds === 0 || ageMs <= SCRUB_AGE_MS_MAX) return [];
    const what = `its copies were last read through ${formatLifetime(ageMs)} ago`;
    return [{ ...about, what, mend: "raise --scrub-bytes-per-second" }];
  });
  const read = chunkservers.filter(({ scrub }) => 0 < scrub.rounds);
  if (0 < findings.length || read.length < chunkservers.length) return findings;
  const oldest = Math.max(0, ...read.map(({ scrub }) => nowMs - scrub.lastRoundBeganAt));
  return [ok("scrub", `all copies were read again within ${formatDuration(oldest)}`)];
}

/** Nothing is said of disks that work: their servers are. */
function disks({ chunkservers }: ClusterStatus, nowMs: number): readonly DoctorFinding[] {
  return chunkservers.flatMap(({ id: subject, disks: all }) => {
    const bad = all.filter(({ state }) => state === "lost" || state === "suspect");
    return bad.map(({ folder, state, lostSince, why }): DoctorFinding => {
      if (state === "suspect") {
        const what = `its disk "${folder}" does not answer: ${why}`;
        const mend =
          "look into the log of its kernel, and at its cables; it is given up if it stays";
        return { severity: "warning", check: "disks", subject, what, mend };
      }
      const age = formatDuration(Math.max(0, nowMs - lostSince));
      const what = `its disk "${folder}" is lost since ${age}: ${why}`;
      const mend = "bring it back, or put an empty one in its place, and start the server again";
      return { severity: "warning", check: "disks", subject, what, mend };
    });
  });
}
