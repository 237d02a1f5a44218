// The bytes of a snapshot as they come from another member: bounded, can be given up at any time,
// and a failure of theirs can be told from one of this member's disk.

import { LumeoError } from "@lumeofs/base";

export class SnapshotSource {
  readonly #pieces: AsyncIterable<Uint8Array>;
  readonly #bytesMax: number;
  readonly #signal: AbortSignal;
  #failure: unknown;

  /** @param signal  Ends it, also while it waits for the other member. */
  constructor(pieces: AsyncIterable<Uint8Array>, bytesMax: number, signal: AbortSignal) {
    this.#pieces = pieces;
    this.#bytesMax = bytesMax;
    this.#signal = signal;
  }

  /** Why it ended early; undefined if it did not. */
  get failure(): unknown {
    return this.#failure;
  }

  async *pieces(): AsyncIterable<Uint8Array> {
    const reading = this.#pieces[Symbol.asyncIterator]();
    let bytes = 0;
    try {
      for (let next = await this.#next(reading); !next.done; next = await this.#next(reading)) {
        bytes += next.value.byteLength;
        if (this.#bytesMax < bytes) {
          throw this.#failed(new LumeoError("PROTOCOL", "Snapshot is longer than announced"));
        }
        yield next.value;
      }
    } finally {
      // Not waited for: it ends only when the other member sends something or breaks off.
      reading.return?.().catch(() => {});
    }
  }

  async #next(reading: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    let giveUp: () => void = () => {};
    const givenUp = new Promise<never>((_resolve, reject) => {
      giveUp = () => reject(new LumeoError("ABORTED", "The transfer was given up for another one"));
    });
    this.#signal.addEventListener("abort", giveUp, { once: true });
    try {
      if (this.#signal.aborted) giveUp();
      return await Promise.race([reading.next(), givenUp]);
    } catch (error) {
      throw this.#failed(error ?? new LumeoError("CONNECTION_LOST", "Snapshot ended early"));
    } finally {
      this.#signal.removeEventListener("abort", giveUp);
    }
  }

  #failed(error: unknown): unknown {
    this.#failure = error;
    return error;
  }
}
