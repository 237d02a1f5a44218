// What the primary of an epoch and the replicas of its chunk say to each other. Messages may come
// late, repeated, in another order or not at all. A primary speaks to its own replica in the same
// words, so that its own copy counts exactly when it is durable.                         (rule 9)

import type { Epoch } from "@lumeofs/base";
import type { AppendRecord, EpochOrNone, Position } from "./append-record.js";

/** To a replica. All but `remove` come from the primary of the epoch. */
export type ReplicaMessage =
  /**
   * From a primary to its own replica, first of all: has this server begun the epoch before? Then
   * it restarted meanwhile, and the epoch is over for it.                               (rule 12)
   */
  | { readonly kind: "claim"; readonly epoch: Epoch }
  /** Promise to take nothing of an earlier epoch any more, and say what you have.       (rule 4) */
  | { readonly kind: "fence"; readonly epoch: Epoch }
  /** Give the records behind `after`; the same promise.                                 (rule 4) */
  | { readonly kind: "fetch"; readonly epoch: Epoch; readonly after: number }
  /** Have these records behind `previous`; the same promise.                       (rules 9, 10) */
  | {
      readonly kind: "append";
      readonly epoch: Epoch;
      readonly previous: Position;
      readonly records: readonly AppendRecord[];
      /** So far the primary knows everything to be committed. */
      readonly commitSeq: number;
    }
  /** From the masters: this epoch is active without you, remove the copy.          (rules 8, 22) */
  | { readonly kind: "remove"; readonly epoch: Epoch };

/** From a replica. Leaves only when all that the replica decided before is durable. */
export type ReplicaReply =
  /** The answer to `claim` and `fence`. */
  | {
      readonly kind: "fenced";
      readonly epoch: Epoch;
      readonly commitSeq: number;
      readonly last: Position;
    }
  /** The promise is made, but what was here is damaged: this is not "I have nothing".  (rule 20) */
  | { readonly kind: "unknown"; readonly epoch: Epoch }
  | {
      readonly kind: "fetched";
      readonly epoch: Epoch;
      readonly after: number;
      readonly records: readonly AppendRecord[];
      readonly last: Position;
    }
  /** Up to `durable` this replica holds exactly what the primary of the epoch does. */
  | { readonly kind: "appended"; readonly epoch: Epoch; readonly durable: number }
  /** `previous` is not here. Up to `commitSeq` every history is the same. */
  | { readonly kind: "mismatch"; readonly epoch: Epoch; readonly commitSeq: number }
  /** The epoch is over: a later one, or this one begun before, was promised. */
  | { readonly kind: "stale"; readonly epoch: Epoch; readonly promised: EpochOrNone }
  | { readonly kind: "removed"; readonly epoch: Epoch };
