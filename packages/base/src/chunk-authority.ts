// Who may write an appendable chunk: the part of its protocol that the masters keep in their log.
//
// Masters and chunkservers both speak of it, so it lies below them: the masters apply these
// functions to the record of a chunk, a chunkserver's primary is started by what `grantEpoch`
// returns. The rule numbers are those of docs/design/0019-chunk-protocol.md.
//
// A1. The epoch of a chunk only rises, and each one is granted once.                      (rule 1)
// A2. An epoch becomes active only while it is the newest, so at most one primary is ever told that
//     its epoch is active, and none after a newer grant.                                  (rule 8)
// A3. `lastActive` names the epoch that last became active; the next primary must hear so many
//     of its members as `fenceOf` says, whoever the members of the newest grant are. (rules 5, 13)
// A4. A sealed chunk never changes again.                                                (rule 17)

import { type Epoch, epoch, type ServerId } from "./ids.js";
import { invariant } from "./invariant.js";

/** The servers that together decided in one epoch. */
export interface ActiveSet {
  readonly epoch: Epoch;
  readonly members: readonly ServerId[];
}

/** The right to become the primary of one epoch. Committed before anybody learns of it. */
export interface EpochGrant {
  readonly epoch: Epoch;
  /** One of the members. */
  readonly primary: ServerId;
  readonly members: readonly ServerId[];
  /** Of whom enough must be fenced first (`fenceOf`); undefined for a chunk nobody has written. */
  readonly previous: ActiveSet | undefined;
}

/** Length and checksum of a chunk that is finished. */
export interface SealedContent {
  readonly lengthBytes: number;
  readonly crc32c: number;
}

/** What the masters know about the writing of one chunk. */
export interface ChunkAuthority {
  readonly newest: EpochGrant;
  readonly lastActive: ActiveSet;
  /** Undefined while the chunk may grow. */
  readonly sealed: SealedContent | undefined;
}

/** What became of a compare-and-set. */
export type AuthorityAnswer =
  | { readonly kind: "done"; readonly authority: ChunkAuthority }
  | { readonly kind: "refused"; readonly why: "staleEpoch" | "sealed" | "otherContent" };

/**
 * A chunk that has just been allocated. Nobody has written it, so its first epoch is active from
 * the beginning.
 *
 * @param members  The primary first; no server twice.
 */
export function createAuthority(members: readonly ServerId[]): ChunkAuthority {
  const [primary] = members;
  invariant(primary !== undefined, "an appendable chunk has members");
  const first = epoch(1);
  assertMembers(primary, members);
  return {
    newest: { epoch: first, primary, members, previous: undefined },
    lastActive: { epoch: first, members },
    sealed: undefined,
  };
}

/**
 * Grants the next epoch: to another primary, to the same one again, or with other members.
 *
 * The caller waits until the lease of the last primary is over; that is for reads alone, writes are
 * safe without it.                                                                (rules 3, 15)
 */
export function grantEpoch(
  authority: ChunkAuthority,
  next: { readonly primary: ServerId; readonly members: readonly ServerId[] },
): AuthorityAnswer {
  if (authority.sealed !== undefined) return { kind: "refused", why: "sealed" };
  assertMembers(next.primary, next.members);
  const newest: EpochGrant = {
    epoch: epoch(authority.newest.epoch + 1),
    primary: next.primary,
    members: next.members,
    previous: authority.lastActive,
  };
  return { kind: "done", authority: { ...authority, newest } };
}

/** Makes an epoch active if it is the newest. Repeating it changes nothing. */
export function activateEpoch(authority: ChunkAuthority, asked: Epoch): AuthorityAnswer {
  const { newest } = authority;
  if (asked !== newest.epoch) return { kind: "refused", why: "staleEpoch" };
  const lastActive: ActiveSet = { epoch: newest.epoch, members: newest.members };
  return { kind: "done", authority: { ...authority, lastActive } };
}

/** Finishes the chunk if this epoch is the newest and active. Repeating it changes nothing. */
export function sealChunk(
  authority: ChunkAuthority,
  asked: Epoch,
  content: SealedContent,
): AuthorityAnswer {
  if (!isActive(authority) || asked !== authority.newest.epoch) {
    return { kind: "refused", why: "staleEpoch" };
  }
  const { sealed } = authority;
  if (sealed === undefined) return { kind: "done", authority: { ...authority, sealed: content } };
  const isSame = sealed.lengthBytes === content.lengthBytes && sealed.crc32c === content.crc32c;
  return isSame ? { kind: "done", authority } : { kind: "refused", why: "otherContent" };
}

/** What rule 14 means by a majority: of all members, also of those that are lost. */
export function majorityOf(members: readonly ServerId[]): number {
  return Math.floor(members.length / 2) + 1;
}

/**
 * So many members of the last active set have to answer before anything new is written: at least
 * one of them is in every majority. So what was acknowledged is named by one of the answers, and
 * without these members no earlier primary has a majority any more. Of an odd number of members it
 * is a majority; of two it is one.                                                      (rule 5)
 */
export function fenceOf(members: readonly ServerId[]): number {
  return members.length - majorityOf(members) + 1;
}

/** Whether the newest epoch is active: appends are acknowledged under it. */
export function isActive({ newest, lastActive }: ChunkAuthority): boolean {
  return newest.epoch === lastActive.epoch;
}

/**
 * Whether nothing needs this server's copy. A copy of the last active set is needed until a later
 * set is active, one of a granted set is about to be.                                     (rule 8)
 */
export function isSuperfluous({ newest, lastActive }: ChunkAuthority, server: ServerId): boolean {
  return !lastActive.members.includes(server) && !newest.members.includes(server);
}

function assertMembers(primary: ServerId, members: readonly ServerId[]): void {
  invariant(members.includes(primary), "the primary is a member", { primary, members });
  invariant(new Set(members).size === members.length, "no member stands twice", { members });
}
