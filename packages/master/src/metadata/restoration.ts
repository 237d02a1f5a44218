// What of the state goes into a backup, and what becomes of it in a group that is founded from one.
//
// The lost time is what the old group did after the backup. Nothing of it is known, but its traces
// are there: chunks on disks, sessions in clients, positions of watches, tokens of locks. So the
// new group must never give a number again that the old one may have given:
//
// B1. Log indexes (revisions, tokens) and all counted numbers go on far behind the backup, and so
//     much farther for each group that was founded from it before.
// B2. Sessions are not kept: their clients begin anew, and no request is taken for another one.
// B3. The feed begins anew: whoever watched in the lost time hears GONE, and lists again.
// B4. Chunks of the lost time are not deleted for a while: a later backup may need them.
// B5. Tails are left out: which epochs of them were granted in the lost time, nobody knows. They
//     are sealed before a backup, so their files have in it what was appended until then.

import {
  ByteReader,
  ByteWriter,
  type ChunkHandle,
  GRANT_SLOTS,
  invariant,
  type WallMs,
  wallMs,
} from "@lumeofs/base";
import { stateClock } from "./counters.js";
import { encodeWhole, readWhole } from "./fields.js";
import {
  changeFloorKey,
  counterKey,
  grantsAfter,
  type KeyRange,
  numberOf,
  restorationKey,
  tailsAfter,
} from "./keys.js";
import type { StateView } from "./state.js";

type Pair = readonly [key: Uint8Array, value: Uint8Array];

/** The log of a new group begins so far behind the backup: ten months at 40,000 entries/s. */
export const REVISION_GAP = 2 ** 40;
/** Counted numbers go on so far behind the backup. */
const COUNTER_GAPS = {
  inode: 2 ** 34,
  grant: 2 ** 34,
  server: 2 ** 20,
  session: 2 ** 34,
  job: 2 ** 20,
} as const;

/** Tables behind the sessions and the feed, and those before: see `keys.ts`. */
const SESSIONS = 0x40;
const BEHIND_FEED = 0x52;
const END = 0x80;

/** What a backup of everything holds: all but sessions, their answers, token keys and the feed. */
export const BACKUP_RANGES: readonly KeyRange[] = [
  { from: Uint8Array.of(0x01), to: Uint8Array.of(SESSIONS) },
  { from: Uint8Array.of(BEHIND_FEED), to: Uint8Array.of(END) },
];

/** Which chunks may be of the lost time, and until when they are kept. */
export interface Restoration {
  readonly handlesFrom: number;
  readonly handlesTo: number;
  readonly until: WallMs;
}

export interface RestorationTerms {
  /** Revision of the backup. */
  readonly revision: number;
  /** How long chunks of the lost time are kept, by the state's clock. */
  readonly keepUntil: WallMs;
  /** So many groups were founded from this backup before, and have run. */
  readonly restoredBefore: number;
}

/** Where the log of the new group begins. */
export function firstRevision({
  revision,
  restoredBefore,
}: Pick<RestorationTerms, "revision" | "restoredBefore">): number {
  return revision + REVISION_GAP * (1 + restoredBefore);
}

/** The state that the new group begins with, from that of the backup, in key order. */
export async function* restoredState(
  pairs: AsyncIterable<Pair>,
  terms: RestorationTerms,
): AsyncGenerator<Pair, void, undefined> {
  const counters = new CounterTable(1 + terms.restoredBefore);
  const floor = feedFloor(firstRevision(terms));
  let firstGrant: number | undefined;
  let isFeedBegun = false;
  let before: Restoration | undefined;
  for await (const pair of pairs) {
    const [key] = pair;
    if (counters.takes(key)) {
      counters.put(pair);
      continue;
    }
    if (!counters.isBefore(key)) yield* counters.drain();
    if (!isFeedBegun && BEHIND_FEED <= (key[0] as number)) {
      isFeedBegun = true;
      yield floor;
    }
    if (isGrant(key)) firstGrant ??= numberOf(key);
    if (isRestoration(key)) before = decodeRestoration(pair[1]);
    else if (!isTail(key)) yield pair;
  }
  yield* counters.drain();
  if (!isFeedBegun) yield floor;
  const firstLost = (firstGrant ?? counters.grantsBefore + 1) * GRANT_SLOTS;
  const restoration = {
    handlesFrom: Math.min(firstLost, before?.handlesFrom ?? firstLost),
    handlesTo: counters.grantsAfter * GRANT_SLOTS + GRANT_SLOTS,
    until: terms.keepUntil,
  };
  yield [restorationKey(), encodeRestoration(restoration)];
}

