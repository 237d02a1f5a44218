// What the leader remembers of the leases that it gives to primaries of tails. Nothing of it is in
// the log: a new leader waits a whole lease from its election before it grants an epoch of a tail
// whose primary may hold one (rule 15 of docs/design/0019).

import {
  type ChunkHandle,
  endGiven,
  type GivenLease,
  isOver,
  type LeaseTerms,
  leaseOfUnknownHolder,
  type MonotonicMs,
  NOBODYS_LEASE,
  overAt,
  releaseGiven,
  renewGiven,
} from "@lumeofs/base";

export class LeaseBook {
  readonly terms: LeaseTerms;
  readonly #given = new Map<ChunkHandle, GivenLease>();
  /** Bytes that primaries said were committed. */
  readonly #committed = new Map<ChunkHandle, number>();
  #electedAt: MonotonicMs;

  constructor(terms: LeaseTerms, now: MonotonicMs) {
    this.terms = terms;
    this.#electedAt = now;
  }

  /** A term of office begins. */
  reset(now: MonotonicMs): void {
    this.#electedAt = now;
    this.#given.clear();
    this.#committed.clear();
  }

  /** A tail, or an epoch of one, that this leader has just brought into being. */
  begin(handle: ChunkHandle): void {
    this.#given.set(handle, NOBODYS_LEASE);
  }

  /** Whether the primary of the newest epoch gets a lease from now on. */
  renew(handle: ChunkHandle, now: MonotonicMs): boolean {
    const renewed = renewGiven(this.#of(handle), now);
    if (renewed !== undefined) this.#given.set(handle, renewed);
    return renewed !== undefined;
  }

  /** The primary of the newest epoch reads no more. */
  release(handle: ChunkHandle): void {
    this.#given.set(handle, releaseGiven(this.#of(handle)));
  }

  /** Nothing is renewed from now on. */
  end(handle: ChunkHandle): void {
    this.#given.set(handle, endGiven(this.#of(handle)));
  }

  /** No other epoch is wanted any more, and none was granted. */
  keep(handle: ChunkHandle): void {
    const given = this.#of(handle);
    if (given.isEnding) this.#given.set(handle, { ...given, isEnding: false });
  }

  /** Whether another epoch may be granted. */
  isOver(handle: ChunkHandle, now: MonotonicMs): boolean {
    return isOver(this.terms, this.#of(handle), now);
  }

  /** How long until another epoch may be granted, if nothing is renewed. */
  leftMs(handle: ChunkHandle, now: MonotonicMs): number {
    return Math.max(0, Math.ceil(overAt(this.terms, this.#of(handle)) - now));
  }

  /** How long ago a lease was given that may not be over; undefined if there is none. */
  ageMs(handle: ChunkHandle, now: MonotonicMs): number | undefined {
    const { since } = this.#of(handle);
    return since === undefined || this.isOver(handle, now) ? undefined : now - since;
  }

  note(handle: ChunkHandle, committedBytes: number): void {
    this.#committed.set(handle, committedBytes);
  }

  /** As its primary said last; 0 if it has not. */
  committedBytes(handle: ChunkHandle): number {
    return this.#committed.get(handle) ?? 0;
  }

  /** A tail that is no more. */
  forget(handle: ChunkHandle): void {
    this.#given.delete(handle);
    this.#committed.delete(handle);
  }

  #of(handle: ChunkHandle): GivenLease {
    return this.#given.get(handle) ?? leaseOfUnknownHolder(this.#electedAt);
  }
}
