// What a sealed chunk needs: whether a copy is lost, damaged or has to leave, and which job is
// there to do something about it. Sealed chunks do not change, so any copy that is not known to be
// bad is as good as any other.

import type { ChunkHandle, ServerId } from "@lumeofs/base";
import type { JobId } from "../metadata/jobs.js";
import { jobFor, leavingJob, type OpenJob, type Picture } from "./picture.js";

/** A chunk with its handle, as far as healing looks at it. */
export interface HeldChunk {
  readonly handle: ChunkHandle;
  readonly members: readonly ServerId[];
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

export interface Assessment {
  readonly health: ReadonlyMap<ServerId, CopyHealth>;
  /** Copies that can be read now: the fewer, the more urgent. */
  readonly readable: number;
  /** Copies that are not lost and not damaged, whether or not they can be read now. */
  readonly whole: number;
  /** Open jobs that this chunk is part of. */
  readonly jobs: readonly JobId[];
  /** The most urgent of what running jobs have to do here. */
  readonly need: Need | undefined;
}

/**
 * Worst first: a lost copy goes before one that is damaged, and that before one that may stay. One
 * that is away is waited for, though it is part of the job that empties its server.
 */
const BY_URGENCY = ["lost", "damaged", "leaving", "away"] as const;

export function assess(picture: Picture, chunk: HeldChunk): Assessment {
  const health = new Map<ServerId, CopyHealth>();
  for (const member of chunk.members) health.set(member, healthOf(picture, member, chunk.handle));
  const jobs: JobId[] = [];
  let need: Need | undefined;
  for (const wanted of BY_URGENCY) {
    for (const [member, found] of health) {
      if (found !== wanted) continue;
      const job = jobOf(picture, member, found);
      if (job === undefined) continue;
      jobs.push(job.id);
      if (job.isRunning && found !== "away") {
        need ??= { job: job.id, leaving: member, health: found };
      }
    }
  }
  const values = [...health.values()];
  const readable = values.filter((one) => one === "good" || one === "leaving").length;
  const whole = values.filter((one) => one !== "lost" && one !== "damaged").length;
  return { health, readable, whole, jobs, need };
}

function healthOf(picture: Picture, member: ServerId, handle: ChunkHandle): CopyHealth {
  const site = picture.sites.get(member);
  if (site === undefined || site.isLost) return "lost";
  if (picture.isDamaged(member, handle)) return "damaged";
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
