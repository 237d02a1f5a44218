// Which master a query goes to.
//
// R1. A linearizable query goes to the leader, whose answer takes one round: the others would have
//     to ask it first. Only while many are under way there, others take their share.
// R2. A stale query goes wherever the answer is expected soonest: nearest and least busy.
// R3. A master that failed rests for a while; where all rest, the leader is asked.
// R4. What was measured long ago is forgotten, so that every master is tried again.

import type { Clock, MonotonicMs } from "@lumeofs/base";
import type { Consistency } from "../operations.js";

/** Linearizable queries under way at the leader before others take some. */
export const SPREAD_FROM = 32;
/** How long a master that failed is left alone. */
const REST_MS = 2_000;
/** How long a measured time counts. */
const MEMORY_MS = 5_000;
/** While nothing is measured. */
const GUESS_MS = 100;
/** Followers answer linearizable queries after a word with the leader: their times say little. */
const LEADER_DECIDES_MS = 1;
/** Share of a new measurement in the mean. */
const SMOOTHING = 0.2;

interface Record {
  inFlight: number;
  meanMs: number | undefined;
  measuredAt: MonotonicMs;
  restsUntil: number;
}

export class ReadSpread {
  readonly #clock: Clock;
  readonly #records = new Map<string, Record>();
  /** Equal choices take turns. */
  #turn = 0;

  /** @param endpoints  host:port of all masters, not empty. */
  constructor(endpoints: readonly string[], clock: Clock) {
    this.#clock = clock;
    for (const address of endpoints) this.#recordOf(address);
  }

  /** From now on these are all masters. What is still under way elsewhere ends as it would have. */
  follow(endpoints: readonly string[]): void {
    for (const address of endpoints) this.#recordOf(address);
    for (const address of this.#records.keys()) {
      if (!endpoints.includes(address)) this.#records.delete(address);
    }
  }

  /** @param leader  Where the leader is believed to be; it may be none of the endpoints. */
  choose(consistency: Consistency, leader: string): string {
    const { inFlight } = this.#recordOf(leader);
    if (consistency === "lease") return leader;
    if (consistency === "linearizable" && inFlight < SPREAD_FROM) return leader;
    const now = this.#clock.monotonicMs();
    const all = [...this.#records.keys()];
    this.#turn = (this.#turn + 1) % all.length;
    const inTurn = [...all.slice(this.#turn), ...all.slice(0, this.#turn)];
    // One that was not measured lately may be as near as the nearest.
    const means = all.map((address) => meanOf(this.#recordOf(address), now) ?? Infinity);
    const nearestMs = Math.min(...means, GUESS_MS);
    let best = { address: leader, cost: Infinity };
    for (const address of inTurn) {
      const record = this.#recordOf(address);
      if (now < record.restsUntil) continue;
      const meanMs =
        consistency === "stale" ? (meanOf(record, now) ?? nearestMs) : LEADER_DECIDES_MS;
      const cost = (record.inFlight + 1) * meanMs;
      if (cost < best.cost) best = { address, cost };
    }
    return best.address;
  }

  /** A query is on its way; the result is to be called once, when it ends. */
  began(address: string): (isAnswered: boolean) => void {
    const record = this.#recordOf(address);
    const begun = this.#clock.monotonicMs();
    record.inFlight += 1;
    return (isAnswered) => {
      record.inFlight -= 1;
      const now = this.#clock.monotonicMs();
      if (!isAnswered) {
        record.restsUntil = now + REST_MS;
        return;
      }
      const tookMs = now - begun;
      const before = meanOf(record, now) ?? tookMs;
      record.meanMs = before + SMOOTHING * (tookMs - before);
      record.measuredAt = now;
      record.restsUntil = 0;
    };
  }

  #recordOf(address: string): Record {
    const known = this.#records.get(address);
    if (known !== undefined) return known;
    const measuredAt = this.#clock.monotonicMs();
    const record = { inFlight: 0, meanMs: undefined, measuredAt, restsUntil: 0 };
    this.#records.set(address, record);
    return record;
  }
}

function meanOf({ meanMs, measuredAt }: Record, now: MonotonicMs): number | undefined {
  return now - measuredAt < MEMORY_MS ? meanMs : undefined;
}
