// The callers of `read`: gathered into rounds, each round confirmed by a majority, and then waiting
// until this member has applied what the round promises (thesis §6.4).
//
// A caller joins only a round that begins after its call: a round under way proves nothing about
// what was acknowledged since it began.

import type { LumeoError } from "@lumeofs/base";
import type { LogIndex } from "../raft/entry.js";

/** Rounds under way at a time; callers beyond share the next one. */
const ROUNDS_MAX = 4;

interface Waiter {
  readonly resolve: (index: LogIndex) => void;
  readonly reject: (error: LumeoError) => void;
}

interface Ready {
  readonly index: LogIndex;
  readonly waiters: readonly Waiter[];
}

export class Reads {
  #gathered: Waiter[] = [];
  readonly #rounds = new Map<number, readonly Waiter[]>();
  #ready: Ready[] = [];
  #nextRound: number;
  #count = 0;

  /** @param first  Number of the first round: no earlier run of this member may have used it. */
  constructor(first: number) {
    this.#nextRound = first;
  }

  /** Callers without an answer. */
  get count(): number {
    return this.#count;
  }

  get canBegin(): boolean {
    return 0 < this.#gathered.length && this.#rounds.size < ROUNDS_MAX;
  }

  add(): Promise<LogIndex> {
    this.#count += 1;
    return new Promise((resolve, reject) => {
      this.#gathered.push({ resolve, reject });
    });
  }

  /** Begins a round for all gathered callers, and returns its number. Numbers are never reused. */
  begin(): number {
    const round = this.#nextRound;
    this.#nextRound += 1;
    this.#rounds.set(round, this.#gathered);
    this.#gathered = [];
    return round;
  }

  /** A majority has confirmed the round: it may be answered once `index` is applied. */
  ready(round: number, index: LogIndex, applied: LogIndex): void {
    const waiters = this.#rounds.get(round);
    if (waiters === undefined) return;
    this.#rounds.delete(round);
    this.#ready.push({ index, waiters });
    this.applied(applied);
  }

  refused(round: number, error: LumeoError): void {
    const waiters = this.#rounds.get(round) ?? [];
    this.#rounds.delete(round);
    this.#reject(waiters, error);
  }

  applied(applied: LogIndex): void {
    if (this.#ready.length === 0) return;
    const waiting: Ready[] = [];
    for (const ready of this.#ready) {
      if (applied < ready.index) waiting.push(ready);
      else this.#resolve(ready.waiters, applied);
    }
    this.#ready = waiting;
  }

  /** Ends all: reads have no effect, so nobody is left in doubt. */
  refuseAll(error: LumeoError): void {
    this.#reject(this.#gathered, error);
    for (const waiters of this.#rounds.values()) this.#reject(waiters, error);
    for (const ready of this.#ready) this.#reject(ready.waiters, error);
    this.#gathered = [];
    this.#rounds.clear();
    this.#ready = [];
  }

  #resolve(waiters: readonly Waiter[], applied: LogIndex): void {
    this.#count -= waiters.length;
    for (const waiter of waiters) waiter.resolve(applied);
  }

  #reject(waiters: readonly Waiter[], error: LumeoError): void {
    this.#count -= waiters.length;
    for (const waiter of waiters) waiter.reject(error);
  }
}
