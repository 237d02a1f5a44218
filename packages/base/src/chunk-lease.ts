// Leases of appendable chunks: how long a primary may answer reads without asking anybody.
//                                                     (docs/design/0019-chunk-protocol.md, rule 15)
//
// A lease gates reads only. If clocks run worse than the terms allow, a read may miss the newest
// records; no write is lost by it.
//
// T1. The holder counts from when it asked, the giver from when it answered, which is later; and
//     the holder counts short, the giver long. So the holder has stopped before the giver goes on,
//     as long as both clocks run within `drift` of the true speed.
// T2. The giver renews for the newest epoch alone, and not any more once it wants to grant another.

import type { Epoch } from "./ids.js";
import { invariant } from "./invariant.js";
import type { MonotonicMs, WallMs } from "./time.js";

export interface LeaseTerms {
  readonly lengthMs: number;
  /** How much faster or slower than true time a clock may run: 0.01 is one per cent. */
  readonly drift: number;
  /** For what a clock's reading and a process's scheduling may be late. */
  readonly slackMs: number;
}

export const LEASE_TERMS: LeaseTerms = { lengthMs: 3_000, drift: 0.01, slackMs: 500 };

/** Both clocks of one machine, read together. */
export interface Instant {
  readonly monotonicMs: MonotonicMs;
  readonly wallMs: WallMs;
}

/** What a holder remembers: when it asked for the renewal that was granted last. */
export interface HeldLease {
  readonly epoch: Epoch;
  readonly askedAt: Instant;
}

/** Takes an answer to a renewal; answers may come in any order. */
export function renewHeld(
  held: HeldLease | undefined,
  epoch: Epoch,
  askedAt: Instant,
): HeldLease | undefined {
  if (held !== undefined && epoch < held.epoch) return held;
  const isLater = held?.epoch !== epoch || held.askedAt.monotonicMs < askedAt.monotonicMs;
  return isLater ? { epoch, askedAt } : held;
}

/**
 * Whether the lease of this epoch is still held. To be asked after the data was read.
 *
 * A machine that was suspended may find its monotonic clock where it was: then the calendar has
 * moved on alone, and the lease is over. A calendar that was set does the same; that costs one
 * renewal.
 */
export function isHeld(
  terms: LeaseTerms,
  held: HeldLease | undefined,
  epoch: Epoch,
  now: Instant,
): boolean {
  if (held?.epoch !== epoch) return false;
  const elapsedMs = now.monotonicMs - held.askedAt.monotonicMs;
  const wallElapsedMs = now.wallMs - held.askedAt.wallMs;
  if (terms.slackMs / 2 < Math.abs(wallElapsedMs - elapsedMs)) return false;
  return elapsedMs < terms.lengthMs * (1 - terms.drift) - terms.slackMs;
}

/** What the giver remembers of one chunk. Not in any log: a new leader waits a whole lease. */
export interface GivenLease {
  /** The newest renewal given out may run from here; undefined if none is. */
  readonly since: MonotonicMs | undefined;
  /** Another epoch is to be granted: nothing is renewed. */
  readonly isEnding: boolean;
}

/** At the start of a leadership somebody may hold a lease that an earlier leader gave. */
export function leaseOfUnknownHolder(electedAt: MonotonicMs): GivenLease {
  return { since: electedAt, isEnding: false };
}

/** The lease of an epoch that was just granted: nobody holds it. */
export const NOBODYS_LEASE: GivenLease = { since: undefined, isEnding: false };

/** Answers a renewal for the newest epoch; undefined: refuse it. */
export function renewGiven(given: GivenLease, now: MonotonicMs): GivenLease | undefined {
  if (given.isEnding) return undefined;
  invariant(given.since === undefined || given.since <= now, "time does not go back", {
    since: given.since,
    now,
  });
  return { ...given, since: now };
}

/** From now on nothing is renewed, so that another epoch can be granted. */
export function endGiven(given: GivenLease): GivenLease {
  return { ...given, isEnding: true };
}

/** The holder of the newest epoch says that it reads no more. */
export function releaseGiven(given: GivenLease): GivenLease {
  return { ...given, since: undefined };
}

/** Whether every lease that was given is over by now, so that another epoch may be granted. */
export function isOver(terms: LeaseTerms, { since }: GivenLease, now: MonotonicMs): boolean {
  return overAt(terms, { since }) <= now;
}

/** When every lease that was given is over if none is renewed; -Infinity: none is given. */
export function overAt(terms: LeaseTerms, { since }: Pick<GivenLease, "since">): number {
  if (since === undefined) return -Infinity;
  return since + terms.lengthMs * (1 + terms.drift) + terms.slackMs;
}
