import type { Closable, NodeId } from "@lumeofs/base";
import type { SnapshotMeta, Term } from "../raft/entry.js";
import type { MembershipStatus, RaftMessage } from "../raft/message.js";

/** A snapshot about to be transferred: what it stands for, and how to know that it is whole. */
export interface SnapshotOffer {
  /** The term in which the sender leads. */
  readonly term: Term;
  readonly meta: SnapshotMeta;
  readonly sizeBytes: number;
  /** CRC32C of all its bytes. */
  readonly crc32c: number;
}

/**
 * The bytes of a snapshot from an offset on: what the other side holds of them is not sent again.
 */
export type SnapshotBytes = (offset: number) => AsyncIterable<Uint8Array>;

/** The part of a snapshot that comes over. */
export interface SnapshotArriving {
  readonly offset: number;
  readonly pieces: AsyncIterable<Uint8Array>;
}

/** How a transfer has ended: `broken` may go on later where it was. */
export type SnapshotDelivery = "delivered" | "refused" | "broken";

/** Who a member says it is. */
export interface PeerIdentity {
  /** Drawn when its store was made: another one under the same name is another member. */
  readonly store: string;
  /** host:port where it can be reached; empty if it leaves that to the group. */
  readonly address: string;
}

/** What a member hears from the others. */
export interface PeerListener {
  /** A peer has said who it is, and the group knows nothing else. */
  identified(peer: NodeId, identity: PeerIdentity): void;
  /** A peer says that the group has removed this member, or gives its name to another store. */
  disowned(peer: NodeId, why: "removed" | "other store"): void;
  received(from: NodeId, message: RaftMessage): void;
  /** Messages to this peer were lost: nothing in flight may be counted on. */
  unreachable(peer: NodeId): void;
  /** Connections to this peer are refused: its process has ended. A hint, sent at most once. */
  gone(peer: NodeId): void;
  /** How many bytes of this very snapshot are here; undefined if none is taken now. */
  offered(from: NodeId, offer: SnapshotOffer): Promise<number | undefined>;
  /**
   * Takes a snapshot from an offset on that `offered` has named; true once it is durable here and
   * handed to Raft.
   */
  arriving(from: NodeId, offer: SnapshotOffer, arrival: SnapshotArriving): Promise<boolean>;
}

/**
 * The connections to the other members.
 *
 * P1. Messages of one kind to one peer arrive in the order of sending, or not at all.
 * P2. Sending never waits: what does not fit within the bound is dropped and reported as
 *     `unreachable`. Raft repeats what matters.
 * P3. Heartbeats and votes never wait behind entries or snapshots.
 * P4. Whoever has a name that the group gives to another store is neither heard nor answered;
 *     anybody else is, member or not.
 */
export interface PeerLinks extends Closable {
  /** Names who hears, and who this member is. Once, before the first message is sent. */
  listen(listener: PeerListener, self: PeerIdentity): void;
  /** Says who takes part: behind `listen`, and whenever it changes. */
  follow(memberships: MembershipStatus): void;
  send(to: NodeId, message: RaftMessage): void;
  /** `delivered` once the peer has the snapshot durably. */
  sendSnapshot(to: NodeId, offer: SnapshotOffer, bytes: SnapshotBytes): Promise<SnapshotDelivery>;
}
