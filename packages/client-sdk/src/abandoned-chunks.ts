// Handles that this client was given and will not commit: a write failed, or was given up. The
// masters are told, so that what was written of them is garbage at once, and nobody who waits for
// the end of their grants, as a server that is emptied does, waits for what never comes.
//
// A1. Telling is a favour: it holds nobody up but `close`, and whom it does not reach finds out
//     when the grant expires.
// A2. At most ABANDONED_MAX handles wait to be told; those beyond are left to their grants.

import type { Calls } from "./calls.js";
import type { Metadata } from "./metadata.js";
import { LATEST } from "./operations.js";
import { RETRY_DEFAULT } from "./retry.js";

/** In one message: what the masters take at once. */
const HANDLES_PER_MESSAGE = 256;
const ABANDONED_MAX = 16_384;
/** An election is waited for, an outage is not. */
const PATIENCE_MS = 3_000;

const SETTINGS = {
  ...{ method: "abandon", path: undefined, signal: undefined, policy: RETRY_DEFAULT },
  ...{ wish: LATEST, tellsFreshness: false, timeoutMs: PATIENCE_MS, deadlineMs: PATIENCE_MS },
};

/** See the head of this file. */
export class AbandonedChunks {
  readonly #metadata: Pick<Metadata, "mutate">;
  readonly #calls: Pick<Calls, "runAside">;
  readonly #handles: number[] = [];
  #isTelling = false;

  constructor(metadata: Pick<Metadata, "mutate">, calls: Pick<Calls, "runAside">) {
    this.#metadata = metadata;
    this.#calls = calls;
  }

  /** Nothing will be committed under these handles. */
  add(handles: readonly number[]): void {
    this.#handles.push(...handles.slice(0, ABANDONED_MAX - this.#handles.length)); // A2
    if (!this.#isTelling && 0 < this.#handles.length) void this.#tell();
  }

  /** Writes of a call that has ended: once they end, too, they may abandon more (A1). */
  follow(writes: readonly Promise<unknown>[]): void {
    void this.#calls.runAside(SETTINGS, (call) => call.unlessAborted(Promise.allSettled(writes)));
  }

  /** Never rejects (A1). */
  #tell(): Promise<void> {
    return this.#calls.runAside(SETTINGS, async (call) => {
      this.#isTelling = true;
      try {
        while (0 < this.#handles.length) {
          const handles = this.#handles.splice(0, HANDLES_PER_MESSAGE);
          await this.#metadata.mutate(call, "abandonChunks", { handles });
        }
      } finally {
        this.#isTelling = false; // in the turn in which none was left: the next one begins anew
      }
    });
  }
}
