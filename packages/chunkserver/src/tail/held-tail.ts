// What the log of tails says about one growing chunk: the fold of its records, in the order of the
// log. The same fold is made when a change is written and when the log is read at a start.
//
// H1. A tail is *in doubt* from the place where the log is damaged: what was promised may be lost,
//     and records may have been replaced there. Then nothing is taken any more, and nothing is
//     testified, until the masters have named the newest grant: no promise can be later. Then the
//     replica begins anew from that promise, as one that has lost everything.            (rule 20)
// H2. A copy that was moved counts from its last page on, or not at all.

import { assertNever, type ChunkHandle, type WalPlace } from "@lumeofs/base";
import { type AppendRecord, dataBytes, type EpochOrNone } from "../replication/append-record.js";
import { History } from "../replication/history.js";
import {
  changeReplica,
  emptyReplica,
  type ReplicaChange,
  type ReplicaState,
} from "../replication/replica.js";
import { TailBytes } from "./tail-bytes.js";
import type { TailRecord } from "./tail-record.js";

type Changed = Extract<TailRecord, { readonly kind: "change" }>;
type Moved = Extract<TailRecord, { readonly kind: "moved" }>;

/** Where a record of the log stands, and where the data of its records begin in its body. */
export interface Spot {
  readonly place: WalPlace;
  readonly dataAt: number;
}

/** See the head of this file. */
export class HeldTail {
  state: ReplicaState = emptyReplica();
  bytes = new TailBytes();
  isInDoubt = false;
  /** Nothing of it stands in the log before this segment; undefined: nothing at all. */
  oldestSegment: number | undefined;
  #moving: { state: ReplicaState; bytes: TailBytes; oldestSegment: number } | undefined;

  constructor(readonly handle: ChunkHandle) {}

  /** Takes a record of the log, which is the next one of this chunk. */
  replay(record: Changed | Moved, spot: Spot): void {
    if (record.kind === "moved") return this.#replayMoved(record, spot);
    this.#moving = undefined;
    const { change, promised } = record;
    const isKnown = !this.isInDoubt && keptTo(change) <= this.state.history.lastSeq;
    if (!isKnown && !isWhole(change)) return this.#doubtful(promised);
    this.written(change, spot.place);
    this.isInDoubt = false;
    this.change(change, promised);
    if (change.kind === "log") keepPlaces(this.bytes, change.records, spot);
  }

  /** A change stands in the log: what keeps nothing makes all before it needless. */
  written(change: ReplicaChange, { segment }: WalPlace): void {
    if (isWhole(change)) this.oldestSegment = segment;
    else this.oldestSegment ??= segment;
  }

  /**
   * Takes a change into the state; whoever writes it keeps the bytes.
   *
   * @param decided  The state that it leads to, where that is known: a history is appended to in
   *                 place once, a second time would copy it.
   */
  change(change: ReplicaChange, promised: EpochOrNone = 0, decided?: ReplicaState): void {
    const raised = Math.max(this.state.promised, promised) as EpochOrNone;
    switch (change.kind) {
      case "log":
        this.bytes.keepTo(change.keepTo);
        this.state = decided ?? changeReplica(this.state, change);
        return;
      case "damage": {
        const before = { ...this.state, promised: raised };
        this.bytes.keepTo(change.intactTo);
        this.state = changeReplica(before, change);
        return;
      }
      case "removal":
        this.bytes.keepTo(0);
        this.state = changeReplica(this.state, change);
        return;
      default:
        assertNever(change);
    }
  }

  /** The log is damaged here (H1). */
  doubt(): void {
    this.isInDoubt = true;
    this.#moving = undefined;
  }

  #doubtful(promised: EpochOrNone): void {
    this.oldestSegment ??= 0;
    this.isInDoubt = true;
    const raised = Math.max(this.state.promised, promised) as EpochOrNone;
    this.state = { ...this.state, promised: raised };
  }

  /** H2. */
  #replayMoved(record: Moved, spot: Spot): void {
    const { promised, damagedIn, commitSeq, firstSeq, records } = record;
    this.oldestSegment ??= spot.place.segment;
    if (firstSeq === 1) {
      const history = History.empty();
      const state = { promised, damagedIn, commitSeq, history };
      this.#moving = { state, bytes: new TailBytes(), oldestSegment: spot.place.segment };
    }
    const moving = this.#moving;
    if (moving === undefined || moving.state.history.lastSeq + 1 !== firstSeq) {
      return this.doubt(); // a page before this one is lost
    }
    moving.state = { ...moving.state, history: moving.state.history.appendAll(records) };
    keepPlaces(moving.bytes, records, spot);
    if (!record.isLast) return;
    this.state = moving.state;
    this.bytes = moving.bytes;
    this.oldestSegment = moving.oldestSegment;
    this.isInDoubt = false;
    this.#moving = undefined;
  }
}

function keptTo(change: ReplicaChange): number {
  if (change.kind === "log") return change.keepTo;
  return change.kind === "damage" ? change.intactTo : 0;
}

/** Says all that there is to know, whatever was before. */
function isWhole(change: ReplicaChange): boolean {
  return change.kind !== "log" && keptTo(change) === 0;
}

/** Notes where the bytes of records are that stand one behind the other in one body. */
export function keepPlaces(
  bytes: TailBytes,
  records: readonly AppendRecord[],
  { place, dataAt }: Spot,
): void {
  let at = dataAt;
  for (const record of records) {
    const length = dataBytes(record);
    bytes.set(record.seq, length === 0 ? undefined : { bytes: undefined, place, at });
    at += length;
  }
}
