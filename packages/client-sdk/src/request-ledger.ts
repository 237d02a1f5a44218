// The numbers of one exactly-once session: each request that changes something gets the next
// sequence, keeps it through all its repetitions, and is struck off when its caller has an answer.
//
// Q1. Sequences count up by one from 1 and are never used for two requests.
// Q2. answeredBelow is at most every open sequence: no answer that may still be asked for again is
//     given free.
// Q3. The masters keep at most SESSION_WINDOW answers of a session: no sequence is given while it
//     would lie further from answeredBelow.

import { invariant } from "@lumeofs/base";

/** Answers that the masters may have to keep for one session. */
export const SESSION_WINDOW = 4_096;

/** The requests of one session that have no answer yet. */
export class RequestLedger {
  #next = 1;
  /** The lowest that is open; `#next` if none is. */
  #lowest = 1;
  /** 1 for each open sequence, at its remainder by SESSION_WINDOW: no two in a window share one. */
  readonly #open = new Uint8Array(SESSION_WINDOW);

  /** The next sequence, or undefined while the window is full (Q3). */
  begin(): number | undefined {
    if (SESSION_WINDOW <= this.#next - this.#lowest) return undefined;
    const sequence = this.#next++;
    this.#open[sequence % SESSION_WINDOW] = 1;
    return sequence;
  }

  /** The caller has its answer, or wants none any more. */
  end(sequence: number): void {
    const isKnown = this.#lowest <= sequence && sequence < this.#next;
    invariant(isKnown && this.#isOpen(sequence), "request ended twice", { sequence });
    this.#open[sequence % SESSION_WINDOW] = 0;
    while (this.#lowest < this.#next && !this.#isOpen(this.#lowest)) this.#lowest++;
  }

  /** All sequences below are answered (Q2). */
  get answeredBelow(): number {
    return this.#lowest;
  }

  #isOpen(sequence: number): boolean {
    return this.#open[sequence % SESSION_WINDOW] === 1;
  }
}
