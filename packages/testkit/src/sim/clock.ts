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
  readonly #rate: number;
  readonly #world: World;
  readonly #lifetime: Lifetime;
  readonly #bornAt: number;

  constructor(world: World, lifetime: Lifetime, error: ClockError = {}) {
    this.#world = world;
    this.#lifetime = lifetime;
    this.#rate = error.rate ?? 1;
    this.#wallOffsetMs = error.wallOffsetMs ?? 0;
    this.#bornAt = world.now;
    invariant(0 < this.#rate, "a clock must go forward", { rate: this.#rate });
  }

  monotonicMs(): MonotonicMs {
    return monotonicMs((this.#world.now - this.#bornAt) * this.#rate);
  }

  wallMs(): WallMs {
    return wallMs(WALL_START_MS + this.#world.now * this.#rate + this.#wallOffsetMs);
  }

  /** Somebody sets the calendar; the monotonic clock does not notice. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs;
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
}
