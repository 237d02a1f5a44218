// What must hold of a member after every step, and from one step to the next. The numbers are those
// of raft.ts. The core checks itself with these; whoever simulates a group may check them again.

import { invariant, type NodeId } from "@lumeofs/base";
import type { LogIndex, Term } from "./entry.js";

/** The positions of a member. */
export interface Standing {
  readonly role: "follower" | "candidate" | "leader";
  readonly term: Term;
  readonly votedFor: NodeId | undefined;
  readonly leader: NodeId | undefined;
  readonly first: LogIndex;
  readonly last: LogIndex;
  /** Of `last`, how far it is on this member's disk. */
  readonly durable: LogIndex;
  readonly commit: LogIndex;
  readonly applied: LogIndex;
}

/**
 * Checks one moment: R3, R4 and L1.
 *
 * @throws InvariantViolation
 */
export function assertStanding(now: Standing): void {
  const shown = { now };
  invariant(now.applied <= now.commit, "R3: applied passed committed", shown);
  invariant(now.applied <= now.durable, "R3: applied passed the durable log", shown);
  invariant(now.commit <= now.last, "R4: committed passed the end of the log", shown);
  invariant(now.first - 1 <= now.commit, "R4: the log begins behind the commit index", shown);
  invariant(now.durable <= now.last, "L1: durable passed the end of the log", shown);
  invariant(now.role !== "candidate" || now.leader === undefined, "a candidate with a leader");
}

/**
 * Checks a step of one member that did not restart meanwhile: R1, R2, R4, R7.
 *
 * @throws InvariantViolation
 */
export function assertSuccession(before: Standing, now: Standing): void {
  const shown = { before, now };
  invariant(before.term <= now.term, "R2: the term fell", shown);
  invariant(before.commit <= now.commit, "R4: the commit index fell", shown);
  invariant(before.applied <= now.applied, "R3: the applied index fell", shown);
  if (before.term !== now.term) return;
  invariant(
    before.votedFor === undefined || before.votedFor === now.votedFor,
    "R2: a second vote in one term",
    shown,
  );
  invariant(
    before.leader === undefined || now.leader === undefined || before.leader === now.leader,
    "R1: a second leader in one term",
    shown,
  );
  invariant(
    before.role !== "leader" || now.role !== "leader" || before.last <= now.last,
    "R7: a leader's log shrank",
    shown,
  );
}
