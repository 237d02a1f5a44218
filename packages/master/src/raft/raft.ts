// Raft: one log on several members, of which any minority may be lost.
//
// A member is follower, candidate or leader (role.ts). The leader appends proposals to its log and
// makes the logs of all others equal to its own (leader.ts, progress.ts); an entry that a majority
// has on disk is committed (quorum.ts) and applied to the state machine of each. When the leader
// falls silent, a majority elects another one that holds all that is committed (candidate.ts,
// follower.ts). Reads ask a majority whether the leader still leads (read-index.ts). A member that
// needs entries which are gone receives a snapshot instead (snapshot.ts).
//
// `RaftCore` is a function of its inputs: time is a tick, a finished write is an input, chance is
// drawn from the given `Random`. Every output of a step is the beginning of something whose end
// comes back as an input. The inputs may come late, repeated, reordered, or not at all, as far as
// they are messages; what the own shell reports is true.
//
// What always holds. Code and tests cite these numbers; invariants.ts checks those that one member
// can see, after every step.
//
// R1. A term has at most one leader.                                                        (§5.2)
// R2. The term never falls, and a member votes for at most one candidate in a term: stepping back
//     within a term does not take the vote back.                                            (§5.2)
// R3. applied <= commit and applied <= durable. An entry that could still be lost here is not
//     applied here, even if the others have committed it: a restart finds a log that holds
//     everything that was applied.
// R4. The commit index never falls, and lies within the log. A follower moves it no further than
//     what it has verified to be equal to the leader's log.
// R5. An entry is removed only when another one with its index comes from the leader, or by a
//     snapshot; and never at or below the commit index.                                     (§5.3)
// R6. A message that asserts durability leaves only after the write it rests on, and after all
//     writes before: votes, requests for votes, acknowledged entries and snapshots. The same holds
//     for this member's own vote and its own copy of an entry.
// R7. A leader only appends to its log.                                                     (§5.3)
// R8. A leader commits an entry of an earlier term only together with one of its own; its log holds
//     everything committed before its term.                                                 (§5.4)
// R9. A leader that hears no majority for an election timeout steps back, and a member that hears a
//     leader helps nobody to another election. The two belong together: without the first, a leader
//     nobody follows would keep all from electing; without the second, a member with a bad link
//     would end every term.                                                           (thesis §9.6)
// R10. A leader appends a membership only when the one before it and an entry of its own term are
//     committed: two memberships that do not share a majority never stand side by side. (raft.md
//     §2.1)

import { assertNever, type NodeId, type Random } from "@lumeofs/base";
import {
  missLeader,
  ownVotePersisted,
  receiveTimeoutNow,
  receiveVoteReply,
  tickElection,
} from "./candidate.js";
import type { Membership } from "./entry.js";
import {
  answerStaleLeader,
  becomeFollower,
  receiveAppend,
  receiveHeartbeat,
  receiveVote,
} from "./follower.js";
import { forwardRead, receiveReadIndexReply, tickForwardedReads } from "./forwarded-reads.js";
import { assertStanding, assertSuccession, type Standing } from "./invariants.js";
import {
  advanceCommit,
  changeMembership,
  propose,
  read,
  receiveAppendReply,
  receiveHeartbeatReply,
  receiveReadIndex,
  receiveSnapshotReply,
  resign,
  snapshotSent,
  tickLeader,
} from "./leader.js";
import { Member } from "./member.js";
import type { MemberChange } from "./member-change.js";
import type {
  MembershipStatus,
  RaftInput,
  RaftMessage,
  RaftOptions,
  RaftOutput,
  RaftStart,
  RaftStatus,
} from "./message.js";
import { receiveSnapshot } from "./snapshot.js";
import { transfer } from "./transfer.js";

/** One member of a group. */
export class RaftCore {
  readonly #member: Member;
  #standing: Standing;
  #shown: { readonly current: Membership; readonly settled: Membership };

  /**
   * Begins as a follower that knows of no leader.
   *
   * @throws InvariantViolation if `start` contradicts itself.
   */
  constructor(start: RaftStart, options: RaftOptions, random: Random) {
    this.#member = new Member(start, options, random);
    this.#standing = this.#member.standing;
    assertStanding(this.#standing);
    const { membership: current, settled } = this.#member;
    this.#shown = { current, settled };
  }

  /** The positions after the last step. Costs nothing; `status` is put together for each call. */
  get standing(): Standing {
    return this.#standing;
  }

  /** Who takes part, as this member knows it after the last step. */
  get memberships(): MembershipStatus {
    return this.#member.memberships;
  }

  /** Everything there is to know of this member after the last step. */
  get status(): RaftStatus {
    const member = this.#member;
    const { role } = member;
    const leading = role.kind === "leader" ? role : undefined;
    const { standing } = this;
    return {
      id: member.id,
      role: standing.role,
      term: standing.term,
      votedFor: standing.votedFor,
      leader: standing.leader,
      first: standing.first,
      last: standing.last,
      durable: standing.durable,
      commit: standing.commit,
      applied: standing.applied,
      snapshot: member.snapshot.index,
      membership: member.membership,
      settled: member.settled,
      transferTo: leading?.transfer?.to,
      uncommittedBytes: leading?.admission.bytes ?? 0,
      readsWaiting: leading?.reads.waitingCount ?? 0,
      peers: [...(leading?.peers ?? [])].map(([id, progress]) => progress.status(id)),
    };
  }

  /**
   * Takes one input and returns what must be begun because of it, in this order.
   *
   * @throws InvariantViolation if something happened that cannot: the member must stop, its state
   *         in memory is worth nothing any more.
   */
  step(input: RaftInput): readonly RaftOutput[] {
    const member = this.#member;
    this.#take(input);
    member.persist();
    member.applyNext();
    const before = this.#standing;
    const now = member.standing;
    assertStanding(now);
    assertSuccession(before, now);
    this.#standing = now;
    const news = this.#news(before, now);
    return news.length === 0 ? member.outbox.take() : [...news, ...member.outbox.take()];
  }

  /** What has changed for everybody who watches this member. */
  #news(before: Standing, { role, term, leader }: Standing): readonly RaftOutput[] {
    const news: RaftOutput[] = [];
    if (before.role !== role || before.term !== term || before.leader !== leader) {
      news.push({ kind: "role", role, term, leader });
    }
    const { membership: current, settled } = this.#member;
    if (this.#shown.current !== current || this.#shown.settled !== settled) {
      this.#shown = { current, settled };
      news.push({ kind: "membership", ...this.memberships });
    }
    return news;
  }

