// The passive part: hears a leader, takes its entries, and answers everybody who wants to become
// one.
//                                                                             Raft §5.2 §5.3 §5.4.1
//
// Votes are answered in every role, and whoever asks, member or not: whether the asker may lead is
// decided by majorities, and a member whose own list is out of date must not stand in the way.

import { invariant, type NodeId } from "@lumeofs/base";
import { type Entry, type LogIndex, logIndex, type Term } from "./entry.js";
import { ForwardedReads, refuseForwardedReads } from "./forwarded-reads.js";
import type { Member } from "./member.js";
import type { AppendReply, RaftMessage } from "./message.js";

type Append = Extract<RaftMessage, { kind: "append" }>;
type Heartbeat = Extract<RaftMessage, { kind: "heartbeat" }>;
type Vote = Extract<RaftMessage, { kind: "vote" }>;

/** Steps back, in this term or into a later one. The vote given in this term stays given. (R2) */
export function becomeFollower(member: Member, term: Term, leader: NodeId | undefined): void {
  if (member.term < term) member.enterTerm(term, undefined);
  if (member.role.kind === "leader") {
    // Others ask again, and hear then that this member does not lead.
    for (const { id, from } of member.role.reads.abandon()) {
      if (from !== undefined) continue;
      member.outbox.emit({ kind: "readRefused", id, why: { kind: "notLeader", leader } });
    }
  }
  refuseForwardedReads(member, leader);
  if (leader !== undefined) member.isHasty = false;
  const reads = new ForwardedReads();
  member.role = { kind: "follower", leader, timer: member.newTimer(), reads };
}

/** A message of this term that only its leader sends has come: follow it, and wait anew. */
export function hearLeader(member: Member, from: NodeId): void {
  invariant(member.role.kind !== "leader", "R1: two leaders in one term", {
    term: member.term,
    other: from,
  });
  if (member.role.kind === "follower" && member.role.leader === from) member.role.timer.restart();
  else becomeFollower(member, member.term, from);
}

/** Answers the leader's entries: takes them if they join on to this log. (§5.3) */
export function receiveAppend(member: Member, from: NodeId, append: Append): void {
  hearLeader(member, from);
  const reply = take(member, append);
  if (reply.kind === "matched") {
    member.commitTo(logIndex(Math.min(append.commit, reply.last)));
  }
  member.outbox.after(from, { kind: "appendReply", term: member.term, reply });
}

/** Answers a sign of life. The leader names no more than this member has confirmed to it. */
export function receiveHeartbeat(member: Member, from: NodeId, heartbeat: Heartbeat): void {
  hearLeader(member, from);
  member.commitTo(logIndex(Math.min(heartbeat.commit, member.log.last)));
  const { round } = heartbeat;
  member.outbox.send(from, { kind: "heartbeatReply", term: member.term, round });
}

/** Answers a candidate: yes to at most one in a term, and to none that knows less. (§5.2 §5.4.1) */
export function receiveVote(member: Member, from: NodeId, vote: Vote): void {
  const isLater = member.term < vote.term;
  // A member that lost contact must not end a term that works for everybody else. (§6, R9)
  if (isLater && !vote.transfer && hearsLeader(member)) return;
  if (isLater && !vote.pre) becomeFollower(member, vote.term, undefined);
  const isFree = member.votedFor === undefined && member.leader === undefined;
  const granted =
    member.term <= vote.term &&
    (isFree || member.votedFor === from || (vote.pre && isLater)) &&
    member.log.isUpToDate(vote.lastIndex, vote.lastTerm);
  if (granted && !vote.pre && member.votedFor !== from) {
    member.voteFor(from);
    // Also a candidate that was only asking around gives way to one that stands.
    becomeFollower(member, member.term, undefined);
  }
  const term = granted ? vote.term : member.term;
  member.outbox.after(from, { kind: "voteReply", term, pre: vote.pre, granted });
}

/** Tells a leader of an earlier term that it is one no longer. */
export function answerStaleLeader(member: Member, from: NodeId): void {
  member.outbox.send(from, { kind: "heartbeatReply", term: member.term, round: 0 });
}

/** Whether a leader was heard so recently that nobody needs another one. A leader hears itself. */
function hearsLeader(member: Member): boolean {
  const { role } = member;
  if (member.mayHaveHeardLeader) return true;
  if (role.kind !== "follower") return role.kind === "leader";
  return role.leader !== undefined && role.timer.elapsed < member.options.electionTicks;
}

/** Makes this log equal to the leader's as far as the append reaches, or says where to try next. */
function take(member: Member, append: Append): AppendReply {
  const { log, commit } = member;
  // What is committed is equal in all logs. So an append that begins before that, late or repeated,
  // is joined on at the commit index, even if the entry before it is no longer in this log.
  const isOld = append.previousIndex < commit;
  const entries = isOld ? append.entries.slice(commit - append.previousIndex) : append.entries;
  const previous = isOld ? commit : append.previousIndex;
  if (!isOld && !log.matches(previous, append.previousTerm)) {
    return conflict(member, append.previousIndex, append.previousTerm);
  }
  const news = entries.slice(countEqual(member, entries));
  const [first] = news;
  if (first !== undefined) {
    // Only a real difference cuts the log off: an append that was overtaken by a longer one is
    // shorter, and that is no difference. (R5)
    if (first.index <= log.last) member.truncate(first.index);
    member.append(news);
  }
  return { kind: "matched", last: logIndex(previous + entries.length) };
}

/** How many of the entries this log holds already. */
function countEqual(member: Member, entries: readonly Entry[]): number {
  const at = entries.findIndex(({ index, term }) => !member.log.matches(index, term));
  return at === -1 ? entries.length : at;
}

/** Skips whole terms: no entry of a term above the leader's can be what the leader has there. */
function conflict(member: Member, refused: LogIndex, previousTerm: Term): AppendReply {
  const { log, commit } = member;
  const high = logIndex(Math.min(refused, log.last));
  const retryFrom = log.lastWithTermAtMost(previousTerm, commit, high);
  return { kind: "conflict", refused, retryFrom, retryTerm: log.termAt(retryFrom) };
}
