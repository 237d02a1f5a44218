import type { Brand } from "./brand.js";

/** Milliseconds of a clock that never goes back and means nothing on another machine. */
export type MonotonicMs = Brand<number, "MonotonicMs">;
/** Milliseconds since 1970 for people and file times; may jump. */
export type WallMs = Brand<number, "WallMs">;

export interface Clock {
  /** For durations and leases. Never goes back; means nothing on another machine. */
  monotonicMs(): MonotonicMs;
  /** For people and file times. May jump; never decides who holds a lease. */
  wallMs(): WallMs;
}

/** Something that will happen unless it is cancelled. */
export interface Alarm {
  cancel(): void;
}

/** Waking up later. Real on a server, virtual in simulation. */
export interface Timers {
  /** Calls `wake` once after `delayMs`. */
  after(delayMs: number, wake: () => void): Alarm;
  /** Calls `wake` every `periodMs` until cancelled; a late call is not made up for. */
  every(periodMs: number, wake: () => void): Alarm;
}

export function monotonicMs(n: number): MonotonicMs {
  return n as MonotonicMs;
}

export function wallMs(n: number): WallMs {
  return Math.floor(n) as WallMs;
}
