// The active part: takes proposals, makes all logs equal to its own, and decides what is committed.
//                                                                            Raft §5.3 §5.4 §6.2 §8
//
// Sending and the leader's own write run side by side: the entries go out while they are written,
// and the leader's copy counts for the majority only when it is durable (R6). Nothing waits for a
// timer: proposals leave at once, and whatever arrives while the window of a member is full leaves
// together with its next acknowledgement.

import { invariant, type NodeId } from "@lumeofs/base";
import { Admission } from "./admission.js";
import { type Entry, type LogIndex, logIndex } from "./entry.js";
import { becomeFollower } from "./follower.js";
import { replyReadIndex } from "./forwarded-reads.js";
import type { Member } from "./member.js";
import type { MemberChange } from "./member-change.js";
import type { AppendReply } from "./message.js";
import { Progress } from "./progress.js";
import { agreedIndex, commitIndex, isQuorum } from "./quorum.js";
import { ReadIndex } from "./read-index.js";
import { appendChange, changeEnd, leaveJoint, successor } from "./reconfiguration.js";
import type { Leader } from "./role.js";
import { tellWhenCaughtUp, tickTransfer } from "./transfer.js";

const NO_DATA = new Uint8Array(0);

/** Opens the term with a no-op, so that everything before it can be committed. (§8) */
export function becomeLeader(member: Member): void {
  const { options, log } = member;
  const next = logIndex(log.last + 1);
  const role: Leader = {
    kind: "leader",
    peers: new Map(),
    reads: new ReadIndex(),
    admission: new Admission(options.uncommittedBytesMax),
    opening: next,
    transfer: undefined,
    ticksToHeartbeat: options.heartbeatTicks,
    ticksToQuorumCheck: options.electionTicks,
  };
  member.role = role;
  member.isHasty = false;
  addPeers(member, role, next);
  member.append([{ index: next, term: member.term, kind: "noop", data: NO_DATA }]);
  replicate(member, role);
}

/** Sends signs of life, and steps back when there is no majority or no disk to lead with. */
export function tickLeader(member: Member, role: Leader): void {
  role.ticksToQuorumCheck--;
  if (role.ticksToQuorumCheck <= 0) {
    role.ticksToQuorumCheck = member.options.electionTicks;
    if (!takeQuorum(member, role)) {
      becomeFollower(member, member.term, undefined);
      return;
    }
  }
  if (member.isWritingStalled) {
    becomeFollower(member, member.term, undefined);
    return;
  }
  if (tickTransfer(member, role) === "aborted") continueChange(member, role);
  role.ticksToHeartbeat--;
  if (0 < role.ticksToHeartbeat) return;
  role.ticksToHeartbeat = member.options.heartbeatTicks;
  for (const progress of role.peers.values()) progress.mayRetry = true;
  sendHeartbeats(member, role);
}

/** Appends the commands, or refuses them all. */
export function propose(member: Member, role: Leader, commands: readonly Uint8Array[]): void {
  invariant(0 < commands.length, "a proposal of nothing");
  if (role.transfer !== undefined) {
    const { to } = role.transfer;
    member.outbox.answer({ kind: "refused", why: { kind: "transferring", to } });
    return;
  }
  const { log, term, outbox } = member;
  const first = logIndex(log.last + 1);
  const entries = commands.map((data, i): Entry => {
    return { index: logIndex(first + i), term, kind: "command", data };
  });
  if (!role.admission.admit(entries)) {
    outbox.answer({ kind: "refused", why: { kind: "overloaded" } });
    return;
  }
  member.append(entries);
  outbox.answer({ kind: "accepted", first, term });
  replicate(member, role);
}

/** Appends a membership with these changes, or refuses them all. */
export function changeMembership(
  member: Member,
  role: Leader,
  changes: readonly MemberChange[],
): void {
  if (!appendChange(member, role, changes)) return;
  addPeers(member, role, member.log.last);
  replicate(member, role);
}

/** Lets a read wait for a majority to confirm that this member still leads. */
export function read(member: Member, role: Leader, id: number): void {
  if (role.reads.add({ id, from: undefined })) advanceReads(member, role);
  else member.outbox.emit({ kind: "readRefused", id, why: { kind: "overloaded" } });
}

