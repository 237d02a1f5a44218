// Standing for election.                                                     Raft §5.2, thesis §9.6
//
// A member that misses a leader first asks whether it would win (`pre`), without touching anybody's
// term; only a majority of such promises starts an election. So a member behind a broken link does
// not come back with a high term and overthrow a leader that works.
//
// The requests of an election leave together with the persisted term and vote, and the own vote
// counts only then: a member that crashes in between must not ask again in the same term with less.

import type { NodeId } from "@lumeofs/base";
import { term } from "./entry.js";
import { becomeFollower } from "./follower.js";
import { refuseForwardedReads } from "./forwarded-reads.js";
import { becomeLeader } from "./leader.js";
import type { Member } from "./member.js";
import { isVoter, membersOf } from "./membership.js";
import type { RaftMessage } from "./message.js";
import { voteResult } from "./quorum.js";
import type { Candidate, Follower } from "./role.js";

type VoteReply = Extract<RaftMessage, { kind: "voteReply" }>;
type Vote = Extract<RaftMessage, { kind: "vote" }>;

/** Time passes for a member without duties. After too much silence it wants an election. */
export function tickElection(member: Member, role: Follower | Candidate): void {
  role.timer.tick();
  if (!role.timer.hasExpired) return;
  if (member.mayCampaign) ask(member);
  // It cannot stand itself, but it also must not go on naming a leader that is silent.
  else becomeFollower(member, member.term, undefined);
}

/**
 * The leader's process has ended: nobody needs to wait for it any longer. Short waits until
 * somebody leads, so that two who stand at the same moment do not cost a whole timeout.
 *
 * A promise to a leader that counts on a lease is kept all the same.
 */
export function missLeader(member: Member, gone: NodeId): void {
  const { role, options } = member;
  if (role.kind !== "follower" || role.leader !== gone || options.leases === true) return;
  member.isHasty = true;
  becomeFollower(member, member.term, undefined);
}

/** The leader hands over: an election at once, which others do not refuse for its sake. */
export function receiveTimeoutNow(member: Member): void {
  if (member.role.kind !== "leader" && member.mayCampaign) stand(member, true);
}

/** Counts an answer to the question asked last. */
export function receiveVoteReply(member: Member, from: NodeId, reply: VoteReply): void {
  const { role } = member;
  if (role.kind !== "candidate" || reply.pre !== (role.stage === "pre")) return;
  const asked = role.stage === "pre" && reply.granted ? member.term + 1 : member.term;
  if (reply.term !== asked) return;
  // The first answer stands: a repeated message decides nothing.
  if (!role.votes.has(from)) role.votes.set(from, reply.granted);
  decide(member, role);
}

/** The own vote of this term is durable now, so it counts. */
export function ownVotePersisted(member: Member): void {
  const { role } = member;
  if (role.kind === "candidate" && role.stage === "vote") {
    role.votes.set(member.id, true);
    decide(member, role);
  } else if (role.kind === "follower") {
    // Whoever got the vote has a whole timeout from the moment it can arrive.
    role.timer.restart();
  }
}

/** Would you vote for me? */
function ask(member: Member): void {
  const role = become(member, "pre");
  role.votes.set(member.id, true);
  for (const to of otherVoters(member)) {
    const asked = { term: term(member.term + 1), pre: true, transfer: false };
    member.outbox.send(to, request(member, asked));
  }
  decide(member, role);
}

/** Vote for me. */
function stand(member: Member, isTransfer: boolean): void {
  member.enterTerm(term(member.term + 1), member.id);
  become(member, "vote");
  for (const to of otherVoters(member)) {
    const asked = { term: member.term, pre: false, transfer: isTransfer };
    member.outbox.after(to, request(member, asked));
  }
}

function become(member: Member, stage: Candidate["stage"]): Candidate {
  refuseForwardedReads(member, undefined);
  const role: Candidate = {
    kind: "candidate",
    stage,
    votes: new Map(),
    timer: member.newTimer(),
  };
  member.role = role;
  return role;
}

function decide(member: Member, role: Candidate): void {
  const result = voteResult(member.membership, (id) => role.votes.get(id));
  switch (result) {
    case "won":
      if (role.stage === "pre") stand(member, false);
      else becomeLeader(member);
      break;
    case "lost":
      becomeFollower(member, member.term, undefined);
      break;
    case "pending":
      break;
  }
}

function otherVoters(member: Member): readonly NodeId[] {
  const { membership } = member;
  return membersOf(membership).filter((id) => id !== member.id && isVoter(membership, id));
}

function request(member: Member, asked: Pick<Vote, "term" | "pre" | "transfer">): Vote {
  const { last, lastTerm } = member.log;
  return { kind: "vote", lastIndex: last, lastTerm, ...asked };
}
