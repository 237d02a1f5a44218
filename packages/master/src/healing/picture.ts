// What healing knows of the servers and of the open jobs when it decides: a picture taken once for
// each piece of work, so that all decisions of it follow from the same facts.

import type { ChunkHandle, ServerId } from "@lumeofs/base";
import type { Liveness } from "../fleet/servers.js";
import type { JobId, JobKind } from "../metadata/jobs.js";
import type { Standing } from "../metadata/nodes.js";

/** A chunkserver's store. */
export interface Site {
  readonly id: ServerId;
  readonly name: string;
  readonly liveness: Liveness;
  /** Gone for longer than the grace, or another store has its place: its copies count as lost. */
  readonly isLost: boolean;
  readonly standing: Standing;
  /** Sites of one failure domain fail together; undefined if nobody said. */
  readonly domain: string | undefined;
  /** Undefined if it was not heard since this master leads. */
  readonly room: Room | undefined;
}

export interface Room {
  readonly usedBytes: number;
  readonly freeBytes: number;
  readonly capacityBytes: number;
  readonly isReadOnly: boolean;
}

/** A job that is not at its end. */
export interface OpenJob {
  readonly id: JobId;
  readonly kind: JobKind;
  readonly subject: ServerId | undefined;
  /** It is not paused. */
  readonly isRunning: boolean;
}

export interface Picture {
  readonly sites: ReadonlyMap<ServerId, Site>;
  readonly jobs: readonly OpenJob[];
  isDamaged(server: ServerId, handle: ChunkHandle): boolean;
}

/** The open job of a kind for a server. */
export function jobFor(
  picture: Picture,
  kind: JobKind,
  subject: ServerId | undefined,
): OpenJob | undefined {
  return picture.jobs.find((job) => job.kind === kind && job.subject === subject);
}

/** The job that empties a server, for a while or for good. */
export function leavingJob(picture: Picture, server: ServerId): OpenJob | undefined {
  return jobFor(picture, "drain", server) ?? jobFor(picture, "decommission", server);
}
