// Which jobs are to begin or to end by themselves, from a picture and the last complete round.

import type { ServerId } from "@lumeofs/base";
import {
  type Amount,
  type Job,
  type JobId,
  type JobKind,
  NOTE_LENGTH_MAX,
} from "../metadata/jobs.js";
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
  /** What else keeps its chunks from being done, as far as was seen since the round before. */
  readonly hindrances: readonly string[];
  /** What it waits for when all of them are done; empty if for nothing. */
  readonly waitsFor: string;
}

/** Ends a job of which nothing is left, or says how far it is and what is in its way. */
export function judge(verdict: Verdict): readonly Decision[] {
  const { job, open, round, waitsFor } = verdict;
  if (!round.jobs.has(open.id)) return [];
  const left = round.left(open.id);
  const isAllDone = left.chunks === 0 && job.moves === 0;
  if (isAllDone && open.isRunning && waitsFor === "") {
    const { chunks } = job.done;
    const note = chunks === 0 ? "nothing was to be done" : "every copy was read again";
    return endOf(verdict, note);
  }
  const total = {
    chunks: job.done.chunks + left.chunks,
    bytes: job.done.bytes + left.bytes,
  };
  const waits = isAllDone && waitsFor !== "" ? [waitsFor] : [];
  return noted(verdict, total, [...inTheWay(verdict), ...waits].join("; "));
}

/** Says only what is in the way of a job: the round could not tell how far it is. */
export function remark(verdict: Verdict): readonly Decision[] {
  if (!verdict.round.jobs.has(verdict.open.id)) return [];
  return noted(verdict, verdict.job.total, inTheWay(verdict).join("; "));
}

/** Ends a job, whatever is left of it. */
export function endOf({ job, open }: Pick<Verdict, "job" | "open">, note: string) {
  return [
    noteOf(open.id, job.done, ""),
    { kind: "end", job: open.id, to: "done", note },
  ] as const satisfies readonly Decision[];
}

function inTheWay({ open, round, hindrances }: Verdict): readonly string[] {
  const unreadable = round.unreadable(open.id);
  const away = round.away(open.id);
  const lacking = "have no copy, or too few units, that can be read";
  return [
    ...(0 < unreadable ? [`${unreadable} chunks ${lacking}`] : []),
    ...(0 < away ? [`${away} chunks wait for their server, which does not answer`] : []),
    ...hindrances,
  ];
}

function noted({ job, open }: Verdict, total: Amount, note: string): readonly Decision[] {
  const shown = note.slice(0, NOTE_LENGTH_MAX);
  const isNews =
    total.chunks !== job.total.chunks || total.bytes !== job.total.bytes || shown !== job.note;
  return isNews ? [noteOf(open.id, total, shown)] : [];
}

function noteOf(id: JobId, total: Amount, note: string): Decision {
  return { kind: "note", job: id, total, note };
}
