// One replica of an appendable chunk: what it has promised, what it holds, what it answers.
//
// A replica decides nothing by itself. It does what the primary of the newest epoch that it knows
// says, and refuses every earlier one. All of its state is durable: a step returns one write, with
// the answer inside it, so an answer cannot leave before the write it rests on.
//
// P1. The state after a step is the state before and the step's change: a restart that reads all
//     completed writes stands where the last completed answer said.
// P2. `promised` never falls, not even when the copy is removed.                      (rules 4, 22)
// P3. Whoever is answered in an epoch, other than by `stale`, knows that no earlier epoch will be
//     taken any more.                                                                 (rules 4, 10)
// P4. Nothing at or below `commitSeq` is replaced, and it never falls; only damage, and removal by
//     the masters, take something away.                                              (rules 10, 20)

import { assertNever, type Epoch, invariant } from "@lumeofs/base";
import {
  type AppendRecord,
  type EpochOrNone,
  isSameRecord,
  type Position,
} from "./append-record.js";
import { History } from "./history.js";
import type { ReplicaMessage, ReplicaReply } from "./message.js";

/** Records in one answer to `fetch`. */
export const FETCH_RECORDS_MAX = 1_024;

export interface ReplicaState {
  readonly promised: EpochOrNone;
  readonly history: History;
  readonly commitSeq: number;
  /**
   * What was promised when damage was found; 0 if none was. What this replica acknowledged up to
   * then may be missing, so it is no witness until it holds a record of a later epoch: that
   * epoch's primary has heard a majority of others, and what it committed since is here. (rule 20)
   */
  readonly damagedIn: EpochOrNone;
}

/** What one write to the disk changes. */
export type ReplicaChange =
  | {
      readonly kind: "log";
      readonly promised: EpochOrNone;
      /** Keep the records up to here, then append. */
      readonly keepTo: number;
      readonly records: readonly AppendRecord[];
      readonly commitSeq: number;
    }
  /** The records go; what is left is the promise. */
  | { readonly kind: "removal"; readonly promised: Epoch }
  /** What lies behind `intactTo` cannot be read. */
  | { readonly kind: "damage"; readonly intactTo: number };

/** To be carried out in order; `then` leaves when this change and all before are durable. */
export interface ReplicaWrite {
  /** Undefined: nothing to write, but the answer waits for the writes before. */
  readonly change: ReplicaChange | undefined;
  readonly then: ReplicaReply;
}

export interface ReplicaStep {
  readonly state: ReplicaState;
  readonly write: ReplicaWrite;
}

/** A server that has never heard of the chunk. */
export function emptyReplica(): ReplicaState {
  return { promised: 0, history: History.empty(), commitSeq: 0, damagedIn: 0 };
}

/** Takes one message. */
export function stepReplica(state: ReplicaState, message: ReplicaMessage): ReplicaStep {
  const write = decide(state, message);
  const { change } = write;
  return { state: change === undefined ? state : changeReplica(state, change), write };
}

/** The state after one write: in memory at once, and again when the log is read at a start. */
export function changeReplica(state: ReplicaState, change: ReplicaChange): ReplicaState {
  switch (change.kind) {
    case "log": {
      const { promised, keepTo, records, commitSeq } = change;
      invariant(state.promised <= promised, "a promise is kept", { promised });
      return { ...state, promised, commitSeq, history: append(state.history, keepTo, records) };
    }
    case "removal":
      return { ...emptyReplica(), promised: change.promised };
    case "damage": {
      const history = state.history.upTo(change.intactTo);
      const commitSeq = Math.min(state.commitSeq, change.intactTo);
      return { ...state, history, commitSeq, damagedIn: state.promised };
    }
    default:
      return assertNever(change);
  }
}

/** Whether this replica may testify to what was acknowledged. */
export function isWitness({ history, damagedIn }: ReplicaState): boolean {
  return damagedIn === 0 || damagedIn < history.last.epoch;
}

function decide(state: ReplicaState, message: ReplicaMessage): ReplicaWrite {
  const { epoch } = message;
  const isOver = message.kind === "claim" ? epoch <= state.promised : epoch < state.promised;
  if (isOver) return answer({ kind: "stale", epoch, promised: state.promised });
  switch (message.kind) {
    case "claim":
    case "fence":
      return promise(state, epoch, testimony(state, epoch));
    case "fetch":
      return promise(state, epoch, recordsBehind(state, epoch, message.after));
    case "append":
      return decideAppend(state, message);
    case "remove": {
      const change = { kind: "removal", promised: epoch } as const;
      return { change, then: { kind: "removed", epoch } };
    }
    default:
      return assertNever(message);
  }
}

function testimony(state: ReplicaState, epoch: Epoch): ReplicaReply {
  if (!isWitness(state)) return { kind: "unknown", epoch };
  return { kind: "fenced", epoch, commitSeq: state.commitSeq, last: state.history.last };
}

function recordsBehind(state: ReplicaState, epoch: Epoch, after: number): ReplicaReply {
  if (!isWitness(state)) return { kind: "unknown", epoch };
  const { history } = state;
  const records = history.slice(after + 1, FETCH_RECORDS_MAX);
  return { kind: "fetched", epoch, after, records, last: history.last };
}

function decideAppend(
  state: ReplicaState,
  message: Extract<ReplicaMessage, { kind: "append" }>,
): ReplicaWrite {
  const { epoch, previous, records } = message;
  if (!holds(state.history, previous)) {
    return promise(state, epoch, { kind: "mismatch", epoch, commitSeq: state.commitSeq });
  }
  const fresh = records.filter((record) => !isHere(state.history, record));
  const keepTo = fresh[0] === undefined ? state.history.lastSeq : fresh[0].seq - 1;
  invariant(state.commitSeq <= keepTo, "what is committed is never replaced", {
    commitSeq: state.commitSeq,
    keepTo,
    epoch,
  });
  // Beyond what this message has compared, the records here may be others than the primary's.
  const durable = previous.seq + records.length;
  const commitSeq = Math.max(state.commitSeq, Math.min(message.commitSeq, durable));
  const isNew = 0 < fresh.length || state.commitSeq < commitSeq || state.promised < epoch;
  const then = { kind: "appended", epoch, durable } as const;
  if (!isNew) return answer(then);
  return { change: { kind: "log", promised: epoch, keepTo, records: fresh, commitSeq }, then };
}

/** Writes the promise, unless it stands, and answers behind it. */
function promise(state: ReplicaState, epoch: Epoch, then: ReplicaReply): ReplicaWrite {
  if (state.promised === epoch) return answer(then);
  const { history, commitSeq } = state;
  const kept = { keepTo: history.lastSeq, records: [], commitSeq };
  return { change: { kind: "log", promised: epoch, ...kept }, then };
}

function answer(then: ReplicaReply): ReplicaWrite {
  return { change: undefined, then };
}

function holds(history: History, position: Position): boolean {
  return history.positionAt(position.seq)?.epoch === position.epoch;
}

/** Two histories with the same record at one place are the same before it, so this is a prefix. */
function isHere(history: History, record: AppendRecord): boolean {
  const ours = history.at(record.seq);
  return ours !== undefined && isSameRecord(ours, record);
}

function append(history: History, keepTo: number, records: readonly AppendRecord[]): History {
  return history.upTo(keepTo).appendAll(records);
}
