// What a primary is at each stage of its epoch, what it takes and what it puts out.

import type { Epoch, EpochGrant, SealedContent, ServerId } from "@lumeofs/base";
import type { Position, WriteId } from "./append-record.js";
import type { History } from "./history.js";
import type { ReplicaMessage, ReplicaReply } from "./message.js";
import type { ProgressTable } from "./progress.js";

/** What one member of the last active set has said. */
export type Testimony =
  | { readonly kind: "fenced"; readonly commitSeq: number; readonly last: Position }
  | { readonly kind: "unknown" };

export type Testimonies = ReadonlyMap<ServerId, Testimony>;

export interface Claiming {
  readonly kind: "claiming";
  readonly grant: EpochGrant;
}

export interface Fencing {
  readonly kind: "fencing";
  readonly grant: EpochGrant;
  readonly testimonies: Testimonies;
}

export interface Fetching {
  readonly kind: "fetching";
  readonly grant: EpochGrant;
  readonly testimonies: Testimonies;
  readonly donor: ServerId;
  /** What the donor has sent so far. */
  readonly history: History;
}

export interface Leading {
  readonly kind: "leading";
  readonly stage: "establishing" | "activating" | "active" | "sealed";
  readonly grant: EpochGrant;
  readonly history: History;
  /** The first record of this epoch: the barrier, or of a fresh chunk whatever comes first. */
  readonly openingSeq: number;
  readonly commitSeq: number;
  readonly progress: ProgressTable;
  /** Requests whose record is not committed yet, in the order of their coming. */
  readonly waiting: readonly Waiting[];
}

export interface Ended {
  readonly kind: "ended";
  readonly grant: EpochGrant;
}

export type PrimaryState = Claiming | Fencing | Fetching | Leading | Ended;

export interface Waiting {
  readonly request: number;
  readonly seq: number;
}

/** A record that a client wants to append; the shell keeps its bytes. */
export interface AppendRequest {
  /** Named again in the answer; never used twice. */
  readonly request: number;
  readonly write: WriteId;
  /** From 1 to RECORD_BYTES_MAX. */
  readonly lengthBytes: number;
  readonly crc32c: number;
}

export type PrimaryInput =
  | { readonly kind: "received"; readonly from: ServerId; readonly reply: ReplicaReply }
  | ({ readonly kind: "append" } & AppendRequest)
  /** Finish the chunk. Ends with `sealed`, or with the epoch. */
  | { readonly kind: "seal" }
  /** What the masters said to `activate`. */
  | { readonly kind: "activated"; readonly isDone: boolean }
  /** What the masters said to `sealAtMasters`. */
  | { readonly kind: "sealRecorded"; readonly isDone: boolean }
  /** Some time has passed: whatever is unanswered is said again, once there is a history, only to
   *  these members (all without a list). */
  | { readonly kind: "resend"; readonly to?: ReadonlySet<ServerId> };

export type AppendRefusal = "notActive" | "sealed" | "full" | "busy" | "otherContent";

export type PrimaryOutput =
  | { readonly kind: "send"; readonly to: ServerId; readonly message: ReplicaMessage }
  /** Ask the masters to record the epoch as active; answered by `activated`. */
  | { readonly kind: "activate"; readonly epoch: Epoch }
  /** Ask the masters to record the chunk as sealed; answered by `sealRecorded`. */
  | {
      readonly kind: "sealAtMasters";
      readonly epoch: Epoch;
      readonly content: SealedContent;
    }
  /** The record is committed. `offset` is where its bytes begin in the chunk. */
  | {
      readonly kind: "appended";
      readonly request: number;
      readonly position: Position;
      readonly offset: number;
    }
  /** The record is not in the chunk by this request. */
  | { readonly kind: "refused"; readonly request: number; readonly why: AppendRefusal }
  | { readonly kind: "sealed"; readonly content: SealedContent }
  /** Nothing comes any more; these requests may or may not have taken effect.         (rule 12) */
  | {
      readonly kind: "ended";
      readonly why: "begunBefore" | "laterEpoch" | "refusedByMasters";
      readonly unknown: readonly number[];
    };

export interface PrimaryStep {
  readonly state: PrimaryState;
  readonly outputs: readonly PrimaryOutput[];
}

/** No change, nothing to do. */
export function stay(state: PrimaryState): PrimaryStep {
  return { state, outputs: [] };
}

/** Sends to one server. */
export function send(to: ServerId, message: ReplicaMessage): PrimaryOutput {
  return { kind: "send", to, message };
}
