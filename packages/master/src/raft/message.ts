// What goes into the Raft core and what comes out of it. The core is a function of its inputs: it
// reads no clock, sends nothing and writes nothing. Three rules hold for whoever drives it:
//
// M1. Outputs are begun in the order in which they come out.
// M2. The messages in `then` of a persist output leave only after that write is durable. A message
//     that asserts durability (a vote, an acknowledged append) exists nowhere else, so "reply
//     before persist" cannot be written.
// M3. Persist and installSnapshot outputs form one queue: they are carried out one behind the
//     other. Each persist is one atomic batch; adjacent ones may be joined into one. A persist
//     without hard state, truncation and entries writes nothing: it only makes its `then` wait its
//     turn.
// M4. The core reads the log (`LogReader`) during a step only, and only what it knows to be
//     durable.

import type { NodeId } from "@lumeofs/base";
import type { Entry, HardState, LogIndex, Membership, SnapshotMeta, Term } from "./entry.js";
import type { Standing } from "./invariants.js";
import type { InvalidChange, MemberChange } from "./member-change.js";

export type RaftInput =
  /** One unit of time has passed. */
  | { readonly kind: "tick" }
  /** Answered at once, in the outputs of this very step: `accepted` or `refused`. */
  | { readonly kind: "propose"; readonly commands: readonly Uint8Array[] }
  | { readonly kind: "received"; readonly from: NodeId; readonly message: RaftMessage }
  /** The write with this number, and so all before it, is durable. */
  | { readonly kind: "persisted"; readonly write: number }
  /** All entries up to here have been applied to the state machine. */
  | { readonly kind: "applied"; readonly index: LogIndex }
  /**
   * Asks for an index to read at: answered later by `readReady` or `readRefused`. An id is never
   * used again, not even after a restart: an old answer could pass for a new one.
   */
  | { readonly kind: "read"; readonly id: number }
  /** The state up to here is durable in a snapshot, and the log before it may be gone. */
  | { readonly kind: "compacted"; readonly meta: SnapshotMeta }
  /**
   * A whole snapshot from the leader lies here, checked and durable, not yet in use. Unless the
   * outputs of this very step hold `installSnapshot`, it is not needed and may be deleted.
   */
  | {
      readonly kind: "snapshotReceived";
      readonly from: NodeId;
      readonly term: Term;
      readonly meta: SnapshotMeta;
    }
  /** The state machine now stands at this snapshot, durably, and the log begins behind it. */
  | { readonly kind: "snapshotInstalled"; readonly meta: SnapshotMeta }
  /** The transfer asked for by `sendSnapshot` ended. */
  | { readonly kind: "snapshotSent"; readonly to: NodeId; readonly delivered: boolean }
  /** Messages to this peer were lost: do not count on what is in flight. */
  | { readonly kind: "unreachable"; readonly peer: NodeId }
  /**
   * Nobody listens where this peer did: its process has ended. Only a hint: it may be back, or this
   * member may be wrong.
   */
  | { readonly kind: "gone"; readonly peer: NodeId }
  /** Answered at once: `changeAccepted` or `changeRefused`. All of them are one change. */
  | { readonly kind: "changeMembership"; readonly changes: readonly MemberChange[] }
  /**
   * Hands the leadership to this voter, or to the one that is nearest. Answered at once:
   * `transferStarted` or `transferRefused`. It has succeeded when the role changes, and has failed
   * with `transferAborted`, at the latest an election timeout later.
   */
  | { readonly kind: "transferLeadership"; readonly to: NodeId | undefined }
  /** A leader that cannot do its work gives up at once; for all others nothing happens. */
  | { readonly kind: "resign" };

