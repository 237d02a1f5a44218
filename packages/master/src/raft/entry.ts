import { type Brand, invariant, type NodeId } from "@lumeofs/base";

/** Position in the log. The first entry has 1; 0 is "before the log". */
export type LogIndex = Brand<number, "LogIndex">;
/** Election term. 0 before the first election. */
export type Term = Brand<number, "Term">;

export function logIndex(n: number): LogIndex {
  invariant(Number.isSafeInteger(n) && 0 <= n, "log index out of range", { n });
  return n as LogIndex;
}

export function term(n: number): Term {
  invariant(Number.isSafeInteger(n) && 0 <= n, "term out of range", { n });
  return n as Term;
}

/** What an entry is for. `noop` opens a leader's term; `membership` changes who votes. */
export type EntryKind = "noop" | "command" | "membership";

export interface Entry {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  /** Owned by the log from the proposal on: nobody changes these bytes. */
  readonly data: Uint8Array;
}

/** What a member must never forget: written before any message that follows from it. */
export interface HardState {
  readonly term: Term;
  readonly votedFor: NodeId | undefined;
}

/**
 * Who takes part. Two voter sets while a joint change is under way (Raft §6): then a majority of
 * each is needed.
 */
export interface Membership {
  readonly voters: readonly NodeId[];
  /** The old voters during a joint change, else empty. */
  readonly votersOutgoing: readonly NodeId[];
  /** Receive the log, do not vote. A voter that is about to become one is in both lists. */
  readonly learners: readonly NodeId[];
  /** host:port of every member above. */
  readonly addresses: Readonly<Record<NodeId, string>>;
  /**
   * The store behind each name, as it was drawn when the store was made. Nothing, as long as the
   * group has not learned it: that of a founder, until the first leader has heard it.
   */
  readonly stores: Readonly<Record<NodeId, string>>;
  /** Who took part once, oldest first: neither name nor store comes back. */
  readonly retired: readonly RetiredMember[];
}

/** A member that was removed. */
export interface RetiredMember {
  readonly id: NodeId;
  /** Empty if the group never learned it. */
  readonly store: string;
}

/** What a snapshot stands for: all entries up to and including `index`. */
export interface SnapshotMeta {
  readonly index: LogIndex;
  readonly term: Term;
  readonly membership: Membership;
}
