// The course of a race of requests, whatever is read by it (span-race.ts, coding/stripe-fetch.ts):
// who waits for its end, when it wakes up, and what is given up when it is over.
//
// E1. It ends once. Afterwards nobody is told anything, and no alarm goes off.
// E2. With its end, all that was asked is given up.

import { type Alarm, CancelSource, LumeoError, type Timers } from "@lumeofs/base";
import type { Call } from "./call.js";
import { isTokenRefusal } from "./token-refusal.js";

export type RaceEnd<Done> =
  | Done
  /** A server did not take the token. */
  | { readonly kind: "refused" }
  /** Nobody is left who could be asked. */
  | { readonly kind: "failed" };

export interface RaceRules {
  readonly timers: Timers;
  readonly call: Call;
  /** What is read, for messages. */
  readonly subject: string;
  /** A refused token is a failure of the server: it was new. */
  readonly isTokenNew: boolean;
}

interface Waiting<Done> {
  readonly resolve: (end: RaceEnd<Done>) => void;
  readonly reject: (reason: unknown) => void;
}

/** Runs a race to its end. @throws what is no failure of a server; the call's reason. */
export function runRace<Done>(
  rules: RaceRules,
  begin: (run: RaceRun<Done>) => void,
): Promise<RaceEnd<Done>> {
  return new Promise((resolve, reject) => {
    new RaceRun(rules, { resolve, reject }).start(begin);
  });
}

/** See the head of this file. */
export class RaceRun<Done> {
  readonly #rules: RaceRules;
  readonly #waiting: Waiting<Done>;
  readonly #asked: CancelSource[] = [];
  readonly #abort = (): void => {
    this.#end(() => this.#waiting.reject(this.#rules.call.cancellation.reason));
  };
  #alarm: Alarm | undefined;
  #isOver = false;

  constructor(rules: RaceRules, waiting: Waiting<Done>) {
    this.#rules = rules;
    this.#waiting = waiting;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  start(begin: (run: this) => void): void {
    const { cancellation } = this.#rules.call;
    if (cancellation.aborted) return this.#abort();
    cancellation.addEventListener("abort", this.#abort, { once: true });
    begin(this);
  }

  /** For the next request (E2). */
  newCancel(): CancelSource {
    const cancel = new CancelSource();
    this.#asked.push(cancel);
    return cancel;
  }

  /** Instead of any alarm before. */
  wakeIn(ms: number, wake: () => void): void {
    this.#alarm?.cancel();
    this.#alarm = this.#rules.timers.after(ms, () => {
      if (!this.#isOver) wake();
    });
  }

  /**
   * Looks at what has ended a request.
   *
   * @returns The failure of the server; undefined if the race has ended with it.
   */
  failureOf(thrown: unknown): LumeoError | undefined {
    if (!(thrown instanceof LumeoError) || thrown.code === "CLOSED") {
      this.#end(() => this.#waiting.reject(thrown));
      return undefined;
    }
    if (!isTokenRefusal(thrown) || this.#rules.isTokenNew) return thrown;
    this.finish({ kind: "refused" });
    return undefined;
  }

  finish(end: RaceEnd<Done>): void {
    this.#end(() => this.#waiting.resolve(end));
  }

  #end(tell: () => void): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#alarm?.cancel();
    this.#rules.call.cancellation.removeEventListener("abort", this.#abort);
    tell();
    const over = new LumeoError("ABORTED", `The race for the ${this.#rules.subject} is over`);
    for (const cancel of this.#asked) cancel.abort(over);
  }
}
