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
  /** Insertion order is rising order, so the first is the lowest. */
  readonly #open = new Set<number>();

  /** The next sequence, or undefined while the window is full (Q3). */
  begin(): number | undefined {
    if (SESSION_WINDOW <= this.#next - this.answeredBelow) return undefined;
    const sequence = this.#next++;
    this.#open.add(sequence);
    return sequence;
  }

  /** The caller has its answer, or wants none any more. */
  end(sequence: number): void {
    invariant(this.#open.delete(sequence), "request ended twice", { sequence });
  }

  /** All sequences below are answered (Q2). */
  get answeredBelow(): number {
    for (const lowest of this.#open) return lowest;
    return this.#next;
  }
}
