// The callers of `read`: gathered into rounds, each round confirmed by a majority, and then waiting
// until this member has applied what the round promises (thesis §6.4).
//
// A caller joins only a round that begins after its call: a round under way proves nothing about
// what was acknowledged since it began.
//
// A round also tells the time. When it is answered, the state is known to have been up to date when
// it began; and a leader whose round is confirmed was not to be replaced at its beginning, because
// whoever confirmed it has heard the leader since then.

import type { Clock, LumeoError } from "@lumeofs/base";
import type { LogIndex } from "../raft/entry.js";
import { type Moment, momentOf } from "./moment.js";
import type { Freshness } from "./replication.js";

/** Rounds under way at a time; callers beyond share the next one. */
const ROUNDS_MAX = 4;

interface Waiter {
  readonly resolve: (index: LogIndex) => void;
  readonly reject: (error: LumeoError) => void;
}

interface Round {
  readonly begun: Moment;
  readonly waiters: readonly Waiter[];
}

interface Ready extends Round {
  readonly index: LogIndex;
}

export class Reads {
  #gathered: Waiter[] = [];
  readonly #rounds = new Map<number, Round>();
  readonly #clock: Clock;
  #ready: Ready[] = [];
  #nextRound: number;
  #count = 0;
  #fresh: Moment | undefined;
  #confirmed: Moment | undefined;
  #isHandingOver = false;

  /** @param first  Number of the first round: no earlier run of this member may have used it. */
  constructor(first: number, clock: Clock) {
    this.#nextRound = first;
    this.#clock = clock;
  }

  /** What the rounds so far have proven. */
  get freshness(): Freshness {
    const confirmed = this.#isHandingOver ? undefined : this.#confirmed;
    return { fresh: this.#fresh, confirmed };
  }

  /** Another role or term: who confirmed the last one confirms nothing about this one. */
  roleChanged(): void {
    this.#confirmed = undefined;
    this.#isHandingOver = false;
  }

  /** Another member may be elected at any time from now on, whoever has heard this leader. */
  handingOver(): void {
    this.#isHandingOver = true;
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
    this.#rounds.set(round, { begun: momentOf(this.#clock), waiters: this.#gathered });
    this.#gathered = [];
    return round;
  }

  /** A majority has confirmed the round: it may be answered once `index` is applied. */
  ready(round: number, index: LogIndex, applied: LogIndex): void {
    const known = this.#rounds.get(round);
    if (known === undefined) return;
    this.#rounds.delete(round);
    this.#confirmed = later(this.#confirmed, known.begun);
    this.#ready.push({ ...known, index });
    this.applied(applied);
  }

  refused(round: number, error: LumeoError): void {
    const waiters = this.#rounds.get(round)?.waiters ?? [];
    this.#rounds.delete(round);
    this.#reject(waiters, error);
  }

  applied(applied: LogIndex): void {
    if (this.#ready.length === 0) return;
    const waiting: Ready[] = [];
    for (const ready of this.#ready) {
      if (applied < ready.index) {
        waiting.push(ready);
      } else {
        this.#fresh = later(this.#fresh, ready.begun);
        this.#resolve(ready.waiters, applied);
      }
    }
    this.#ready = waiting;
  }

  /** Ends all: reads have no effect, so nobody is left in doubt. */
  refuseAll(error: LumeoError): void {
    this.#reject(this.#gathered, error);
    for (const { waiters } of this.#rounds.values()) this.#reject(waiters, error);
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

function later(one: Moment | undefined, other: Moment): Moment {
  return one !== undefined && other.monotonic < one.monotonic ? one : other;
}