  #take(input: RaftInput): void {
    const member = this.#member;
    switch (input.kind) {
      case "tick":
        return this.#tick();
      case "propose":
        return this.#propose(input.commands);
      case "received":
        return this.#receive(input.from, input.message);
      case "persisted":
        return this.#persisted(input.write);
      case "applied":
        return member.appliedTo(input.index);
      case "read":
        return this.#read(input.id);
      case "compacted":
        return member.compactedTo(input.meta);
      case "snapshotReceived":
        return receiveSnapshot(member, input);
      case "snapshotInstalled":
        return member.endInstalling(input.meta);
      case "snapshotSent":
        return snapshotSent(member, input.to, input.delivered);
      case "unreachable":
        if (member.role.kind === "leader") member.role.peers.get(input.peer)?.unreachable();
        return;
      case "gone":
        return missLeader(member, input.peer);
      case "changeMembership":
        return this.#change(input.changes);
      case "transferLeadership":
        return transfer(member, input.to);
      case "resign":
        if (member.role.kind === "leader") resign(member, member.role);
        return;
      default:
        return assertNever(input);
    }
  }

  #tick(): void {
    const { role } = this.#member;
    this.#member.tick();
    if (role.kind === "leader") return tickLeader(this.#member, role);
    if (role.kind === "follower") tickForwardedReads(this.#member, role);
    tickElection(this.#member, role);
  }

  #propose(commands: readonly Uint8Array[]): void {
    const { role, leader, outbox } = this.#member;
    if (role.kind === "leader") propose(this.#member, role, commands);
    else outbox.answer({ kind: "refused", why: { kind: "notLeader", leader } });
  }

  #change(changes: readonly MemberChange[]): void {
    const { role, leader, outbox } = this.#member;
    if (role.kind === "leader") changeMembership(this.#member, role, changes);
    else outbox.answer({ kind: "changeRefused", why: { kind: "notLeader", leader } });
  }

  #read(id: number): void {
    const { role, leader, outbox } = this.#member;
    if (role.kind === "leader") read(this.#member, role, id);
    else if (role.kind === "follower") forwardRead(this.#member, role, id);
    else outbox.emit({ kind: "readRefused", id, why: { kind: "notLeader", leader } });
  }

  #persisted(write: number): void {
    if (this.#member.persisted(write)) ownVotePersisted(this.#member);
    const { role } = this.#member;
    if (role.kind === "leader") advanceCommit(this.#member, role);
  }

  /** Compares terms first: a later one ends ours, an earlier one means nothing any more. (§5.1) */
  #receive(from: NodeId, message: RaftMessage): void {
    const member = this.#member;
    if (message.kind === "vote") return receiveVote(member, from, message);
    // A granted `pre` vote carries the term that was asked about; nobody is in it yet.
    if (message.kind === "voteReply" && message.pre && message.granted) {
      return receiveVoteReply(member, from, message);
    }
    if (message.term < member.term) {
      if (isFromLeader(message)) answerStaleLeader(member, from);
      return;
    }
    if (member.term < message.term) {
      becomeFollower(member, message.term, isFromLeader(message) ? from : undefined);
    }
    this.#dispatch(from, message);
  }

  #dispatch(from: NodeId, message: Exclude<RaftMessage, { kind: "vote" }>): void {
    const member = this.#member;
    switch (message.kind) {
      case "append":
        return receiveAppend(member, from, message);
      case "appendReply":
        return receiveAppendReply(member, from, message.reply);
      case "heartbeat":
        return receiveHeartbeat(member, from, message);
      case "heartbeatReply":
        return receiveHeartbeatReply(member, from, message.round);
      case "voteReply":
        return receiveVoteReply(member, from, message);
      case "snapshotReply":
        return receiveSnapshotReply(member, from, message.index);
      case "timeoutNow":
        return receiveTimeoutNow(member);
      case "readIndex":
        return receiveReadIndex(member, from, message.id);
      case "readIndexReply":
        return receiveReadIndexReply(member, message);
      default:
        return assertNever(message);
    }
  }
}

/** Whether only the leader of its term sends such a message. */
function isFromLeader(message: RaftMessage): boolean {
  return message.kind === "append" || message.kind === "heartbeat" || message.kind === "timeoutNow";
}