/** A follower wants to serve a read. One that is told nothing asks again. */
export function receiveReadIndex(member: Member, from: NodeId, id: number): void {
  const { role } = member;
  if (role.kind !== "leader" || !role.peers.has(from)) {
    replyReadIndex(member, from, id, undefined);
  } else if (role.reads.add({ id, from })) {
    advanceReads(member, role);
  }
}

/** A follower has taken entries or refused them. */
export function receiveAppendReply(member: Member, from: NodeId, reply: AppendReply): void {
  const { role, log } = member;
  if (role.kind !== "leader") return;
  const progress = role.peers.get(from);
  if (progress === undefined) return;
  progress.isActive = true;
  switch (reply.kind) {
    case "matched":
      matched(member, from, reply.last);
      break;
    case "conflict": {
      const high = logIndex(Math.min(reply.retryFrom, log.last));
      const low = logIndex(Math.min(log.first - 1, high));
      const hint = low < high ? log.lastWithTermAtMost(reply.retryTerm, low, high) : high;
      if (progress.conflicted(reply.refused, hint)) sendAppend(member, from, progress);
      break;
    }
  }
}

/** A follower lives and follows. */
export function receiveHeartbeatReply(member: Member, from: NodeId, round: number): void {
  const { role } = member;
  if (role.kind !== "leader") return;
  const progress = role.peers.get(from);
  if (progress === undefined) return;
  progress.isActive = true;
  progress.round = Math.max(progress.round, Math.min(round, role.reads.round));
  if (progress.mayRetry) {
    progress.mayRetry = false;
    progress.resume();
    const isBehind = progress.match < member.log.last;
    if (isBehind || progress.kind === "probe") sendAppend(member, from, progress);
  }
  advanceReads(member, role);
}

/** A follower has installed a snapshot, or has found that its log already holds it. */
export function receiveSnapshotReply(member: Member, from: NodeId, index: LogIndex): void {
  if (member.role.kind !== "leader") return;
  const progress = member.role.peers.get(from);
  if (progress === undefined) return;
  progress.isActive = true;
  matched(member, from, index);
}

/** The transfer of a snapshot has ended, one way or the other. */
export function snapshotSent(member: Member, to: NodeId, delivered: boolean): void {
  if (member.role.kind === "leader") member.role.peers.get(to)?.snapshotSent(delivered);
}

/** Moves the commit index as far as the majorities allow, and what waits for it. (§5.4.2) */
export function advanceCommit(member: Member, role: Leader): void {
  const { log, membership, term } = member;
  const storedBy = (id: NodeId) =>
    id === member.id ? log.durable : (role.peers.get(id)?.match ?? logIndex(0));
  const agreed = agreedIndex(membership, storedBy);
  const commit = commitIndex(agreed, member.commit, term, (index) => log.termAt(index));
  if (commit === member.commit) return;
  member.commitTo(commit);
  role.admission.release(commit);
  advanceReads(member, role);
  continueChange(member, role);
}

/**
 * Carries on with what a committed membership asks for: leaves a joint one, lets those go who were
 * removed, and steps back if this member is one of them. It may lead no longer after this.
 */
function continueChange(member: Member, role: Leader): void {
  switch (changeEnd(member, role)) {
    case "nothing":
      break;
    case "leave":
      leaveJoint(member);
      replicate(member, role);
      break;
    case "retire":
      // The others hear with the first entry of the next term how far the log is committed.
      resign(member, role);
      return;
  }
  dismissPeers(member, role);
}

/** Gives way at once: the others shall not have to find out by waiting. */
export function resign(member: Member, role: Leader): void {
  const to = successor(member, role);
  if (to !== undefined) member.outbox.send(to, { kind: "timeoutNow", term: member.term });
  becomeFollower(member, member.term, undefined);
}

/** Begins to send to members that are new. */
function addPeers(member: Member, role: Leader, next: LogIndex): void {
  for (const id of Object.keys(member.memberships.reach) as NodeId[]) {
    if (id === member.id || role.peers.has(id)) continue;
    role.peers.set(id, new Progress(next, member.options));
  }
}

