// Replicas that nobody needs go by themselves: their server tells the masters of all that it has,
// page by page and round after round, and removes what they name. Here they are waited for.
//
// G1. One is an orphan if it is still there, and still garbage, when its server has begun ROUNDS
//     rounds since that was known, and the last of them, or a later one, was whole; and not before
//     LEAST_MS: the masters may have been of another mind when its page came by.
// G2. A server that has not come to the end of a round for far longer than one takes has orphans,
//     too: nothing of what nobody needs goes there.
// G3. What is neither when the patience is over waits for its round: that is no problem, for a
//     server with many replicas takes long for one. Where the patience is too short for G1 anyway,
//     nothing is waited for.

import type { ServerListing } from "./server-listing.js";
import {
  type AuditSource,
  type HeldReplicas,
  type InventoryRounds,
  NAMED_MAX,
  type ReplicaFacts,
} from "./source.js";

const POLL_MS = 2_000;
const ROUNDS = 2;
const LEAST_MS = 20_000;
/** Of a whole check. */
const PATIENCE_MS_DEFAULT = 120_000;
/** Beyond this many rounds' time, and some time more, a server is overdue. */
const OVERDUE_ROUNDS = 4;
const OVERDUE_MS = 60_000;

export interface Garbage {
  readonly listing: ServerListing;
  readonly facts: ReplicaFacts;
}

export type GarbageNews =
  | { readonly kind: "waiting" }
  | { readonly kind: "orphan"; readonly garbage: Garbage; readonly why: string }
  /** Replicas of one server that wait for their round. */
  | { readonly kind: "pending"; readonly listing: ServerListing; readonly what: string };

/** What is known of a server while its garbage is waited for. */
interface Watch {
  /** The round that was under way when its garbage was known. */
  since: number;
  rounds: InventoryRounds;
}

const NO_ROUNDS: InventoryRounds = { begun: 0, whole: 0, sinceWholeMs: 0, roundMs: 0 };

/** See the head of this file. */
export class GarbageWait {
  readonly #source: AuditSource;
  /** What is left of it. */
  #patienceMs: number;

  constructor(source: AuditSource, patienceMs: number = PATIENCE_MS_DEFAULT) {
    this.#source = source;
    this.#patienceMs = patienceMs;
  }

  /** Waits until all of it is gone or decided upon. */
  async *settle(garbage: readonly Garbage[]): AsyncGenerator<GarbageNews, void, undefined> {
    const begun = this.#source.nowMs();
    const watches = new Map<ServerListing, Watch>();
    let left = garbage;
    for (;;) {
      left = await this.#stillGarbage(left, watches);
      const passedMs = this.#source.nowMs() - begun;
      const told = left.filter(({ listing }) => isTold(watches.get(listing), passedMs));
      yield* told.map((one) => orphan(one, "its server has told the masters of it since"));
      left = left.filter(({ listing }) => !isTold(watches.get(listing), passedMs));
      const canBeTold = left.some(({ listing }) => {
        const { roundMs } = watches.get(listing)?.rounds ?? { roundMs: 0 };
        return LEAST_MS + (1 + ROUNDS) * roundMs <= this.#patienceMs;
      });
      if (!canBeTold || this.#patienceMs <= passedMs) break;
      yield { kind: "waiting" };
      await this.#source.pause(POLL_MS);
    }
    this.#patienceMs = Math.max(0, this.#patienceMs - (this.#source.nowMs() - begun));
    yield* decide(left, watches);
  }

  /** What is there now, and garbage now. What a server does not say is none. */
  async #stillGarbage(
    garbage: readonly Garbage[],
    watches: Map<ServerListing, Watch>,
  ): Promise<readonly Garbage[]> {
    const still: Garbage[] = [];
    for (const [listing, some] of byServer(garbage)) {
      for (let at = 0; at < some.length; at += NAMED_MAX) {
        const handles = some.slice(at, at + NAMED_MAX).map(({ facts }) => facts.handle);
        const held = await listing.find(handles);
        if (held === undefined) break;
        if (at === 0) noteRounds(watches, listing, held); // the oldest answer speaks for all
        const there = [...held.replicas.values()];
        if (there.length === 0) continue;
        const standings = await this.#source.judge(listing.server.id, there);
        for (const [i, facts] of there.entries()) {
          if (standings[i] === "garbage") still.push({ listing, facts });
        }
      }
    }
    return still;
  }
}

/** What has neither gone nor been told in the time that there was (G2, G3). */
function* decide(
  left: readonly Garbage[],
  watches: ReadonlyMap<ServerListing, Watch>,
): Generator<GarbageNews, void, undefined> {
  for (const [listing, some] of byServer(left)) {
    const { roundMs, sinceWholeMs } = watches.get(listing)?.rounds ?? NO_ROUNDS;
    if (OVERDUE_ROUNDS * roundMs + OVERDUE_MS < sinceWholeMs) {
      const minutes = Math.floor(sinceWholeMs / 60_000);
      const why = `its server has not got to tell the masters all that it has for ${minutes} min`;
      yield* some.map((one) => orphan(one, why));
    } else {
      const copies = some.length === 1 ? "copy" : "copies";
      const seconds = Math.ceil(roundMs / 1_000);
      const what = `${some.length} ${copies} of chunks that no file has`;
      const when = `about to go: the server names all that it has once in ${seconds} s`;
      yield { kind: "pending", listing, what: `${what}, ${when}` };
    }
  }
}

/** A server that was started anew counts its rounds from the beginning. */
function noteRounds(
  watches: Map<ServerListing, Watch>,
  listing: ServerListing,
  { rounds }: HeldReplicas,
): void {
  const watch = watches.get(listing) ?? { since: rounds.begun, rounds };
  watch.since = Math.min(watch.since, rounds.begun);
  watch.rounds = rounds;
  watches.set(listing, watch);
}

/** G1. */
function isTold(watch: Watch | undefined, passedMs: number): boolean {
  if (watch === undefined) return false;
  const { since, rounds } = watch;
  return since + ROUNDS <= rounds.whole && LEAST_MS + rounds.roundMs <= passedMs;
}

function orphan(garbage: Garbage, why: string): GarbageNews {
  return { kind: "orphan", garbage, why };
}

function byServer(garbage: readonly Garbage[]): ReadonlyMap<ServerListing, readonly Garbage[]> {
  const found = new Map<ServerListing, Garbage[]>();
  for (const one of garbage) {
    const some = found.get(one.listing) ?? [];
    some.push(one);
    found.set(one.listing, some);
  }
  return found;
}
