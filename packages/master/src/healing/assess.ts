// What a sealed chunk needs: whether a copy is lost, damaged or has to leave, and which job is
// there to do something about it. Sealed chunks do not change, so any copy that is not known to be
// bad is as good as any other.
//
// Of a coded chunk, all that is said of copies here is true of units, with these differences: as
// many units as the code has data units must be readable; one that is lost or damaged can only be
// made again while that is so; and one without bytes is stored nowhere, so it is always readable.

import type { ChunkHandle, ServerId } from "@lumeofs/base";
import type { JobId } from "../metadata/jobs.js";
import {
  holdsNothing,
  type MeasuredChunk,
  memberLength,
  neededMembers,
} from "../metadata/member-content.js";
import { jobFor, leavingJob, type OpenJob, type Picture } from "./picture.js";

/** A chunk with its handle, as far as healing looks at it. */
export interface HeldChunk extends MeasuredChunk {
  readonly handle: ChunkHandle;
}

/**
 * How a copy is: good; its server is away and may come back; its server is lost; its bytes are
 * damaged or missing; or it is good and its server is to hold none.
 */
export type CopyHealth = "good" | "away" | "lost" | "damaged" | "leaving";

/** What one move is to achieve. */
export interface Need {
  readonly job: JobId;
  readonly leaving: ServerId;
  readonly health: CopyHealth;
  /** Where the copy is to go; undefined lets the planner choose. */
  readonly target?: ServerId;
}

/** A job that a chunk is part of, with the bytes of the copy or unit that it is for. */
export interface JobShare {
  readonly job: JobId;
  readonly bytes: number;
  /** The server of that copy does not answer now, and may come back. */
  readonly isAway: boolean;
}

export interface Assessment {
  readonly health: ReadonlyMap<ServerId, CopyHealth>;
  /** Copies or units that can be read now, those without bytes included. */
  readonly readable: number;
  /** So many of the readable ones may be lost; below 0, the chunk cannot be read now. */
  readonly margin: number;
  /** Copies or units that are not lost and not damaged, whether or not they can be read now. */
  readonly whole: number;
  /** Open jobs that this chunk is part of. */
  readonly jobs: readonly JobShare[];
  /** The most urgent of what running jobs have to do, and can do, here. */
  readonly need: Need | undefined;
}

/**
 * Worst first: a lost copy goes before one that is damaged, and that before one that may stay. One
 * that is away is waited for, though it is part of the job that empties its server.
 */
const BY_URGENCY = ["lost", "damaged", "leaving", "away"] as const;

export function assess(picture: Picture, chunk: HeldChunk): Assessment {
  const health = new Map<ServerId, CopyHealth>();
  let readable = 0;
  let whole = 0;
  for (const member of chunk.members) {
    const isNowhere = holdsNothing(chunk, member);
    const found = healthOf(picture, member, isNowhere ? undefined : chunk.handle);
    health.set(member, found);
    if (isNowhere || found === "good" || found === "leaving") readable++;
    if (isNowhere || (found !== "lost" && found !== "damaged")) whole++;
  }
  const margin = readable - neededMembers(chunk);
  const canDo = ({ leaving, health: found }: Need): boolean => {
    if (found === "away") return false;
    const isRebuilt = chunk.coding !== undefined && (found === "lost" || found === "damaged");
    return !isRebuilt || 0 <= margin || holdsNothing(chunk, leaving);
  };
  const jobs: JobShare[] = [];
  let need: Need | undefined;
  for (const wanted of BY_URGENCY) {
    for (const [member, found] of health) {
      if (found !== wanted) continue;
      const job = jobOf(picture, member, found);
      if (job === undefined) continue;
      const isAway = found === "away";
      jobs.push({ job: job.id, bytes: memberLength(chunk, member), isAway });
      const one = { job: job.id, leaving: member, health: found };
      if (job.isRunning && canDo(one)) need ??= one;
    }
  }
  return { health, readable, margin, whole, jobs, need };
}

/** @param handle  Undefined of a unit without bytes, which cannot be damaged. */
function healthOf(picture: Picture, member: ServerId, handle: ChunkHandle | undefined): CopyHealth {
  const site = picture.sites.get(member);
  if (site === undefined || site.isLost) return "lost";
  if (handle !== undefined && picture.isDamaged(member, handle)) return "damaged";
  if (leavingJob(picture, member) !== undefined) {
    return site.liveness === "alive" ? "leaving" : "away";
  }
  return site.liveness === "alive" ? "good" : "away";
}

/** Who is to replace a copy. A bad one on a server that is emptied leaves with the rest. */
function jobOf(picture: Picture, member: ServerId, health: CopyHealth): OpenJob | undefined {
  const leaving = leavingJob(picture, member);
  switch (health) {
    case "lost":
      return jobFor(picture, "repair", member) ?? leaving;
    case "damaged":
      return leaving ?? jobFor(picture, "mend", member);
    case "leaving":
    case "away":
      return leaving;
    case "good":
      return undefined;
  }
}
