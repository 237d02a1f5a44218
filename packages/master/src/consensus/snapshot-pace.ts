import type { Timers } from "@lumeofs/base";

/** Shorter pauses are saved up: timers are no finer. */
const PAUSE_MS_MIN = 1;

/**
 * Keeps snapshots from taking the disk and the network from everybody else.
 *
 * All that pass through one pace share its rate. Each piece pays for itself with a pause, so the
 * rate is an upper bound: the time of the work itself comes on top.
 */
export class SnapshotPace {
  readonly #bytesPerMs: number;
  readonly #timers: Timers;
  #owedBytes = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(bytesPerSecond: number, timers: Timers) {
    this.#bytesPerMs = bytesPerSecond / 1_000;
    this.#timers = timers;
  }

  /** The same pieces, none faster than the rate allows. */
  async *slowed(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const piece of pieces) {
      yield piece;
      await this.pay(piece.byteLength);
    }
  }

  /** Waits for as long as these bytes take at the rate; payers wait one behind the other. */
  pay(bytes: number): Promise<void> {
    this.#owedBytes += bytes;
    const pauseMs = Math.floor(this.#owedBytes / this.#bytesPerMs);
    if (pauseMs < PAUSE_MS_MIN) return this.#last;
    this.#owedBytes -= pauseMs * this.#bytesPerMs;
    this.#last = this.#last.then(
      () => new Promise((resolve) => this.#timers.after(pauseMs, resolve)),
    );
    return this.#last;
  }
}
