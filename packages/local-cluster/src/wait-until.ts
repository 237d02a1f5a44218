// Waiting for something that other processes bring about and that nobody announces.

import { setTimeout as delay } from "node:timers/promises";
import { SystemClock } from "@lumeofs/node";

export interface Patience {
  readonly timeoutMs: number;
  /** So often it is asked at least, however long an answer takes; once if undefined. */
  readonly asksMin?: number;
  readonly signal?: AbortSignal | undefined;
}

const POLL_MS = 40;
const clock = new SystemClock();

/**
 * Asks again and again until the answer is not undefined.
 *
 * @returns The answer, or undefined when the time is up.
 * @throws  The signal's reason if it is aborted, and whatever `ask` throws.
 */
export async function waitUntil<T>(
  ask: () => T | undefined | Promise<T | undefined>,
  patience: Patience,
): Promise<T | undefined> {
  const end = clock.monotonicMs() + patience.timeoutMs;
  for (let asks = 1; ; asks++) {
    patience.signal?.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    const isEnough = (patience.asksMin ?? 1) <= asks;
    if (isEnough && end <= clock.monotonicMs()) return undefined;
    await delay(
      POLL_MS,
      undefined,
      patience.signal === undefined ? {} : { signal: patience.signal },
    );
  }
}
