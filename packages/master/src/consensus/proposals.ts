// The callers of `propose`: first gathered, then in the log, in the end answered.
//
// C1. Every caller gets exactly one answer.
// C2. A reply is given only for the very entry that the proposal became: index and term.
// C3. A caller whose command may be in the log is never told that it was refused.

import { type LumeoError, MiB } from "@lumeofs/base";
import type { Entry, LogIndex, Term } from "../raft/entry.js";
import type { ProposalCounts } from "./figures.js";

/** Commands of one step of the core: more wait for the next one. */
const BATCH_BYTES_MAX = 4 * MiB;

/** What a waiting command takes in memory besides its bytes, roughly. */
const WAITER_OVERHEAD_BYTES = 512;

/** One caller. */
interface Waiter {
  readonly command: Uint8Array;
  readonly resolve: (reply: Uint8Array) => void;
  readonly reject: (error: LumeoError) => void;
}

interface Placed {
  readonly term: Term;
  readonly waiter: Waiter;
}

export class Proposals {
  #gathered: Waiter[] = [];
  #batch: readonly Waiter[] = [];
  readonly #placed = new Map<LogIndex, Placed>();
  readonly counts: ProposalCounts = { applied: 0, refused: 0, lost: 0 };
  #bytes = 0;
  #pending = 0;

  /** What all commands that have no answer yet take in memory, roughly. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Commands that have no answer yet. */
  get pending(): number {
    return this.#pending;
  }

  get hasGathered(): boolean {
    return 0 < this.#gathered.length;
  }

  /** Takes a command; it goes with the next batch. */
  add(command: Uint8Array): Promise<Uint8Array> {
    this.#bytes += memoryBytes(command);
    this.#pending += 1;
    return new Promise((resolve, reject) => {
      this.#gathered.push({ command, resolve, reject });
    });
  }

  /** The next commands to put to the core; `accepted` or `refused` must follow at once. */
  takeBatch(): readonly Uint8Array[] {
    let bytes = 0;
    const end = this.#gathered.findIndex((waiter) => {
      bytes += waiter.command.byteLength;
      return BATCH_BYTES_MAX < bytes;
    });
    const count = end === -1 ? this.#gathered.length : Math.max(1, end);
    this.#batch = this.#gathered.splice(0, count);
    return this.#batch.map((waiter) => waiter.command);
  }

  accepted(first: number, term: Term): void {
    for (const [i, waiter] of this.#batch.entries()) {
      this.#placed.set((first + i) as LogIndex, { term, waiter });
    }
    this.#batch = [];
  }

  refused(error: LumeoError): void {
    for (const waiter of this.#batch) this.#reject(waiter, error);
    this.#batch = [];
  }

  /** An entry was applied with this reply; `lost` is for whoever wanted another entry there. */
  applied(entry: Entry, reply: Uint8Array, lost: () => LumeoError): void {
    const placed = this.#placed.get(entry.index);
    if (placed === undefined) return;
    this.#placed.delete(entry.index);
    if (placed.term !== entry.term) return this.#reject(placed.waiter, lost());
    this.#bytes -= memoryBytes(placed.waiter.command);
    this.#pending -= 1;
    this.counts.applied += 1;
    placed.waiter.resolve(reply);
  }

  /** Nobody here will learn what becomes of the entries that were accepted. */
  lost(error: LumeoError): void {
    for (const { waiter } of this.#placed.values()) this.#reject(waiter, error);
    this.#placed.clear();
  }

  /** No more will be proposed or learned: nobody is left without an answer. */
  end(errors: { readonly lost: LumeoError; readonly refused: LumeoError }): void {
    this.lost(errors.lost);
    for (const waiter of this.#batch) this.#reject(waiter, errors.lost);
    this.#batch = [];
    for (const waiter of this.#gathered) this.#reject(waiter, errors.refused);
    this.#gathered = [];
  }

  #reject(waiter: Waiter, error: LumeoError): void {
    this.#bytes -= memoryBytes(waiter.command);
    this.#pending -= 1;
    this.counts[error.outcome === "rejected" ? "refused" : "lost"] += 1;
    waiter.reject(error);
  }
}

function memoryBytes(command: Uint8Array): number {
  return command.byteLength + WAITER_OVERHEAD_BYTES;
}
