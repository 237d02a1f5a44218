// How a request on the data plane waits for a frame: within its time, and until nobody wants it.

import { type Cancellation, LumeoError, type Timers } from "@lumeofs/base";
import type { Exchange, ReceivedFrame } from "@lumeofs/node/frames";

/** How long a request may wait for one frame, and who may end it before. */
export interface RequestLimits {
  readonly timeoutMs: number;
  readonly signal: Cancellation;
}

/**
 * A frame of a request; one that is late or not wanted any more ends the request.
 *
 * @throws LumeoError TIMEOUT, the signal's reason, or what the connection has to say.
 */
export function within(
  timers: Timers,
  received: Promise<ReceivedFrame>,
  exchange: Exchange,
  { timeoutMs, signal }: RequestLimits,
): Promise<ReceivedFrame> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      alarm.cancel();
      signal.removeEventListener("abort", abort);
    };
    const giveUp = (reason: unknown): void => {
      leave();
      reject(reason);
      exchange.finish();
    };
    const abort = (): void => giveUp(signal.reason);
    const late = (): void =>
      giveUp(new LumeoError("TIMEOUT", `No answer from a chunkserver within ${timeoutMs} ms`));
    const alarm = timers.after(timeoutMs, late);
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) return abort();
    const settled = <A>(settle: (value: A) => void) => {
      return (value: A): void => {
        leave();
        settle(value);
      };
    };
    received.then(settled(resolve), settled(reject));
  });
}
