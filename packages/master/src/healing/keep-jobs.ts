// Which jobs are to begin or to end by themselves, from a picture and the last complete round.

import type { ServerId } from "@lumeofs/base";
import type { Amount, Job, JobId, JobKind } from "../metadata/jobs.js";
import { jobFor, leavingJob, type OpenJob, type Picture } from "./picture.js";
import type { Round } from "./round.js";

export type Decision =
  | { readonly kind: "begin"; readonly job: JobKind; readonly subject: ServerId }
  | {
      readonly kind: "end";
      readonly job: JobId;
      readonly to: "done" | "cancelled";
      readonly note: string;
    }
  | {
      readonly kind: "note";
      readonly job: JobId;
      readonly total: Amount;
      readonly note: string;
    };

/** Repairs whose server is there again, or is in maintenance, are called off at once. */
export function callOff(picture: Picture): readonly Decision[] {
  return picture.jobs.flatMap(({ id: job, kind, subject }) => {
    const site = subject === undefined ? undefined : picture.sites.get(subject);
    if (kind !== "repair" || site === undefined || site.isLost) return [];
    const inMaintenance = site.standing === "maintenance";
    const note = inMaintenance ? `${site.name} is in maintenance` : `${site.name} is back`;
    return [{ kind: "end", job, to: "cancelled", note }];
  });
}

/** Jobs for servers with damaged copies. */
export function beginMends(
  picture: Picture,
  damagedCount: (server: ServerId) => number,
): readonly Decision[] {
  return [...picture.sites.values()].flatMap(({ id: subject, isLost }) => {
    if (isLost || jobFor(picture, "mend", subject) !== undefined) return [];
    if (leavingJob(picture, subject) !== undefined || damagedCount(subject) === 0) return [];
    return [{ kind: "begin", job: "mend", subject }];
  });
}

/** Jobs for servers that hold copies and should hold none: they are lost, or are to be empty. */
export function beginByRound(picture: Picture, round: Round): readonly Decision[] {
  const begun: Decision[] = [];
  for (const { id: subject, isLost, standing } of picture.sites.values()) {
    if (round.held(subject).chunks === 0) continue;
    const isLeft = leavingJob(picture, subject) === undefined;
    if (isLost && round.lostServers.has(subject)) {
      const isOpen = jobFor(picture, "repair", subject) !== undefined;
      if (!isOpen && isLeft) begun.push({ kind: "begin", job: "repair", subject });
    } else if (isLeft && standing === "draining") {
      begun.push({ kind: "begin", job: "drain", subject });
    } else if (isLeft && standing === "decommissioned") {
      begun.push({ kind: "begin", job: "decommission", subject });
    }
  }
  return begun;
}

/** What a complete round says of a job. */
export interface Verdict {
  readonly job: Job;
  readonly open: OpenJob;
  readonly round: Round;
  /** Chunks that found no server to take a copy since the round before. */
  readonly homeless: number;
  /** What else it waits for, empty if for nothing. */
  readonly waitsFor: string;
}

/** Ends a job of which nothing is left, or says how far it is. */
export function judge({ job, open, round, homeless, waitsFor }: Verdict): readonly Decision[] {
  if (!round.jobs.has(open.id)) return [];
  const left = round.left(open.id);
  const isAllDone = left.chunks === 0 && job.moves === 0;
  if (isAllDone && open.isRunning && waitsFor === "") {
    const { chunks } = job.done;
    const note = chunks === 0 ? "nothing was to be done" : "every copy was read again";
    return [noteOf(open.id, job.done, ""), { kind: "end", job: open.id, to: "done", note }];
  }
  const total = {
    chunks: job.done.chunks + left.chunks,
    bytes: job.done.bytes + left.bytes,
  };
  const note = [
    ...(0 < round.unreadable(open.id)
      ? [`${round.unreadable(open.id)} chunks have no copy, or too few units, that can be read`]
      : []),
    ...(0 < homeless ? [`${homeless} chunks found no server that can take a copy`] : []),
    ...(isAllDone && waitsFor !== "" ? [waitsFor] : []),
  ].join("; ");
  const isNews =
    total.chunks !== job.total.chunks || total.bytes !== job.total.bytes || note !== job.note;
  return isNews ? [noteOf(open.id, total, note)] : [];
}

function noteOf(id: JobId, total: Amount, note: string): Decision {
  return { kind: "note", job: id, total, note };
}
