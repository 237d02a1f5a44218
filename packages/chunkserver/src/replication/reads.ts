// What may be read where.                                                       (rules 15, 16)

import { type HeldLease, type Instant, isHeld, type LeaseTerms } from "@lumeofs/base";
import { comparePositions, type Position } from "./append-record.js";
import { committed } from "./leading.js";
import type { PrimaryState } from "./primary-state.js";
import { isWitness, type ReplicaState } from "./replica.js";

/** What a read at the primary may see: everything that was acknowledged before it began. */
export interface CommittedView {
  readonly position: Position;
  readonly lengthBytes: number;
}

/** Begins a read at the primary; undefined: this server cannot serve it. */
export function beginRead(primary: PrimaryState): CommittedView | undefined {
  if (primary.kind !== "leading") return undefined;
  const view = committed(primary);
  if (view === undefined) return undefined;
  const position = { epoch: primary.grant.epoch, seq: view.seq };
  return { position, lengthBytes: view.lengthBytes };
}

/**
 * Whether the data of a read may be given out. To be asked after the data was read: a primary that
 * slept meanwhile may have been replaced.
 */
export function mayEndRead(
  view: CommittedView,
  primary: PrimaryState,
  lease: { readonly terms: LeaseTerms; readonly held: HeldLease | undefined },
  now: Instant,
): boolean {
  const { epoch } = primary.grant;
  if (primary.kind !== "leading" || epoch !== view.position.epoch) return false;
  return isHeld(lease.terms, lease.held, epoch, now);
}

/**
 * Rule 16a: a linearizable read at a secondary.
 *
 * @param named  Epoch and committed number that the primary named after the read began.
 */
export function mayServeNamed(replica: ReplicaState, named: Position): boolean {
  return replica.promised === named.epoch && named.seq <= replica.commitSeq && isWitness(replica);
}

/**
 * Rule 16b: a read of a session at any replica.
 *
 * @param seen  The position that the session has seen.
 * @returns     The position that it has seen then; undefined: this replica is behind.
 */
export function serveSession(replica: ReplicaState, seen: Position): Position | undefined {
  const position = replica.history.positionAt(replica.commitSeq);
  if (position === undefined || !isWitness(replica)) return undefined;
  return comparePositions(seen, position) <= 0 ? position : undefined;
}
