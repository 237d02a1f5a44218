// What the masters think of a replica that a server says it has (rule 22 of
// docs/design/0019-chunk-protocol.md): whether the cluster needs it, and whether the masters can
// know of it at all.
//
// S1. Epochs and handles come from the log alone. So a replica of a later epoch than its chunk has,
//     or under a handle that was never granted, proves that this state is older than what its
//     servers were told: the masters have lost what they knew.
// S2. What is proof of S1 is never garbage.

import {
  type ChunkHandle,
  type Epoch,
  GRANT_SLOTS,
  grantOf,
  type ReplicaStanding,
  type ServerId,
} from "@lumeofs/base";
import { getChunk, isGarbage } from "./chunk-table.js";
import { lastNumber } from "./counters.js";
import { FRESH_EPOCH, isLive } from "./grants.js";
import { holdsNothing } from "./member-content.js";
import { getMove } from "./moves.js";
import { isRestoring } from "./restoration.js";
import type { StateView } from "./state.js";
import { getTail } from "./tail-table.js";

/** A replica, as its server names it. */
export interface ReportedReplica {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
}

export interface Holding {
  readonly server: ServerId;
  /** Whether a member's copy is good, as far as is known. */
  readonly isGood: (member: ServerId) => boolean;
}

/** Whether a handle was never given to anybody, as far as this state knows (S1). */
export function isNeverGranted(view: StateView, handle: ChunkHandle): boolean {
  return GRANT_SLOTS <= handle && lastNumber(view, "grant") < grantOf(handle);
}

/**
 * A member that was replaced while it was away is cleaned as garbage, and not while its copy might
 * be the last one.
 */
export function standingOfReplica(
  view: StateView,
  { handle, epoch }: ReportedReplica,
  { server, isGood }: Holding,
): ReplicaStanding {
  const chunk = getChunk(view, handle);
  if (chunk === undefined) return standingOfUnknown(view, { handle, epoch });
  if (chunk.epoch < epoch) return "newer";
  if (getMove(view, handle)?.target === server) return "moveTarget";
  const { members, releasedAt } = chunk;
  // A member whose unit has no bytes stores nothing: what it has is left from another time.
  if (members.includes(server) && !holdsNothing(chunk, server)) {
    if (releasedAt !== undefined) return "released";
    return epoch < chunk.epoch ? "stale" : "member";
  }
  return members.every(isGood) && !isRestoring(view) ? "garbage" : "kept";
}

/** Of a handle that no file has, nor had lately. */
function standingOfUnknown(
  view: StateView,
  { handle, epoch }: ReportedReplica,
): "newer" | "granted" | "ofLostTime" | "garbage" {
  if (isNeverGranted(view, handle)) return "newer";
  if (isLive(view, handle)) return FRESH_EPOCH < epoch ? "newer" : "granted";
  const tail = getTail(view, handle);
  if (tail !== undefined) return tail.authority.newest.epoch < epoch ? "newer" : "granted";
  return isGarbage(view, handle) ? "garbage" : "ofLostTime";
}