export type RaftOutput =
  /**
   * One atomic durable write: first drop all entries from `truncateFrom`, then append, and replace
   * the hard state. Any of the three may be missing, all three too (M3). `write` counts 1, 2, 3, …
   * without gaps. Answered by `persisted`.
   */
  | {
      readonly kind: "persist";
      readonly write: number;
      readonly hardState: HardState | undefined;
      readonly truncateFrom: LogIndex | undefined;
      readonly entries: readonly Entry[];
      readonly then: readonly Envelope[];
    }
  | ({ readonly kind: "send" } & Envelope)
  /**
   * Committed and durable here, in order, each exactly once. Answered by `applied`; the next one
   * comes only after that.
   */
  | { readonly kind: "apply"; readonly entries: readonly Entry[] }
  /** The proposal became entries `first`, `first + 1`, … of this term. Not yet committed. */
  | { readonly kind: "accepted"; readonly first: LogIndex; readonly term: Term }
  | { readonly kind: "refused"; readonly why: Refusal }
  /** A read may be served by the state machine once it has applied `index`. */
  | { readonly kind: "readReady"; readonly id: number; readonly index: LogIndex }
  | { readonly kind: "readRefused"; readonly id: number; readonly why: Refusal }
  /** Stream the newest snapshot to this peer. Answered by `snapshotSent`. */
  | { readonly kind: "sendSnapshot"; readonly to: NodeId; readonly term: Term }
  /**
   * Replace state and whole log by the received snapshot, and send `then` when that is durable.
   * Answered by `snapshotInstalled`; no `apply` comes before. A log that already holds the
   * snapshot's last entry is never replaced: it only learns that it is committed so far.
   */
  | {
      readonly kind: "installSnapshot";
      readonly meta: SnapshotMeta;
      readonly then: readonly Envelope[];
    }
  /** This member's part has changed. Proposals in flight of an older term are now unknown. */
  | {
      readonly kind: "role";
      readonly role: "follower" | "candidate" | "leader";
      readonly term: Term;
      readonly leader: NodeId | undefined;
    }
  /**
   * Who takes part has changed here: by an entry that was appended, truncated or committed, or by a
   * snapshot. Comes before the messages of its step, so that the links to new members are there.
   */
  | ({ readonly kind: "membership" } & MembershipStatus)
  /**
   * The change is in force from entry `index` on. If it changes who votes, that entry is joint, and
   * the leader ends the joint membership by itself. The change is done when `settled` of
   * `membership` is not joint and stands at `index` or later; it is unknown when the role changes.
   */
  | { readonly kind: "changeAccepted"; readonly index: LogIndex; readonly term: Term }
  | { readonly kind: "changeRefused"; readonly why: ChangeRefusal }
  /** No proposal is taken until the role changes or the transfer is aborted. */
  | { readonly kind: "transferStarted"; readonly to: NodeId }
  | { readonly kind: "transferRefused"; readonly why: TransferRefusal }
  /** This member leads on, as if nothing had been asked. */
  | { readonly kind: "transferAborted"; readonly to: NodeId };

export type Refusal =
  | { readonly kind: "notLeader"; readonly leader: NodeId | undefined }
  /** Too many uncommitted bytes: try again later. */
  | { readonly kind: "overloaded" }
  /** The leadership is being handed to `to`: try again soon. */
  | { readonly kind: "transferring"; readonly to: NodeId };

export type ChangeRefusal =
  | Exclude<Refusal, { readonly kind: "overloaded" }>
  /** No entry of this leader's term is committed yet: try again soon. (raft.md §2.1) */
  | { readonly kind: "notReady" }
  /** Another change is not finished yet: try again soon. */
  | { readonly kind: "changing" }
  /** This learner does not have enough of the log yet to vote. */
  | { readonly kind: "behind"; readonly id: NodeId; readonly match: LogIndex }
  /** Too few of those who would vote then are there: the group would stand still. */
  | { readonly kind: "noQuorum"; readonly silent: readonly NodeId[] }
  | { readonly kind: "invalid"; readonly change: InvalidChange };

export type TransferRefusal =
  | Exclude<Refusal, { readonly kind: "overloaded" }>
  | { readonly kind: "leadsAlready" }
  | { readonly kind: "noVoter"; readonly id: NodeId }
  /** It is silent, or nobody else is there at all. */
  | { readonly kind: "silent"; readonly id: NodeId | undefined };

/** Who takes part, as one member sees it. */
export interface MembershipStatus {
  /** In force: that of the newest entry. */
  readonly current: Membership;
  /** In force at the commit index. */
  readonly settled: Membership;
  /** The entry of `settled`, or any committed one behind it. */
  readonly settledIndex: LogIndex;
  /** Everybody in any membership that may still count, with the newest address of each. */
  readonly reach: Readonly<Record<NodeId, string>>;
}

export interface Envelope {
  readonly to: NodeId;
  readonly message: RaftMessage;
}

/**
 * Every message carries its sender's term; one exception: a `pre` vote, and a `pre` reply that
 * grants, carry the term of the election asked about. Raft Figure 2; for `pre`, thesis §9.6.
 */
