// What an operator can ask of a membership, and the memberships that it leads through.
//                                                                              Raft §6, thesis §4.3
//
// There is one way to change who votes: a joint membership, in which the old and the new voters
// must agree each for themselves, then the new one alone. Two groups of voters that can each decide
// without the other never stand side by side, however many change at once.
//
// B1. A change of voters goes through a joint membership; whatever leaves the voters as they are is
//     one entry.
// B2. A name that was removed does not come back, and neither does its store: what the group has
//     counted as stored there is gone. (raft.md 3.5 no. 46)
// B3. A store that the group knows is never replaced under its name.

import type { NodeId } from "@lumeofs/base";
import type { Membership, RetiredMember } from "./entry.js";
import { isVoter, membersOf } from "./membership.js";

/** More voters only cost: each further two survive one more failure, and slow every write. */
export const VOTERS_MAX = 9;
export const MEMBERS_MAX = 16;
/** Removed members that are remembered; the oldest are forgotten beyond this. */
export const RETIRED_KEPT_MAX = 256;

/** One thing to change. Several of them become one change of the group. */
export type MemberChange =
  /** A new member, which gets the log and does not vote yet. */
  | {
      readonly kind: "addLearner";
      readonly id: NodeId;
      readonly address: string;
      readonly store: string;
    }
  /** Lets a learner vote. Refused until it has nearly everything. */
  | { readonly kind: "promote"; readonly id: NodeId }
  /** Makes a voter a learner. */
  | { readonly kind: "demote"; readonly id: NodeId }
  | { readonly kind: "remove"; readonly id: NodeId }
  /** Says where a member is now, and which store it has if the group does not know it. */
  | {
      readonly kind: "describe";
      readonly id: NodeId;
      readonly address: string;
      readonly store: string;
    };

/** Why a membership cannot be changed like this. */
export interface InvalidChange {
  readonly id: NodeId;
  readonly why:
    | "unknown member"
    | "member already"
    | "voter already"
    | "no voter"
    | "removed before"
    | "address in use"
    | "other store"
    | "last voter"
    | "too many";
}

/** The membership that these changes lead to, or what is wrong with the first wrong one. */
export function changed(
  membership: Membership,
  changes: readonly MemberChange[],
): Membership | InvalidChange {
  let next = membership;
  for (const change of changes) {
    const why = objection(next, change);
    if (why !== undefined) return { id: change.id, why };
    next = applied(next, change);
  }
  return next;
}

/** What comes first on the way from one membership to another: joint if the voters differ. (B1) */
export function firstStep(from: Membership, to: Membership): Membership {
  const isSame = from.voters.length === to.voters.length && to.voters.every(isOneOf(from.voters));
  if (isSame) return to;
  return {
    ...to,
    votersOutgoing: from.voters,
    addresses: { ...from.addresses, ...to.addresses },
    stores: { ...from.stores, ...to.stores },
  };
}

/** What a joint membership leads to. */
export function lastStep(joint: Membership): Membership {
  return described({ ...joint, votersOutgoing: [] });
}

/** Whether a store may speak under a name. A name that nobody knows may: it may be a new one. */
export function isStoreOf(membership: Membership, id: NodeId, store: string): boolean {
  const known = membersOf(membership).includes(id) ? membership.stores[id] : undefined;
  return known === undefined || known === store;
}

/** Whether this member was removed: the name with this store, or with one that nobody knew. */
export function isRetired(membership: Membership, member: RetiredMember): boolean {
  if (membersOf(membership).includes(member.id)) return false;
  return membership.retired.some(({ id, store }) => {
    return id === member.id && (store === "" || store === member.store);
  });
}

function objection(now: Membership, change: MemberChange): InvalidChange["why"] | undefined {
  const { id } = change;
  const isMember = membersOf(now).includes(id);
  if (change.kind === "addLearner") {
    if (isMember) return "member already";
    if (now.retired.some((retired) => isSameMember(retired, change))) return "removed before";
    if (Object.values(now.addresses).includes(change.address)) return "address in use";
    return membersOf(now).length < MEMBERS_MAX ? undefined : "too many";
  }
  if (!isMember) return "unknown member";
  const isLast = now.voters.length === 1 && isVoter(now, id);
  switch (change.kind) {
    case "promote":
      if (isVoter(now, id)) return "voter already";
      return now.voters.length < VOTERS_MAX ? undefined : "too many";
    case "demote":
      if (!isVoter(now, id)) return "no voter";
      return isLast ? "last voter" : undefined;
    case "remove":
      return isLast ? "last voter" : undefined;
    case "describe": {
      const known = now.stores[id];
      if (known !== undefined && known !== change.store) return "other store";
      const others = membersOf(now).filter((other) => other !== id);
      const isTaken = others.some((other) => now.addresses[other] === change.address);
      return isTaken ? "address in use" : undefined;
    }
  }
}

function applied(now: Membership, change: MemberChange): Membership {
  const { id } = change;
  const others = (ids: readonly NodeId[]) => ids.filter((other) => other !== id);
  switch (change.kind) {
    case "addLearner":
      return withDescription({ ...now, learners: [...now.learners, id] }, change);
    case "promote":
      return { ...now, voters: [...now.voters, id].sort(), learners: others(now.learners) };
    case "demote":
      return { ...now, voters: others(now.voters), learners: [...now.learners, id] };
    case "remove": {
      const retired = [...now.retired, { id, store: now.stores[id] ?? "" }];
      return described({
        ...now,
        voters: others(now.voters),
        learners: others(now.learners),
        retired: retired.slice(-RETIRED_KEPT_MAX),
      });
    }
    case "describe":
      return withDescription(now, change);
  }
}

function withDescription(
  now: Membership,
  { id, address, store }: Extract<MemberChange, { readonly address: string }>,
): Membership {
  const addresses = { ...now.addresses, [id]: address };
  return { ...now, addresses, stores: store === "" ? now.stores : { ...now.stores, [id]: store } };
}

/** Keeps addresses and stores of members only. */
function described(membership: Membership): Membership {
  const addresses: Record<NodeId, string> = {};
  const stores: Record<NodeId, string> = {};
  for (const id of membersOf(membership)) {
    addresses[id] = membership.addresses[id] ?? "";
    const store = membership.stores[id];
    if (store !== undefined) stores[id] = store;
  }
  return { ...membership, addresses, stores };
}

function isSameMember(retired: RetiredMember, { id, store }: RetiredMember): boolean {
  return retired.id === id || (store !== "" && retired.store === store);
}

function isOneOf(ids: readonly NodeId[]): (id: NodeId) => boolean {
  return (id) => ids.includes(id);
}