/** Whether a chunk that nothing refers to may be of the lost time, and must stay for now. */
export function isOfLostTime(view: StateView, handle: ChunkHandle): boolean {
  const bytes = view.get(restorationKey());
  if (bytes === undefined) return false;
  const { handlesFrom, handlesTo, until } = decodeRestoration(bytes);
  return handlesFrom <= handle && handle < handlesTo && stateClock(view) < until;
}

/** Whether this group is so new that members of chunks may be those of the time of its backup. */
export function isRestoring(view: StateView): boolean {
  const bytes = view.get(restorationKey());
  return bytes !== undefined && stateClock(view) < decodeRestoration(bytes).until;
}

export function encodeRestoration(restoration: Restoration): Uint8Array {
  const { handlesFrom, handlesTo, until } = restoration;
  return encodeWhole((writer) => writer.u53(handlesFrom).u53(handlesTo).u53(until));
}

/** @throws LumeoError CORRUPT */
export function decodeRestoration(bytes: Uint8Array): Restoration {
  return readWhole("restoration record", bytes, (r) => ({
    handlesFrom: r.u53(),
    handlesTo: r.u53(),
    until: wallMs(r.u53()),
  }));
}

type Gapped = keyof typeof COUNTER_GAPS;

/** The counters of the backup, moved on (B1). One that was never used is moved on too. */
class CounterTable {
  readonly #values = new Map<number, Uint8Array>();
  readonly #table = counterKey("clock")[0] as number;
  readonly #gaps: number;
  #isDrained = false;
  grantsBefore = 0;
  grantsAfter = 0;

  constructor(gaps: number) {
    this.#gaps = gaps;
  }

  takes(key: Uint8Array): boolean {
    return key[0] === this.#table;
  }

  isBefore(key: Uint8Array): boolean {
    return (key[0] as number) < this.#table;
  }

  put([key, value]: Pair): void {
    this.#values.set(key[1] as number, value);
  }

  *drain(): Generator<Pair, void, undefined> {
    if (this.#isDrained) return;
    this.#isDrained = true;
    this.#values.delete(counterKey("tails")[1] as number); // (B5)
    for (const name of Object.keys(COUNTER_GAPS) as Gapped[]) this.#moveOn(name);
    const sorted = [...this.#values].sort(([a], [b]) => a - b);
    for (const [which, value] of sorted) yield [Uint8Array.of(this.#table, which), value];
  }

  #moveOn(name: Gapped): void {
    const which = counterKey(name)[1] as number;
    const bytes = this.#values.get(which);
    const before = bytes === undefined ? 1 : new ByteReader(bytes).u53();
    const after = before + this.#gaps * COUNTER_GAPS[name];
    invariant(Number.isSafeInteger(after * GRANT_SLOTS), "numbers are used up", { after });
    this.#values.set(which, new ByteWriter(8).u53(after).finish());
    if (name === "grant") [this.grantsBefore, this.grantsAfter] = [before, after];
  }
}

function feedFloor(revision: number): Pair {
  return [changeFloorKey(), encodeWhole((writer) => writer.u53(revision))];
}

function isGrant(key: Uint8Array): boolean {
  return key[0] === grantsAfter(0).from[0];
}

function isTail(key: Uint8Array): boolean {
  return key[0] === tailsAfter(0).from[0];
}

function isRestoration(key: Uint8Array): boolean {
  return key[0] === restorationKey()[0];
}
