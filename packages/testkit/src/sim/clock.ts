// The clocks of one simulated machine: each has its own speed and its own idea of the time.

import {
  type Alarm,
  type Clock,
  invariant,
  type MonotonicMs,
  monotonicMs,
  type Timers,
  type WallMs,
  wallMs,
} from "@lumeofs/base";
import type { Lifetime } from "./lifetime.js";
import type { World } from "./world.js";

/** Where every simulated calendar begins: 2026-01-01. */
const WALL_START_MS = 1_767_225_600_000;

export interface ClockError {
  /** Speed against true time: 1.01 gains ten milliseconds a second. */
  readonly rate?: number;
  /** What the calendar shows beyond true time. */
  readonly wallOffsetMs?: number;
}

/** Clock and timers of one run of a process, on virtual time. */
export class SimClock implements Clock, Timers {
  #wallOffsetMs: number;
  #rate: number;
  /** What the clock showed when it began to run as it does now, and when that was. */
  #monotonicThen = 0;
  #wallThen: number;
  #then: number;
  /** The latest reading that anybody has seen: it never goes back. */
  #shown = 0;
  readonly #world: World;
  readonly #lifetime: Lifetime;

  constructor(world: World, lifetime: Lifetime, error: ClockError = {}) {
    this.#world = world;
    this.#lifetime = lifetime;
    this.#rate = error.rate ?? 1;
    this.#wallOffsetMs = error.wallOffsetMs ?? 0;
    this.#then = world.now;
    this.#wallThen = WALL_START_MS + world.now * this.#rate;
    invariant(0 < this.#rate, "a clock must go forward", { rate: this.#rate });
  }

  monotonicMs(): MonotonicMs {
    this.#shown = Math.max(this.#shown, this.#monotonicThen + this.#sinceThen());
    return monotonicMs(this.#shown);
  }

  wallMs(): WallMs {
    return wallMs(this.#wallThen + this.#sinceThen() + this.#wallOffsetMs);
  }

  /** Somebody sets the calendar; the monotonic clock does not notice. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
  }

  /**
   * The monotonic clock jumps, and the calendar does not notice. It stands still until it has made
   * up for a jump back, as that of a machine which was suspended. Timers ring when they would have.
   */
  jumpMonotonic(byMs: number): void {
    this.#monotonicThen += byMs;
  }

  /** From now on both clocks run so fast; what waits for a timer is not touched. */
  setRate(rate: number): void {
    invariant(0 < rate, "a clock must go forward", { rate });
    const since = this.#sinceThen();
    this.#monotonicThen += since;
    this.#wallThen += since;
    this.#then = this.#world.now;
    this.#rate = rate;
  }

  after(delayMs: number, wake: () => void): Alarm {
    let isCancelled = false;
    const alarm = this.#lifetime.after(Math.max(0, delayMs) / this.#rate, () => {
      if (!isCancelled) wake();
    });
    return {
      cancel() {
        isCancelled = true;
        alarm.cancel();
      },
    };
  }

  every(periodMs: number, wake: () => void): Alarm {
    invariant(0 < periodMs, "a period must be positive", { periodMs });
    let isCancelled = false;
    let pending: Alarm | undefined;
    const next = (): void => {
      pending = this.after(periodMs, () => {
        // The next period begins first: `wake` may cancel it.
        next();
        if (!isCancelled) wake();
      });
    };
    next();
    return {
      cancel() {
        isCancelled = true;
        pending?.cancel();
      },
    };
  }

  #sinceThen(): number {
    return (this.#world.now - this.#then) * this.#rate;
  }
}
