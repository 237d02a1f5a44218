// The frames of a chunk as its writer takes them: one that keeps an open connection waiting for too
// long is told apart, so that the connection is given back meanwhile.

import type { Timers } from "@lumeofs/base";
import type { Call } from "./call.js";
import type { ChunkBody } from "./chunk-body.js";

/** How long a connection waits for the caller's stream. */
const SOURCE_PAUSE_MS = 10_000;

export class SourceFrames {
  readonly #call: Call;
  readonly #timers: Timers;
  readonly #frames: AsyncIterator<Uint8Array>;

  constructor(call: Call, body: ChunkBody, timers: Timers) {
    this.#call = call;
    this.#timers = timers;
    this.#frames = body.frames()[Symbol.asyncIterator]();
  }

  /**
   * @param isConnected  A connection waits for the frame.
   * @returns            Undefined at the end; "paused" if the frame did not come in time.
   */
  next(isConnected: boolean): Promise<Uint8Array | undefined | "paused"> {
    return this.#call.unlessAborted(this.#next(isConnected));
  }

  /** No more frames are wanted. */
  close(): void {
    this.#frames.return?.().catch(() => undefined);
  }

  #next(isConnected: boolean): Promise<Uint8Array | undefined | "paused"> {
    const frames = this.#frames;
    const next = frames.next().then(({ done, value }) => (done === true ? undefined : value));
    if (!isConnected) return next;
    return new Promise((resolve, reject) => {
      const alarm = this.#timers.after(SOURCE_PAUSE_MS, () => resolve("paused"));
      next.then(resolve, reject).finally(() => alarm.cancel());
    });
  }
}
