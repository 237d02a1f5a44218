// Who takes part in the group, and since which entry.
//
// A membership takes effect when its entry is appended, not when it is committed (Raft §6). So it
// goes away again when that entry is truncated, and the history below remembers what was before.
//
// H1. The history is never empty, and its indexes grow.
// H2. Its first element is in force at the commit index and is never truncated.

import { invariant, type NodeId } from "@lumeofs/base";
import type { LogIndex, Membership } from "./entry.js";

/** A group that nobody has joined yet: where the log of a new member begins. */
export const NOBODY: Membership = {
  voters: [],
  votersOutgoing: [],
  learners: [],
  addresses: {},
  stores: {},
  retired: [],
};

/** The group as it begins: all of these vote, and nobody has yet said what store it has. */
export function founders(addresses: Readonly<Record<NodeId, string>>): Membership {
  return { ...NOBODY, voters: (Object.keys(addresses) as NodeId[]).sort(), addresses };
}

/** Every member once: voters, outgoing voters and learners, in this order. */
export function membersOf(membership: Membership): readonly NodeId[] {
  const { voters, votersOutgoing, learners } = membership;
  return [...new Set([...voters, ...votersOutgoing, ...learners])];
}

/** Whether this node's vote counts, in either voter set. */
export function isVoter(membership: Membership, id: NodeId): boolean {
  return membership.voters.includes(id) || membership.votersOutgoing.includes(id);
}

/** Whether two voter sets must agree. */
export function isJoint(membership: Membership): boolean {
  return 0 < membership.votersOutgoing.length;
}

/** Whether this node alone decides: the group needs nobody else to elect and to commit. */
export function isSoleVoter(membership: Membership, id: NodeId): boolean {
  const decides = (voters: readonly NodeId[]) => voters.every((voter) => voter === id);
  return (
    isVoter(membership, id) && decides(membership.voters) && decides(membership.votersOutgoing)
  );
}

/** A membership and the entry that brought it. */
export interface MembershipSince {
  readonly index: LogIndex;
  readonly membership: Membership;
}

/** The memberships that a member may still have to go back to, oldest first. */
export class MembershipHistory {
  readonly #since: MembershipSince[];

  /** @param index The entry that brought `membership`, or any later committed one. */
  constructor(index: LogIndex, membership: Membership) {
    this.#since = [{ index, membership }];
  }

  get current(): Membership {
    return this.newest.membership;
  }

  /** The one in force at the commit index: it is there to stay, or to be followed. */
  get settled(): Membership {
    const [oldest] = this.#since;
    invariant(oldest !== undefined, "membership history is empty");
    return oldest.membership;
  }

  /** The entry of `settled`, or a committed one behind it. */
  get settledIndex(): LogIndex {
    return this.#since[0]?.index ?? this.newest.index;
  }

  get newest(): MembershipSince {
    const newest = this.#since.at(-1);
    invariant(newest !== undefined, "membership history is empty");
    return newest;
  }

  /** Everything that may still be in force, oldest first: never empty. */
  get open(): readonly Membership[] {
    return this.#since.map(({ membership }) => membership);
  }

  /** Whether the newest one is known to be committed. */
  get isSettled(): boolean {
    return this.#since.length === 1;
  }

  append(index: LogIndex, membership: Membership): void {
    invariant(this.newest.index < index, "membership entries out of order", { index });
    this.#since.push({ index, membership });
  }

  /** Goes back to what was in force before the entry at `from`. */
  truncate(from: LogIndex): void {
    while (from <= this.newest.index) {
      invariant(1 < this.#since.length, "a committed membership was truncated", { from });
      this.#since.pop();
    }
  }

  /** Forgets what can no longer be gone back to. */
  committed(commit: LogIndex): void {
    const next = () => this.#since[1];
    for (let second = next(); second !== undefined && second.index <= commit; second = next()) {
      this.#since.shift();
    }
  }
}