/** Ends with those whose removal is committed, and tells them so: nobody else will. */
function dismissPeers(member: Member, role: Leader): void {
  const { reach } = member.memberships;
  for (const [id, progress] of role.peers) {
    if (Object.hasOwn(reach, id)) continue;
    sendAppend(member, id, progress);
    role.peers.delete(id);
  }
}

/** Sends whatever the windows allow to everybody. */
function replicate(member: Member, role: Leader): void {
  for (const [id, progress] of role.peers) sendAll(member, id, progress);
}

function matched(member: Member, from: NodeId, last: LogIndex): void {
  const { role, log } = member;
  if (role.kind !== "leader") return;
  const progress = role.peers.get(from);
  if (progress === undefined) return;
  invariant(last <= log.last, "R8: a follower matches what its leader does not have", {
    from,
    last,
    ours: log.last,
  });
  if (progress.matched(last, log.first)) advanceCommit(member, role);
  // What is committed now may have ended this member's leadership, or the other one's membership.
  if (member.role !== role || !role.peers.has(from)) return;
  sendAll(member, from, progress);
  tellWhenCaughtUp(member, role);
}

function sendAll(member: Member, to: NodeId, progress: Progress): void {
  while (progress.canSend && progress.next <= member.log.last) {
    if (!sendAppend(member, to, progress)) return;
  }
}

/**
 * Sends one append: entries if the window has room, else none, only to learn whether the ones
 * before have arrived. Returns false if a snapshot is needed instead.
 */
function sendAppend(member: Member, to: NodeId, progress: Progress): boolean {
  const { log, options } = member;
  if (progress.kind === "snapshot") return false;
  const previousIndex = logIndex(progress.next - 1);
  if (previousIndex < log.first - 1) {
    offerSnapshot(member, to, progress);
    return false;
  }
  const bytesMax = Math.min(options.appendBytesMax, progress.roomBytes);
  const hasRoom = progress.canSend && progress.next <= log.last;
  const entries = hasRoom ? log.slice(progress.next, log.last, bytesMax) : [];
  member.outbox.send(to, {
    kind: "append",
    term: member.term,
    previousIndex,
    previousTerm: log.termAt(previousIndex),
    commit: member.commit,
    entries,
  });
  progress.sent(entries);
  return true;
}

/** The log no longer has what the member needs. One that is silent would not take a snapshot. */
function offerSnapshot(member: Member, to: NodeId, progress: Progress): void {
  if (!progress.isActive) return;
  const upTo = Math.max(member.snapshot.index, member.log.first - 1);
  progress.awaitSnapshot(logIndex(upTo));
  member.outbox.emit({ kind: "sendSnapshot", to, term: member.term });
}

function sendHeartbeats(member: Member, role: Leader): void {
  for (const [to, progress] of role.peers) {
    // Never more than the member has confirmed: beyond that its log may differ from ours.
    const commit = logIndex(Math.min(progress.match, member.commit));
    const { round } = role.reads;
    member.outbox.send(to, { kind: "heartbeat", term: member.term, commit, round });
  }
}

/** Whether a majority was heard of since the last time; forgets who it was. */
function takeQuorum(member: Member, role: Leader): boolean {
  const isActive = (id: NodeId) => id === member.id || role.peers.get(id)?.isActive === true;
  const hasQuorum = isQuorum(member.membership, isActive);
  for (const progress of role.peers.values()) progress.checked();
  return hasQuorum;
}

/** Answers the reads of a confirmed round and begins the next one. */
function advanceReads(member: Member, role: Leader): void {
  const { reads } = role;
  if (member.commit < role.opening) return;
  for (;;) {
    if (reads.isConfirming) {
      const confirms = (id: NodeId) =>
        id === member.id || reads.round <= (role.peers.get(id)?.round ?? 0);
      if (!isQuorum(member.membership, confirms)) return;
      const { ids, index } = reads.confirm();
      for (const { id, from } of ids) {
        if (from === undefined) member.outbox.emit({ kind: "readReady", id, index });
        else replyReadIndex(member, from, id, index);
      }
    }
    if (!reads.begin(member.commit)) return;
    sendHeartbeats(member, role);
  }
}
