// Linearizable reads without a log entry.                                      Raft §8, thesis §6.4
//
// A leader may answer a read from its state at its commit index if it still was the leader after
// the read arrived. It asks a majority, once for all reads that wait: a round. Reads that arrive
// while a round is under way wait for the next one, so the load decides how many share a round.
//
// I1. The index of a round is the commit index at its begin, so all of its reads arrived before.
// I2. No round begins before an entry of the leader's own term is committed: until then the leader
//     does not know how far the log is committed. (Raft §8)
// I3. Rounds count up within a term and a leader never returns to a term, so (term, round) names
//     one round of one leader for ever. An answer counts for its round and all earlier ones, and
//     only in its term: late answers confirm nothing new.

import { invariant } from "@lumeofs/base";
import type { LogIndex } from "./entry.js";

/** Reads that may wait at once; more are refused as overloaded. */
export const READS_WAITING_MAX = 65_536;

/** Reads that may be served as soon as `index` is applied. */
export interface ConfirmedReads<Read = number> {
  readonly ids: readonly Read[];
  readonly index: LogIndex;
}

/** @typeParam Read  What names a read. */
export class ReadIndex<Read = number> {
  #round = 0;
  #waiting: Read[] = [];
  #confirming: ConfirmedReads<Read> | undefined;

  /** The latest round; 0 before the first. */
  get round(): number {
    return this.#round;
  }

  get isConfirming(): boolean {
    return this.#confirming !== undefined;
  }

  get waitingCount(): number {
    return this.#waiting.length + (this.#confirming?.ids.length ?? 0);
  }

  /** Lets a read wait for the next round. False if too many wait. */
  add(id: Read): boolean {
    if (READS_WAITING_MAX <= this.waitingCount) return false;
    this.#waiting.push(id);
    return true;
  }

  /** Begins a round for all that wait. False if nobody waits or a round is under way. */
  begin(commit: LogIndex): boolean {
    if (this.#waiting.length === 0 || this.isConfirming) return false;
    this.#round++;
    this.#confirming = { ids: this.#waiting, index: commit };
    this.#waiting = [];
    return true;
  }

  /** The round under way is confirmed by a majority. */
  confirm(): ConfirmedReads<Read> {
    const confirmed = this.#confirming;
    invariant(confirmed !== undefined, "no read round is under way");
    this.#confirming = undefined;
    return confirmed;
  }

  /** Takes all reads out: this member leads no longer. */
  abandon(): readonly Read[] {
    const ids = [...(this.#confirming?.ids ?? []), ...this.#waiting];
    this.#confirming = undefined;
    this.#waiting = [];
    return ids;
  }
}
