// How fast work in the background may go: bytes a second, shared by all takers of one throttle.
//
// Every taker reserves the time that its bytes need behind those that came before it, and waits
// until that time begins. So takers with different limits share one line: together they are never
// faster than the fastest of their limits, and none is faster than its own. What was not used is
// lost, except for a short burst.

import type { Cancellation, Clock, MonotonicMs, Timers } from "@lumeofs/base";

/** Unused time that may be caught up with. */
const BURST_MS = 250;

export interface ThrottlePorts {
  readonly clock: Clock;
  readonly timers: Timers;
}

/** See the head of this file. */
export class Throttle {
  readonly #ports: ThrottlePorts;
  /** Until then, everything is reserved. */
  #reservedMs: number;

  constructor(ports: ThrottlePorts) {
    this.#ports = ports;
    this.#reservedMs = ports.clock.monotonicMs();
  }

  /**
   * Waits until `bytes` more may be moved.
   *
   * @param bytesPerSecond  0 for no limit: neither waits nor makes others wait.
   * @throws The signal's reason, if it is aborted before.
   */
  async take(bytes: number, bytesPerSecond: number, signal?: Cancellation): Promise<void> {
    signal?.throwIfAborted();
    if (bytesPerSecond === 0) return;
    const now = this.#ports.clock.monotonicMs();
    const startMs = startOf(this.#reservedMs, now);
    this.#reservedMs = startMs + (bytes / bytesPerSecond) * 1_000;
    if (now < startMs) await pause(this.#ports.timers, startMs - now, signal);
  }
}

function startOf(reservedMs: number, now: MonotonicMs): number {
  return Math.max(reservedMs, now - BURST_MS);
}

/** Waits, or rejects with the signal's reason as soon as it is aborted; it never throws at once. */
export async function pause(timers: Timers, ms: number, signal?: Cancellation): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const abort = (): void => {
      alarm.cancel();
      reject(signal?.reason);
    };
    const alarm = timers.after(ms, () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}
