// Notices a disk that neither works nor fails: one whose calls do not return.
//
// H1. A disk of which a call has been open for `suspectMs` is suspect until that call returns.
// H2. After `stuckMs` it is stuck, for good: every open call rejects, and so does every later one.
//     What such a call brings after all is nobody's, and nothing is tried again. The memory that it
//     reads into is not ours any more: whoever gave it does not use it again.
// H3. Time counts in ticks of a timer: a process that was frozen itself does not find old calls.
// H4. At most `callsMax` calls are with the kernel: each blocks a thread, and others need some. The
//     next ones wait here, in turn.

import { type Alarm, type Closable, LumeoError, type Timers } from "@lumeofs/base";

export interface DiskWatchOptions {
  readonly timers: Timers;
  /** Of the disk, for messages. */
  readonly folder: string;
  readonly suspectMs: number;
  readonly stuckMs: number;
  /** Undefined for no limit. */
  readonly callsMax: number | undefined;
}

interface OpenCall {
  readonly what: string;
  readonly atTick: number;
  readonly reject: (error: LumeoError) => void;
}

const TICK_MS = 1_000;

/** See the head of this file. */
export class DiskWatch implements Closable {
  readonly #options: DiskWatchOptions;
  /** Those that began first at the front. */
  readonly #open = new Set<OpenCall>();
  #waiting: { readonly begin: () => void; readonly reject: (error: LumeoError) => void }[] = [];
  #ticks = 0;
  #suspicion = "";
  #stuckBy: LumeoError | undefined;
  #alarm: Alarm | undefined;
  /** Told once, when the disk is stuck. */
  onStuck: (error: LumeoError) => void = () => undefined;

  constructor(options: DiskWatchOptions) {
    this.#options = options;
    this.#alarm = options.timers.every(TICK_MS, () => this.#tick());
  }

  /** Why the disk is suspect, for people; empty while it is not. */
  get suspicion(): string {
    return this.#suspicion;
  }

  get isStuck(): boolean {
    return this.#stuckBy !== undefined;
  }

  /** Makes a call, as soon as there is room for it. @throws as `work`; STORE_FAILED (H2). */
  run<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.#stuckBy !== undefined) return Promise.reject(this.#stuckBy);
    const { callsMax } = this.#options;
    if (callsMax === undefined || this.#open.size < callsMax) return this.#begin(what, work);
    return new Promise((resolve, reject) => {
      const begin = (): void => resolve(this.#begin(what, work));
      this.#waiting.push({ begin, reject });
    });
  }

  /** Ends the watch. Calls go on as they are. */
  async close(): Promise<void> {
    this.#alarm?.cancel();
    this.#alarm = undefined;
  }

  #begin<T>(what: string, work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const call: OpenCall = { what, atTick: this.#ticks, reject };
      this.#open.add(call);
      work().then(
        (value) => {
          this.#returned(call);
          resolve(value);
        },
        (error: unknown) => {
          this.#returned(call);
          reject(error);
        },
      );
    });
  }

  #returned(call: OpenCall): void {
    if (this.#stuckBy !== undefined) return;
    this.#open.delete(call);
    if (this.#suspicion !== "") this.#judge();
    this.#waiting.shift()?.begin();
  }

  #tick(): void {
    this.#ticks++;
    if (this.#stuckBy === undefined) this.#judge();
  }

  #judge(): void {
    const { suspectMs, stuckMs } = this.#options;
    const [oldest] = this.#open;
    const openMs = oldest === undefined ? 0 : (this.#ticks - oldest.atTick) * TICK_MS;
    if (oldest === undefined || openMs < suspectMs) {
      this.#suspicion = "";
      return;
    }
    this.#suspicion = `a call (${oldest.what}) has not returned for ${openMs / 1_000} s`;
    if (stuckMs <= openMs) this.#giveUp();
  }

  /** H2. */
  #giveUp(): void {
    const message = `The disk at "${this.#options.folder}" hangs: ${this.#suspicion}`;
    const error = new LumeoError("STORE_FAILED", message);
    this.#stuckBy = error;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.onStuck(error);
    for (const { reject } of [...this.#open, ...waiting]) reject(error);
    this.#open.clear();
  }
}
