// What this server knows of how the masters give out tokens: their keys, and what time it is for
// them. It comes with the answers to heartbeats. Pure: the time is passed in.
//
// W1. Tokens are judged by the leader's clock, never by this machine's wall clock: what is added to
//     the time that the leader last told is counted by the monotonic clock.
// W2. The estimate is never ahead of the leader's clock by more than the two clocks drift apart
//     until the next answer, because an answer takes time to come: a token is not refused early.

import { type MonotonicMs, type TokenKey, type WallMs, wallMs } from "@lumeofs/base";

/** Keys kept: the newest and the one before it, and room for masters that keep one more. */
const KEYS_MAX = 4;

/**
 * A token is taken this long after it has expired: clocks of masters may differ so much, and those
 * of one machine drift between two heartbeats.
 */
export const SKEW_MS_MAX = 5_000;

/** Who judges tokens hears so how the masters give them out. */
export interface TokenListener {
  /** Number of the newest key that is known; 0 for none. */
  readonly newestKey: number;
  toldKeys(keys: readonly TokenKey[]): void;
  toldTime(leaderTime: WallMs): void;
}

export class MastersWord {
  #keys: readonly TokenKey[] = [];
  #told: { readonly time: WallMs; readonly at: MonotonicMs } | undefined;

  /** The leader has told its time, in an answer that came at `at`. */
  toldTime(time: WallMs, at: MonotonicMs): void {
    this.#told = { time, at };
  }

  /** The keys of the masters take the place of those known. */
  toldKeys(keys: readonly TokenKey[]): void {
    this.#keys = [...keys].sort((a, b) => b.id - a.id).slice(0, KEYS_MAX);
  }

  /** Tokens can be judged. */
  get isComplete(): boolean {
    return 0 < this.#keys.length && this.#told !== undefined;
  }

  /** Number of the newest key; 0 for none. */
  get newestKey(): number {
    return this.#keys[0]?.id ?? 0;
  }

  key(id: number): TokenKey | undefined {
    return this.#keys.find((key) => key.id === id);
  }

  /**
   * The time up to which tokens must have expired to be refused (W1, W2). The beginning of time
   * while the leader has told none.
   */
  refusesBefore(now: MonotonicMs): WallMs {
    if (this.#told === undefined) return wallMs(0);
    const { time, at } = this.#told;
    return wallMs(Math.max(0, time + (now - at) - SKEW_MS_MAX));
  }
}
