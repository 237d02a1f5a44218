// Waiting for something that other processes bring about and that nobody announces.

import { setTimeout as delay } from "node:timers/promises";

export interface Patience {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

const POLL_MS = 40;

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
  const end = performance.now() + patience.timeoutMs;
  for (;;) {
    patience.signal?.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (end <= performance.now()) return undefined;
    await delay(
      POLL_MS,
      undefined,
      patience.signal === undefined ? {} : { signal: patience.signal },
    );
  }
}
