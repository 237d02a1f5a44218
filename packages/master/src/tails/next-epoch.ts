// What the leader does about a tail: leave it, have it sealed, or let another server write it.
//
// Members stay what they were as long as a majority of them is not lost: a tail with a member that
// is gone is sealed, and then healed like any chunk. So the next epoch mostly needs no server that
// has nothing of it. Where the majority is lost, others take the places of the lost ones (rule 13):
// without them the tail could not even be sealed.

import {
  type ChunkAuthority,
  type ChunkHandle,
  fenceOf,
  LumeoError,
  majorityOf,
  type ServerId,
} from "@lumeofs/base";

/**
 * What is known of a member now. `silent`: not heard for a while, it may come back. `draining`: it
 * is there, and what it has is to be elsewhere. `dead`: silent for long, and what it has is made
 * elsewhere. `lost`: another store has its place, it never comes back.
 */
export type MemberStanding = "good" | "draining" | "silent" | "dead" | "lost";

type Standing = (server: ServerId) => MemberStanding;

export type NextEpoch =
  | { readonly kind: "grant"; readonly primary: ServerId; readonly members: readonly ServerId[] }
  /** Too few of those that must answer are there. */
  | { readonly kind: "wait"; readonly why: string };

/** Why nothing can be appended, nor the tail be sealed. */
export interface Obstacle {
  /** Those of the servers in question that do not answer. */
  readonly missing: readonly ServerId[];
  readonly of: number;
  readonly needed: number;
  /** It stays so when all come back that are only silent: then operators may decide. */
  readonly isLasting: boolean;
  /** It stays so whoever comes back. */
  readonly isForGood: boolean;
}

/** Why a tail is to be sealed though nobody asked for it; undefined while all members are there. */
export function reasonToSeal({ newest }: ChunkAuthority, standing: Standing): string | undefined {
  for (const member of newest.members) {
    const is = standing(member);
    if (is !== "good" && is !== "silent") return `member ${member} is ${is}`;
  }
  return undefined;
}

/** Members in whose place others have to come before anything can be committed. */
export function lackingMembers(
  { newest: { members } }: Pick<ChunkAuthority, "newest">,
  standing: Standing,
): readonly ServerId[] {
  const gone = members.filter((member) => isGone(standing(member)));
  return members.length - gone.length < majorityOf(members) ? gone : [];
}

/**
 * The next primary: one of the last active members, which has most of what was written; not the one
 * that failed while there is another. Enough of the last active set have to be there. (rule 5)
 *
 * @param spares  Servers for the places of `lackingMembers`, the best first.
 */
export function nextEpoch(
  { newest, lastActive }: ChunkAuthority,
  standing: Standing,
  spares: readonly ServerId[],
): NextEpoch {
  const there = lastActive.members.filter((member) => isThere(standing(member)));
  const needed = fenceOf(lastActive.members);
  if (there.length < needed) {
    const are = `${there.length} of ${lastActive.members.length} members are there`;
    return { kind: "wait", why: `${are}, ${needed} have to be` };
  }
  const fresh = [...spares];
  const lacking = lackingMembers({ newest }, standing);
  const members = newest.members.map((member) =>
    lacking.includes(member) ? (fresh.shift() ?? member) : member,
  );
  if (0 < lackingMembers({ newest: { ...newest, members } }, standing).length) {
    return { kind: "wait", why: "no other servers can take the places of those that are lost" };
  }
  const able = there.filter((member) => members.includes(member));
  const primary = able.find((member) => member !== newest.primary) ?? able[0];
  if (primary === undefined) return { kind: "wait", why: "no member is there" };
  return { kind: "grant", primary, members };
}

/** What keeps a tail from going on; undefined if nothing does but time. */
export function obstacleOf(
  { lastActive: { members } }: ChunkAuthority,
  standing: Standing,
): Obstacle | undefined {
  const needed = fenceOf(members);
  const missing = members.filter((member) => !isThere(standing(member)));
  if (needed <= members.length - missing.length) return undefined;
  const of = members.length;
  const gone = missing.filter((member) => isGone(standing(member))).length;
  const lost = missing.filter((member) => standing(member) === "lost").length;
  return { missing, of, needed, isLasting: of - gone < needed, isForGood: of - lost < needed };
}

/** What an operator may decide about a tail that cannot go on. */
export interface Salvage {
  /** Of the last active set: what they have is kept. */
  readonly survivors: readonly ServerId[];
  /** What only these had is given up; those first that never come back. */
  readonly lost: readonly ServerId[];
}

/** @throws LumeoError INVALID_ARGUMENT if nothing has to be given up; UNAVAILABLE: not now. */
export function planSalvage(
  handle: ChunkHandle,
  authority: ChunkAuthority,
  standing: Standing,
): Salvage {
  const what = `Cannot salvage chunk ${handle}`;
  const obstacle = obstacleOf(authority, standing);
  if (obstacle === undefined) {
    const why = "enough of the servers that have it are there; it is sealed without";
    throw new LumeoError("INVALID_ARGUMENT", `${what}: ${why}`);
  }
  if (!obstacle.isLasting) {
    const why = "servers that have it do not answer, but are not lost; start them";
    throw new LumeoError("INVALID_ARGUMENT", `${what}: ${why}`);
  }
  const { members } = authority.lastActive;
  const lost = (["lost", "dead"] as const).flatMap((is) => {
    return members.filter((member) => standing(member) === is);
  });
  const survivors = members.filter((member) => isThere(standing(member)));
  if (lost.length + survivors.length === members.length) return { survivors, lost };
  throw new LumeoError("UNAVAILABLE", `${what}: another server that has it does not answer yet`);
}

/**
 * The active set from which the next epoch goes on: only all survivors together are the fence of
 * it, because a record that a majority had, may be left on one of them. So there are lost ones in
 * it, those first that never come back. (rule 5)
 */
export function votersAfter({ survivors, lost }: Salvage): readonly ServerId[] {
  return [...survivors, ...lost.slice(0, Math.max(0, survivors.length - 1))];
}

/**
 * Who has a salvaged tail from now on, the primary first. Nobody who was given up, even if there
 * are fewer members than there should be: one that comes back knows of committed records that are
 * none any more, and would end rather than replace them. It is no member, so its copy is removed;
 * what is sealed has as many copies as there are members, until somebody has more of them made.
 */
export function salvagedMembers(
  { primary, members }: Extract<NextEpoch, { readonly kind: "grant" }>,
  { lost }: Salvage,
): readonly ServerId[] {
  const others = members.filter((member) => member !== primary && !lost.includes(member));
  return [primary, ...others];
}

/** Nobody waits for it. */
export function isGone(standing: MemberStanding): boolean {
  return standing === "dead" || standing === "lost";
}

function isThere(standing: MemberStanding): boolean {
  return standing === "good" || standing === "draining";
}
