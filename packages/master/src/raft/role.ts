// The three parts a member can play, and what each of them remembers.                   Raft §5.1
//
//              timeout                    majority of pre-votes, then of votes
//   follower ──────────► candidate (pre) ─────► candidate (vote) ─────► leader
//      ▲                     │                        │                   │
//      └─────────────────────┴────────────────────────┴───────────────────┘
//       lost, a leader of this term, a higher term;  leader: no majority answers, or its disk hangs
//
// A change of part forgets everything that only the old part knew, because it lived in that
// variant.

import { integerBetween, type NodeId, type Random } from "@lumeofs/base";
import type { Admission } from "./admission.js";
import type { LogIndex } from "./entry.js";
import type { ForwardedReads } from "./forwarded-reads.js";
import type { Progress } from "./progress.js";
import type { ReadIndex } from "./read-index.js";

export interface Follower {
  readonly kind: "follower";
  leader: NodeId | undefined;
  readonly timer: ElectionTimer;
  /** Waiting for the leader's word. */
  readonly reads: ForwardedReads;
}

export interface Candidate {
  readonly kind: "candidate";
  /** `pre` asks without raising anybody's term; `vote` is the election. (thesis §9.6) */
  readonly stage: "pre" | "vote";
  readonly votes: Map<NodeId, boolean>;
  readonly timer: ElectionTimer;
}

/** A read at the leader: its own, or one of another member. */
export interface ReadTicket {
  readonly id: number;
  /** Undefined for its own. */
  readonly from: NodeId | undefined;
}

/** The leadership on its way to another voter. */
export interface Transfer {
  readonly to: NodeId;
  /** Given up at 0. */
  ticksLeft: number;
  /** It has everything and was asked to stand. */
  isTold: boolean;
}

export interface Leader {
  readonly kind: "leader";
  /** Everybody but this member, those included whose removal is not committed yet. */
  readonly peers: Map<NodeId, Progress>;
  readonly reads: ReadIndex<ReadTicket>;
  readonly admission: Admission;
  /** The no-op that opened the term: once it is committed, everything before is too. (§8) */
  readonly opening: LogIndex;
  /** A leadership that is being handed over takes no proposals and confirms no lease. */
  transfer: Transfer | undefined;
  ticksToHeartbeat: number;
  ticksToQuorumCheck: number;
}

export type Role = Follower | Candidate | Leader;

/**
 * Counts ticks of silence up to a random limit, so that members rarely stand up together. (§5.2)
 */
export class ElectionTimer {
  readonly #timeout: number;
  #elapsed = 0;

  /** The limit is drawn from [ticks, 2 * ticks). */
  constructor(ticks: number, random: Random) {
    this.#timeout = integerBetween(random, ticks, 2 * ticks - 1);
  }

  get elapsed(): number {
    return this.#elapsed;
  }

  get hasExpired(): boolean {
    return this.#timeout <= this.#elapsed;
  }

  tick(): void {
    this.#elapsed++;
  }

  restart(): void {
    this.#elapsed = 0;
  }

  /** Makes the next tick the last one. */
  expireNext(): void {
    this.#elapsed = this.#timeout - 1;
  }
}
