// Who is asked, and who is not listened to any more, while one span is read. Pure: what happens and
// what time it is come in, what is to be done goes out.
//
// R1. At most two replicas are asked at a time. The second one is asked for the rest when the first
//     one has sent nothing for the policy's delay, or at once when it fails.
// R2. When two are asked, the first piece decides: the other one is cancelled. It may be asked
//     again when all others have failed.
// R3. A replica that has failed is not asked again in this race.
// R4. The race is over when a replica has sent everything, or when nobody is left.

import type { MonotonicMs } from "@lumeofs/base";
import type { HedgePolicy } from "./hedge-policy.js";

/** What the race wants done. `leg` is a number for one request, from 0. */
export type RaceStep<T> =
  | { readonly kind: "ask"; readonly leg: number; readonly replica: T }
  /** It has lost: it sent nothing for `silentMs`. */
  | { readonly kind: "cancel"; readonly leg: number; readonly silentMs: number }
  /** Call `woke` then, unless the race is over. */
  | { readonly kind: "wake"; readonly inMs: number }
  | { readonly kind: "exhausted" };

interface Leg<T> {
  readonly number: number;
  readonly replica: T;
  readonly askedAt: MonotonicMs;
}

export class ReadRace<T> {
  readonly #policy: HedgePolicy;
  /** To be asked, the next one first. */
  readonly #hopes: T[];
  #running: Leg<T>[] = [];
  #legCount = 0;
  #heardAt: MonotonicMs;

  constructor(replicas: readonly T[], policy: HedgePolicy, now: MonotonicMs) {
    this.#hopes = [...replicas];
    this.#policy = policy;
    this.#heardAt = now;
  }

  start(now: MonotonicMs): readonly RaceStep<T>[] {
    this.#policy.readBegan();
    return this.#askNext(now);
  }

  /** Whether a leg is still listened to. */
  isRunning(leg: number): boolean {
    return this.#running.some(({ number }) => number === leg);
  }

  /** A leg has sent a piece; how long it was waited for is for whoever keeps the figures. */
  piece(leg: number, now: MonotonicMs): { steps: readonly RaceStep<T>[]; waitedMs: number } {
    const waitedMs = now - this.#heardAt;
    this.#policy.waited(waitedMs);
    const losers = this.#running.filter(({ number }) => number !== leg);
    this.#running = this.#running.filter(({ number }) => number === leg);
    const steps = losers.map(({ number, replica, askedAt }): RaceStep<T> => {
      this.#hopes.push(replica); // R2
      return { kind: "cancel", leg: number, silentMs: now - Math.max(askedAt, this.#heardAt) };
    });
    this.#heardAt = now;
    return { steps, waitedMs };
  }

  /** A leg has failed (R3). */
  failed(leg: number, now: MonotonicMs): readonly RaceStep<T>[] {
    this.#running = this.#running.filter(({ number }) => number !== leg);
    if (0 < this.#running.length) return [];
    this.#heardAt = now;
    return this.#askNext(now);
  }

  /** The time that was asked for has come. */
  woke(now: MonotonicMs): readonly RaceStep<T>[] {
    const silentMs = now - this.#heardAt;
    const { delayMs, patienceMs } = this.#policy;
    // A remainder of a fraction may be too small to move a clock on: the race would look for ever.
    const waitMs = Math.max(1, Math.ceil(delayMs - silentMs));
    if (silentMs < delayMs) return [{ kind: "wake", inMs: waitMs }];
    if (1 < this.#running.length || this.#hopes.length === 0) {
      return [{ kind: "wake", inMs: delayMs }]; // both may yet send, and then fall silent again
    }
    if (patienceMs <= silentMs || this.#policy.tryHedge()) return this.#askNext(now);
    return [{ kind: "wake", inMs: Math.max(1, Math.min(delayMs, patienceMs - silentMs)) }];
  }

  #askNext(now: MonotonicMs): readonly RaceStep<T>[] {
    const replica = this.#hopes.shift();
    if (replica === undefined) return [{ kind: "exhausted" }];
    const leg: Leg<T> = { number: this.#legCount++, replica, askedAt: now };
    this.#running.push(leg);
    const ask = { kind: "ask" as const, leg: leg.number, replica };
    const { delayMs } = this.#policy;
    if (delayMs === Infinity) return [ask];
    return [ask, { kind: "wake", inMs: delayMs }];
  }
}
