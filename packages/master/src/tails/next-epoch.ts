// What the leader does about a tail: leave it, have it sealed, or let another server write it.
//
// Members stay what they were: a tail with a member that is gone is sealed, and then healed like
// any chunk. So the next epoch needs no server that has nothing of it.

import type { ChunkAuthority, ServerId } from "@lumeofs/base";

/**
 * What is known of a member now. `silent`: not heard for a while, it may come back. `draining`: it
 * is there, and what it has is to be elsewhere. `dead`: also of a store that was wiped.
 */
export type MemberStanding = "good" | "draining" | "silent" | "dead";

export type NextEpoch =
  | { readonly kind: "grant"; readonly primary: ServerId; readonly members: readonly ServerId[] }
  /** Too few of those that must answer are there. */
  | { readonly kind: "wait"; readonly why: string };

/** Why a tail is to be sealed though nobody asked for it; undefined while all members are there. */
export function reasonToSeal(
  { newest }: ChunkAuthority,
  standing: (server: ServerId) => MemberStanding,
): string | undefined {
  for (const member of newest.members) {
    const is = standing(member);
    if (is === "dead" || is === "draining") return `member ${member} is ${is}`;
  }
  return undefined;
}

/**
 * The next primary: one of the last active members, which has most of what was written; not the one
 * that failed while there is another. A majority of the last active set has to be there. (rule 5)
 */
export function nextEpoch(
  { newest, lastActive }: ChunkAuthority,
  standing: (server: ServerId) => MemberStanding,
): NextEpoch {
  const isThere = (member: ServerId): boolean => {
    const is = standing(member);
    return is === "good" || is === "draining";
  };
  const there = lastActive.members.filter(isThere);
  const needed = Math.floor(lastActive.members.length / 2) + 1;
  if (there.length < needed) {
    const are = `${there.length} of ${lastActive.members.length} members are there`;
    return { kind: "wait", why: `${are}, ${needed} have to be` };
  }
  const able = there.filter((member) => newest.members.includes(member));
  const primary = able.find((member) => member !== newest.primary) ?? able[0];
  if (primary === undefined) return { kind: "wait", why: "no member is there" };
  return { kind: "grant", primary, members: newest.members };
}