export type RaftMessage =
  | {
      readonly kind: "append";
      readonly term: Term;
      readonly previousIndex: LogIndex;
      readonly previousTerm: Term;
      readonly commit: LogIndex;
      readonly entries: readonly Entry[];
    }
  | {
      readonly kind: "appendReply";
      readonly term: Term;
      readonly reply: AppendReply;
    }
  /** Sent on a timer, never queued behind entries; confirms leadership for the read `round`. */
  | {
      readonly kind: "heartbeat";
      readonly term: Term;
      readonly commit: LogIndex;
      readonly round: number;
    }
  /** With round 0 it also tells a sender of an earlier term that its time is over. */
  | { readonly kind: "heartbeatReply"; readonly term: Term; readonly round: number }
  | {
      readonly kind: "vote";
      readonly term: Term;
      /** Asks without raising anybody's term: would you vote for me? */
      readonly pre: boolean;
      readonly lastIndex: LogIndex;
      readonly lastTerm: Term;
      /** The leader asked for this election: a recent leader contact is no reason to refuse. */
      readonly transfer: boolean;
    }
  | {
      readonly kind: "voteReply";
      readonly term: Term;
      readonly pre: boolean;
      readonly granted: boolean;
    }
  | { readonly kind: "snapshotReply"; readonly term: Term; readonly index: LogIndex }
  | { readonly kind: "timeoutNow"; readonly term: Term }
  /** A follower asks from which index on it may serve a read; repeated until it is answered. */
  | { readonly kind: "readIndex"; readonly term: Term; readonly id: number }
  /** The answer; without index it tells that the asked one does not lead, or not this member. */
  | {
      readonly kind: "readIndexReply";
      readonly term: Term;
      readonly id: number;
      readonly index: LogIndex | undefined;
    };

export type AppendReply =
  /** The follower's durable log equals the leader's up to `last`. */
  | { readonly kind: "matched"; readonly last: LogIndex }
  /**
   * The entry before the append is missing or differs. The leader goes on after the last entry of
   * its own at or below `retryFrom` whose term is at most `retryTerm`.
   */
  | {
      readonly kind: "conflict";
      readonly refused: LogIndex;
      readonly retryFrom: LogIndex;
      readonly retryTerm: Term;
    };

/**
 * The durable log as the core reads it. Reads are answered from memory or a local index; they never
 * change anything and never wait.
 */
export interface LogReader {
  /** Index of the first entry that is there; the snapshot's index + 1. */
  readonly first: LogIndex;
  /** Index of the last durable entry, `first - 1` if there is none. */
  readonly last: LogIndex;
  /** Term of an entry from `first - 1` (the snapshot's) to `last`. */
  termAt(index: LogIndex): Term;
  /** Entries from `from` on, at least one, up to `to` or `bytesMax`, whichever is first. */
  entries(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[];
}

/** What a member starts from: applied <= log.last, and log.first <= snapshot.index + 1. */
export interface RaftStart {
  readonly id: NodeId;
  readonly hardState: HardState;
  readonly snapshot: SnapshotMeta;
  /** Applied to the state machine, durably. */
  readonly applied: LogIndex;
  /** As of the last membership entry in snapshot or log. */
  readonly membership: Membership;
  readonly log: LogReader;
}

export interface RaftOptions {
  /** Ticks without leader before an election; each wait is drawn from [n, 2n). */
  readonly electionTicks: number;
  readonly heartbeatTicks: number;
  readonly appendBytesMax: number;
  readonly inFlightAppendsMax: number;
  readonly inFlightBytesMax: number;
  /** A leader refuses proposals while so much is uncommitted; a first one always passes. */
  readonly uncommittedBytesMax: number;
  readonly applyBytesMax: number;
  /**
   * Leaders may answer reads on the strength of having been heard: then a member that restarts
   * keeps the promise that it has forgotten, and votes for nobody during an election timeout.
   */
  readonly leases?: boolean;
}

/** What a leader knows of one other member. */
export interface PeerStatus {
  readonly id: NodeId;
  readonly state: "probe" | "replicate" | "snapshot";
  /** Known to be durable there. */
  readonly match: LogIndex;
  /** The next append begins here. */
  readonly next: LogIndex;
  readonly inFlightAppends: number;
  readonly inFlightBytes: number;
  /** Heard of in this quorum check's period or in the last one. */
  readonly active: boolean;
}

/** A member as it stands between two steps: for operators and for checkers, never for decisions. */
export interface RaftStatus extends Standing {
  readonly id: NodeId;
  readonly snapshot: LogIndex;
  readonly membership: Membership;
  /** The membership in force at the commit index. */
  readonly settled: Membership;
  /** To whom the leadership is being handed. */
  readonly transferTo: NodeId | undefined;
  readonly uncommittedBytes: number;
  readonly readsWaiting: number;
  /** Empty unless this member leads. */
  readonly peers: readonly PeerStatus[];
}
