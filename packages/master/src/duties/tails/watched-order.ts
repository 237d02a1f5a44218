// An order that may take long, to a server that may stand still meanwhile. So it is looked again
// and again whether anybody is there, and the order ends as soon as nobody is: its own time limit
// has to be as long as the work may take.

import { LumeoError, type Timers } from "@lumeofs/base";

export interface WatchedOrder<T> {
  /** Gives the order; gives up when the signal aborts. */
  readonly order: (signal: AbortSignal) => Promise<T>;
  /** Why nothing is to be awaited any more; undefined if somebody is there. Must not throw. */
  readonly look: () => Promise<LumeoError | undefined>;
  /** Pause before each look. */
  readonly everyMs: number;
}

/**
 * Carries an order out.
 *
 * @returns What came of it; `silent` if a look has ended it.
 * @throws  What the order failed with.
 */
export async function watchOrder<T>(
  timers: Timers,
  { order, look, everyMs }: WatchedOrder<T>,
): Promise<{ readonly kind: "ended"; readonly value: T } | { readonly kind: "silent" }> {
  const over = new AbortController();
  let isSilent = false;
  let alarm = timers.after(everyMs, wake);
  function wake(): void {
    void look().then((why) => {
      if (over.signal.aborted) return;
      if (why === undefined) alarm = timers.after(everyMs, wake);
      else {
        isSilent = true;
        over.abort(why);
      }
    });
  }
  try {
    return { kind: "ended", value: await order(over.signal) };
  } catch (error) {
    if (isSilent && error instanceof LumeoError) return { kind: "silent" };
    throw error;
  } finally {
    over.abort(new LumeoError("ABORTED", "The order has ended"));
    alarm.cancel();
  }
}
