import type { NodeId } from "@lumeofs/base";
import type { LogIndex, Term } from "../raft/entry.js";
import type { Moment } from "./moment.js";

/**
 * The replicated log as everybody above it sees it: commands go in, replies come out, in one order
 * on all members.
 */
export interface Replication {
  /**
   * Replicates one command, applies it and returns the state machine's reply.
   *
   * All proposals of one turn travel together. The bytes belong to the log from now on.
   *
   * @throws NOT_LEADER       Refused here; `details.leader` is the address of the leader.
   * @throws NO_LEADER        Refused: there is none, or none that this member knows of.
   * @throws OVERLOADED       Refused: too much is under way.
   * @throws LEADERSHIP_LOST  Unknown: the next leader may still commit it.
   * @throws STORE_FAILED     Unknown: this member has stopped.
   * @throws CLOSED           Refused.
   */
  propose(command: Uint8Array): Promise<Uint8Array>;
  /**
   * Waits until the state of this member contains everything acknowledged before this call: what is
   * read from it in the same turn is linearizable. A member that does not lead asks its leader from
   * which index on that is so. Returns the index that is reached at least.
   *
   * @throws NO_LEADER  Nobody leads, or nobody that this member can ask.
   * @throws NOT_LEADER, OVERLOADED, STORE_FAILED or CLOSED, as `propose`.
   */
  read(): Promise<LogIndex>;
  /** What the reads so far have proven about this member; costs nothing. */
  readonly freshness: Freshness;
  readonly status: ReplicationStatus;
  /**
   * Calls `listener` at once with the present role and then at every change of role, term or
   * leader, after the callers who waited in the old role have their answer. A new leader may still
   * have committed entries to apply: a duty begins with `read`. Returns the way to stop listening.
   */
  onRole(listener: (role: RoleStatus) => void): () => void;
}

/** Each is the beginning of a read; undefined if there was none. */
export interface Freshness {
  /** The state of this member contains everything acknowledged before. */
  readonly fresh: Moment | undefined;
  /** A majority, and so everybody who could elect another leader, has heard this one since. */
  readonly confirmed: Moment | undefined;
}

export interface RoleStatus {
  readonly role: "follower" | "candidate" | "leader";
  readonly term: Term;
  /** Undefined while there is none, or none that this member knows of. */
  readonly leader: NodeId | undefined;
}

/** What a member knows of itself and of the group. */
export interface ReplicationStatus extends RoleStatus {
  readonly id: NodeId;
  /** host:port of the leader, if known. */
  readonly leaderAddress: string | undefined;
  /** Everybody who takes part, with host:port. */
  readonly members: Readonly<Record<NodeId, string>>;
  readonly commit: LogIndex;
  readonly applied: LogIndex;
  /** Applied on this member's disk. */
  readonly durable: LogIndex;
  readonly logFirst: LogIndex;
  readonly logLast: LogIndex;
}
