// The only clock and the only timers of a real process. Everything else receives them as ports, so
// that a simulation can put virtual time in their place.

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

/** The machine's clocks: `performance.now` for durations, `Date.now` for people. */
export class SystemClock implements Clock {
  monotonicMs(): MonotonicMs {
    return monotonicMs(performance.now());
  }

  wallMs(): WallMs {
    return wallMs(Date.now());
  }
}

export interface SystemTimersOptions {
  /** The process may end although an alarm is still set. Default: it may not. */
  readonly unref?: boolean;
}

/** The longest delay that Node.js takes; it would fire a longer one at once. */
const DELAY_MS_MAX = 2 ** 31 - 1;

/** The event loop's timers. */
export class SystemTimers implements Timers {
  readonly #unref: boolean;

  constructor(options: SystemTimersOptions = {}) {
    this.#unref = options.unref ?? false;
  }

  after(delayMs: number, wake: () => void): Alarm {
    checkDelay(delayMs);
    if (delayMs === 0) return this.#nextTurn(wake); // the shortest timeout is a whole millisecond
    const timer = setTimeout(wake, delayMs);
    if (this.#unref) timer.unref();
    return { cancel: () => clearTimeout(timer) };
  }

  every(periodMs: number, wake: () => void): Alarm {
    checkDelay(periodMs);
    const timer = setInterval(wake, periodMs);
    if (this.#unref) timer.unref();
    return { cancel: () => clearInterval(timer) };
  }

  #nextTurn(wake: () => void): Alarm {
    const immediate = setImmediate(wake);
    if (this.#unref) immediate.unref();
    return { cancel: () => clearImmediate(immediate) };
  }
}

function checkDelay(ms: number): void {
  invariant(0 <= ms && ms <= DELAY_MS_MAX, "delay out of range", { ms, max: DELAY_MS_MAX });
}
