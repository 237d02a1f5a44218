// Notices that nobody answers any more, long before single requests run out of their time.
//
// S1. Silence counts from the last answer, or from the first request behind it.
// S2. One look into it at a time. If that finds that nothing is to be awaited, all requests under
//     way end with what it found; else the silence counts anew.

import {
  type Alarm,
  type Cancellation,
  CancelSource,
  type Clock,
  type LumeoError,
  type Timers,
} from "@lumeofs/base";

/** See the head of this file. */
export class SilenceWatch {
  readonly #ports: { readonly clock: Clock; readonly timers: Timers };
  readonly #silentMs: number;
  readonly #look: () => Promise<LumeoError | undefined>;
  readonly #underWay = new Set<CancelSource>();
  #quietSince = 0;
  #alarm: Alarm | undefined;
  #isClosed = false;

  /** @param look  Why nothing is to be awaited any more, if so. Must not throw. */
  constructor(
    ports: { readonly clock: Clock; readonly timers: Timers },
    silentMs: number,
    look: () => Promise<LumeoError | undefined>,
  ) {
    this.#ports = ports;
    this.#silentMs = silentMs;
    this.#look = look;
  }

  /** Makes a request, whose signal aborts with `outer`, or when nothing is to be awaited. */
  async during<T>(outer: Cancellation, request: (signal: Cancellation) => Promise<T>): Promise<T> {
    const own = new CancelSource();
    const abort = (): void => own.abort(outer.reason);
    if (outer.aborted) abort();
    outer.addEventListener("abort", abort, { once: true });
    if (this.#underWay.size === 0) this.#quietSince = this.#now();
    this.#underWay.add(own);
    this.#arm();
    try {
      const answer = await request(own);
      this.#quietSince = this.#now();
      return answer;
    } finally {
      outer.removeEventListener("abort", abort);
      this.#underWay.delete(own);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#alarm?.cancel();
  }

  #arm(): void {
    if (this.#alarm !== undefined || this.#isClosed || this.#underWay.size === 0) return;
    const leftMs = Math.max(1, this.#quietSince + this.#silentMs - this.#now());
    this.#alarm = this.#ports.timers.after(leftMs, () => void this.#rang());
  }

  async #rang(): Promise<void> {
    const isSilent = this.#quietSince + this.#silentMs <= this.#now();
    if (isSilent && 0 < this.#underWay.size) {
      const found = await this.#look();
      if (found !== undefined) for (const one of this.#underWay) one.abort(found);
      this.#quietSince = this.#now();
    }
    this.#alarm = undefined;
    this.#arm();
  }

  #now(): number {
    return this.#ports.clock.monotonicMs();
  }
}
