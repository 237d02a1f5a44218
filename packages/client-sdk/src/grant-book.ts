// Chunk handles granted ahead of need, so that a small file costs no extra round trip. Pure: the
// time is passed in, fetching more is allocations.ts' business.
//
// G1. A handle is given out at most once.
// G2. No handle is given out at or after its grant's end of use.
// G3. No handle is given out whose replicas include a server that failed lately.
// G4. Consecutive handles come from different grants where there are several, to spread the load.

import type { MonotonicMs, ServerId } from "@lumeofs/base";

/** A chunkserver that holds, or is to hold, a copy. */
export interface Replica {
  readonly server: ServerId;
  readonly name: string;
  /** host:port of its data plane. */
  readonly address: string;
}

/** Handles as the masters gave them. All have the same replicas, the primary first. */
export interface Grant {
  readonly firstHandle: number;
  readonly handleCount: number;
  readonly epoch: number;
  readonly replicas: readonly Replica[];
  /** No use at or after this time. */
  readonly usableUntil: MonotonicMs;
  /** The masters' word for the chunkservers; undefined from masters that give none. */
  readonly token: Uint8Array | undefined;
}

/** One chunk to write. */
export interface Allocation {
  readonly handle: number;
  readonly epoch: number;
  readonly replicas: readonly Replica[];
  readonly usableUntil: MonotonicMs;
  readonly token: Uint8Array | undefined;
}

/** Chunks to write together: they have handles in a row, and everything else in common. */
export interface HandleRow extends Allocation {
  readonly count: number;
}

interface OpenGrant {
  readonly grant: Grant;
  used: number;
}

/** The unused handles of one kind (number of replicas). */
export class GrantBook {
  #grants: OpenGrant[] = [];
  #turn = 0;

  /** Handles that can be given out now. */
  available(now: MonotonicMs): number {
    this.#dropExpired(now);
    return this.#grants.reduce((sum, { grant, used }) => sum + grant.handleCount - used, 0);
  }

  add(grant: Grant): void {
    this.#grants.push({ grant, used: 0 });
  }

  /** A handle (G1, G2, G4), or undefined if there is none. */
  take(now: MonotonicMs): Allocation | undefined {
    return this.takeRow(now, 1);
  }

  /** Up to `max` handles in a row, of one grant: as `take` in everything else. */
  takeRow(now: MonotonicMs, max: number): HandleRow | undefined {
    this.#dropExpired(now);
    if (this.#grants.length === 0) return undefined;
    this.#turn = (this.#turn + 1) % this.#grants.length;
    const open = this.#grants[this.#turn] as OpenGrant;
    const { firstHandle, handleCount, epoch, replicas, usableUntil, token } = open.grant;
    const handle = firstHandle + open.used;
    const count = Math.min(max, handleCount - open.used);
    open.used += count;
    if (open.used === handleCount) this.#grants.splice(this.#turn, 1);
    return { handle, count, epoch, replicas, usableUntil, token };
  }

  /** Forgets grants in which one of these servers takes part (G3). */
  dropServers(failed: ReadonlySet<ServerId>): void {
    this.#grants = this.#grants.filter(
      ({ grant }) => !grant.replicas.some(({ server }) => failed.has(server)),
    );
  }

  /** Forgets the grants of a token that a chunkserver did not take. */
  dropToken(token: Uint8Array): void {
    this.#grants = this.#grants.filter(({ grant }) => grant.token !== token);
  }

  /** Forgets all grants. */
  clear(): void {
    this.#grants = [];
  }

  #dropExpired(now: MonotonicMs): void {
    this.#grants = this.#grants.filter(({ grant }) => now < grant.usableUntil);
  }
}
