// How long a leader may believe that it still leads, without asking.             Raft thesis §6.4.1
//
// Whoever confirmed a round of the leader helps nobody to another election for an election timeout
// from when it heard the round, which is after the round began. So nobody else leads before that
// time is over, measured from the beginning of the round.
//
// E1. The lease begins with the round, not with its answers.
// E2. It is shorter than the promise of the others by a share that two clocks may drift apart, and
//     by two ticks, because the others count time in ticks.
// E3. It is over when the two clocks of this machine disagree by more than a little: a machine that
//     was suspended stops its monotonic clock, but the calendar goes on.
// E4. It is asked after the state was read, before the answer leaves: a process may stop between
//     any two of its steps, and its caller would take what is old for new.
// E5. A member that restarts has forgotten its promises, so it helps nobody for an election timeout
//     (`RaftOptions.leases`). All members must therefore agree on whether there are leases.

import type { RaftOptions } from "../raft/message.js";
import type { Moment } from "./moment.js";

/** The part of the others' promise that a leader relies on: clocks may drift by one part in ten. */
const LEASE_SHARE = 0.75;
/** Ticks by which a promise may be shorter than it says: the first one may come at once. */
const TICKS_LOST = 2;
/** Clocks that part by more have jumped; what they are slewed in the life of a lease is less. */
const JUMP_MS_MAX = 20;

/** Milliseconds from the beginning of a confirmed round. */
export function leaseMs(raft: Pick<RaftOptions, "electionTicks">, tickMs: number): number {
  return LEASE_SHARE * Math.max(0, raft.electionTicks - TICKS_LOST) * tickMs;
}

/**
 * Whether a leader may answer from its own state at `now`.
 *
 * @param confirmed  Beginning of its last confirmed round in this term.
 */
export function holdsLease(confirmed: Moment | undefined, now: Moment, lengthMs: number): boolean {
  if (confirmed === undefined) return false;
  const elapsedMs = now.monotonic - confirmed.monotonic;
  const driftMs = Math.abs(now.wall - confirmed.wall - elapsedMs);
  return 0 <= elapsedMs && elapsedMs < lengthMs && driftMs <= JUMP_MS_MAX;
}
