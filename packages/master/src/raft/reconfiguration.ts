// Changing the membership, as the leader does it.                          Raft §6, raft.md §2.1
//
//   changed ──► C_old,new appended ──► committed ──► C_new appended ──► committed: who is not in
//                in force at once      (majorities    in force at once   it is dismissed, and a
//                                       of both)                         leader among them retires
//
// A change that leaves the voters as they are is a single entry. Every member takes a membership as
// its own when it appends it, and goes back with the entry if that is truncated.

import type { NodeId } from "@lumeofs/base";
import { type Entry, type LogIndex, logIndex, type Membership } from "./entry.js";
import type { Member } from "./member.js";
import { changed, firstStep, lastStep, type MemberChange } from "./member-change.js";
import { isJoint, isVoter } from "./membership.js";
import { encodeMembership } from "./membership-codec.js";
import type { ChangeRefusal } from "./message.js";
import { isQuorum } from "./quorum.js";
import type { Leader } from "./role.js";

/** Appends the first membership that the changes lead through. False if they are refused. */
export function appendChange(
  member: Member,
  role: Leader,
  changes: readonly MemberChange[],
): boolean {
  const next = nextMembership(member, role, changes);
  if ("kind" in next) {
    member.outbox.answer({ kind: "changeRefused", why: next });
    return false;
  }
  const index = appendMembership(member, firstStep(member.membership, next));
  member.outbox.answer({ kind: "changeAccepted", index, term: member.term });
  return true;
}

/** What is to be done because of the membership that is in force, if anything. */
export function changeEnd(member: Member, role: Leader): "nothing" | "leave" | "retire" {
  // A member that is handing over leaves it to the next leader, who must not miss an entry. (R10)
  if (!isSettledHere(member, role) || role.transfer !== undefined) return "nothing";
  if (isJoint(member.membership)) return "leave";
  return isVoter(member.membership, member.id) ? "nothing" : "retire";
}

/** Appends the membership behind a joint one that is committed. */
export function leaveJoint(member: Member): void {
  appendMembership(member, lastStep(member.membership));
}

/** The voter that is nearest to leading; undefined if none is there. */
export function successor(member: Member, role: Leader): NodeId | undefined {
  let best: { readonly id: NodeId; readonly match: LogIndex } | undefined;
  for (const id of member.membership.voters) {
    const progress = role.peers.get(id);
    if (progress === undefined || !progress.isAlive) continue;
    if (best === undefined || best.match < progress.match) best = { id, match: progress.match };
  }
  return best?.id;
}

function nextMembership(
  member: Member,
  role: Leader,
  changes: readonly MemberChange[],
): Membership | ChangeRefusal {
  if (role.transfer !== undefined) return { kind: "transferring", to: role.transfer.to };
  if (member.commit < role.opening) return { kind: "notReady" };
  if (!isSettledHere(member, role) || isJoint(member.membership)) return { kind: "changing" };
  const next = changed(member.membership, changes);
  if ("why" in next) return { kind: "invalid", change: next };
  return behind(member, role, changes) ?? tooSilent(member, role, next) ?? next;
}

/** R10: what went before is committed, and so is an entry of this leader's term. */
function isSettledHere(member: Member, role: Leader): boolean {
  return member.isMembershipSettled && role.opening <= member.commit;
}

/** A voter that lacks much of the log would hold up every commit that needs it. */
function behind(
  member: Member,
  role: Leader,
  changes: readonly MemberChange[],
): ChangeRefusal | undefined {
  for (const { kind, id } of changes) {
    if (kind !== "promote") continue;
    const progress = role.peers.get(id);
    if (progress?.isCaughtUp(member.commit) !== true || !progress.isAlive) {
      return { kind: "behind", id, match: progress?.match ?? logIndex(0) };
    }
  }
  return undefined;
}

/** Without a majority of the new voters a joint membership could neither go on nor be undone. */
function tooSilent(member: Member, role: Leader, next: Membership): ChangeRefusal | undefined {
  const isThere = (id: NodeId) => id === member.id || role.peers.get(id)?.isAlive === true;
  if (firstStep(member.membership, next) === next) return undefined;
  if (isQuorum({ voters: next.voters, votersOutgoing: [] }, isThere)) return undefined;
  return { kind: "noQuorum", silent: next.voters.filter((id) => !isThere(id)) };
}

function appendMembership(member: Member, membership: Membership): LogIndex {
  const index = logIndex(member.log.last + 1);
  const data = encodeMembership(membership);
  const entry: Entry = { index, term: member.term, kind: "membership", data };
  member.append([entry]);
  return index;
}
