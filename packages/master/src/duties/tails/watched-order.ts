// An order that may take long, to a server that may stand still meanwhile. So it is looked again
// and again whether anybody is there, and the order ends when nobody is: its own time limit has to
// be as long as the work may take. One look that fails says little: an answer was lost, or late on
// a machine that had much to do. So it is looked once more, soon.

import { LumeoError, type Timers } from "@lumeofs/base";

export interface WatchedOrder<T> {
  /** Gives the order; gives up when the signal aborts. */
  readonly order: (signal: AbortSignal) => Promise<T>;
  /** Why nobody seems to be there; undefined if somebody is. What it throws ends the order. */
  readonly look: () => Promise<LumeoError | undefined>;
  /** Pause before each look; half of it before the one that follows a failed one. */
  readonly everyMs: number;
}

/** So many looks in a row that fail end the order. */
const MISSES_MAX = 2;

/**
 * Carries an order out.
 *
 * @returns What came of it; `silent` if looks have ended it.
 * @throws  What the order failed with; what a look has thrown.
 */
export async function watchOrder<T>(
  timers: Timers,
  { order, look, everyMs }: WatchedOrder<T>,
): Promise<{ readonly kind: "ended"; readonly value: T } | { readonly kind: "silent" }> {
  const over = new AbortController();
  let misses = 0;
  let alarm = timers.after(everyMs, wake);
  let fail: (thrown: unknown) => void = () => undefined;
  const broken = new Promise<never>((_, reject) => {
    fail = reject;
  });
  broken.catch(() => undefined); // the order may have ended before
  function wake(): void {
    look().then(seen, (thrown: unknown) => {
      fail(thrown);
      over.abort(new LumeoError("ABORTED", "It cannot be seen whether anybody is there"));
    });
  }
  function seen(why: LumeoError | undefined): void {
    if (over.signal.aborted) return;
    misses = why === undefined ? 0 : misses + 1;
    if (misses < MISSES_MAX) alarm = timers.after(misses === 0 ? everyMs : everyMs / 2, wake);
    else over.abort(why);
  }
  try {
    return { kind: "ended", value: await Promise.race([order(over.signal), broken]) };
  } catch (error) {
    if (misses === MISSES_MAX && error instanceof LumeoError) return { kind: "silent" };
    throw error;
  } finally {
    over.abort(new LumeoError("ABORTED", "The order has ended"));
    alarm.cancel();
  }
}
