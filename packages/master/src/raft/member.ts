// What a member is in every role: hard state, log, commit and apply positions, membership, and the
// changes of these that all roles share. Numbered invariants R1… are those of raft.ts.

import { invariant, type NodeId, type Random } from "@lumeofs/base";
import {
  type Entry,
  type HardState,
  type LogIndex,
  logIndex,
  type Membership,
  type SnapshotMeta,
  type Term,
} from "./entry.js";
import { ForwardedReads } from "./forwarded-reads.js";
import type { Standing } from "./invariants.js";
import { RaftLog } from "./log.js";
import { isSoleVoter, isVoter, MembershipHistory, membersOf } from "./membership.js";
import { decodeMembership } from "./membership-codec.js";
import type { MembershipStatus, RaftOptions, RaftStart } from "./message.js";
import { Outbox } from "./outbox.js";
import { ElectionTimer, type Role } from "./role.js";

/** Reading the uncommitted end of the log at the start goes in pieces of this size. */
const SCAN_BYTES_MAX = 1024 * 1024;
/** How much shorter election timers are when the leader is known to be gone. */
const HASTE = 5;
/** A write that takes longer than this many election timeouts means that the disk hangs. */
const STALLED_ELECTIONS = 4;

export class Member {
  readonly id: NodeId;
  readonly options: RaftOptions;
  readonly log: RaftLog;
  readonly outbox = new Outbox();
  role: Role;
  /** The leader is known to be gone: timers are short until there is another one. */
  isHasty = false;
  readonly #random: Random;
  #memberships: MembershipHistory;
  #hardState: HardState;
  #isHardStateNew = false;
  #snapshot: SnapshotMeta;
  #installing: SnapshotMeta | undefined;
  #commit: LogIndex;
  #applied: LogIndex;
  #applying: LogIndex;
  #writeIssued = 0;
  #writeDone = 0;
  #ticksOfWriting = 0;
  #ticksOfForgottenPromise: number;
  /** The write that makes the last vote durable; undefined if there is none to wait for. */
  #voteWrite: number | undefined;
  #isVoteNew = false;

  constructor(start: RaftStart, options: RaftOptions, random: Random) {
    invariant(start.log.first - 1 <= start.applied, "the log begins behind what is applied", {
      first: start.log.first,
      applied: start.applied,
    });
    this.id = start.id;
    this.options = options;
    this.#random = random;
    const mayHavePromised = options.leases === true && 0 < start.hardState.term;
    this.#ticksOfForgottenPromise = mayHavePromised ? options.electionTicks : 0;
    this.log = new RaftLog(start.log);
    this.#hardState = start.hardState;
    this.#snapshot = start.snapshot;
    this.#applied = this.#applying = start.applied;
    this.#commit = logIndex(Math.max(start.applied, start.snapshot.index));
    invariant(this.#commit <= this.log.last, "the log ends before what is committed", {
      commit: this.#commit,
      last: this.log.last,
    });
    this.#memberships = membershipsOf(start, this.#commit, this.log);
    const timer = this.newTimer();
    // Nobody else could lead: waiting would serve nobody.
    if (isSoleVoter(start.membership, start.id)) timer.expireNext();
    this.role = { kind: "follower", leader: undefined, timer, reads: new ForwardedReads() };
  }

  get term(): Term {
    return this.#hardState.term;
  }

  get votedFor(): NodeId | undefined {
    return this.#hardState.votedFor;
  }

  get leader(): NodeId | undefined {
    switch (this.role.kind) {
      case "follower":
        return this.role.leader;
      case "candidate":
        return undefined;
      case "leader":
        return this.id;
    }
  }

  get membership(): Membership {
    return this.#memberships.current;
  }

  /** In force at the commit index. */
  get settled(): Membership {
    return this.#memberships.settled;
  }

  /** Whether the newest membership is committed: only then may another one be appended. */
  get isMembershipSettled(): boolean {
    return this.#memberships.isSettled;
  }

  /** Who takes part, with everybody who may still have a say. */
  get memberships(): MembershipStatus {
    const { current, settled, settledIndex, open } = this.#memberships;
    const reach: Record<NodeId, string> = {};
    for (const membership of open) {
      for (const id of membersOf(membership)) reach[id] = membership.addresses[id] ?? "";
    }
    return { current, settled, settledIndex, reach };
  }

  get snapshot(): SnapshotMeta {
    return this.#snapshot;
  }

  get isInstalling(): boolean {
    return this.#installing !== undefined;
  }

  get commit(): LogIndex {
    return this.#commit;
  }

  get applied(): LogIndex {
    return this.#applied;
  }

  get standing(): Standing {
    return {
      role: this.role.kind,
      term: this.term,
      votedFor: this.votedFor,
      leader: this.leader,
      first: this.log.first,
      last: this.log.last,
      durable: this.log.durable,
      commit: this.#commit,
      applied: this.#applied,
    };
  }

  newTimer(): ElectionTimer {
    const { electionTicks } = this.options;
    const ticks = this.isHasty ? Math.max(1, Math.floor(electionTicks / HASTE)) : electionTicks;
    return new ElectionTimer(ticks, this.#random);
  }

  /**
   * Whether this member may stand for election: it votes, and it is able to write.
   *
   * A voter whose removal is not committed may be the only one whose log is long enough to be
   * elected: it stands too, and counts in the sets where it votes. (thesis §4.2.2, raft.md 3.5.45a)
   */
  get mayCampaign(): boolean {
    const votes = this.#memberships.open.some((membership) => isVoter(membership, this.id));
    return votes && !this.isInstalling && !this.isWritingStalled;
  }

  /** Enters a later term, in which it has voted for nobody, or for `votedFor`. */
  enterTerm(term: Term, votedFor: NodeId | undefined): void {
    invariant(this.term < term, "the term does not grow", { from: this.term, to: term });
    this.#hardState = { term, votedFor };
    this.#isHardStateNew = true;
    this.#isVoteNew = votedFor !== undefined;
    this.#voteWrite = undefined;
  }

  /** Gives this term's vote. A second time to the same candidate changes nothing. (R2) */
  voteFor(candidate: NodeId): void {
    if (this.votedFor === candidate) return;
    invariant(this.votedFor === undefined, "a second vote in one term", { term: this.term });
    this.#hardState = { term: this.term, votedFor: candidate };
    this.#isHardStateNew = true;
    this.#isVoteNew = true;
  }

  /** Adds entries behind the last one; a membership among them is in force from now on. */
  append(entries: readonly Entry[]): void {
    this.log.append(entries);
    for (const { kind, index, data } of entries) {
      if (kind === "membership") this.#memberships.append(index, decodeMembership(data));
    }
  }

  /** Drops the entry at `from` and all behind it. (R5) */
  truncate(from: LogIndex): void {
    invariant(this.#commit < from, "a committed entry is truncated", {
      from,
      commit: this.#commit,
    });
    this.log.truncate(from);
    this.#memberships.truncate(from);
  }

  /** Moves the commit index forward; never back. (R4) */
  commitTo(index: LogIndex): void {
    if (index <= this.#commit) return;
    invariant(index <= this.log.last, "committed past the end of the log", {
      index,
      last: this.log.last,
    });
    this.#commit = index;
    this.#memberships.committed(index);
  }

  /** Puts out the next entries to apply, unless some are being applied or none are ready. (R3) */
  applyNext(): void {
    const ready = logIndex(Math.min(this.#commit, this.log.durable));
    if (this.isInstalling || this.#applied < this.#applying || ready <= this.#applied) return;
    const from = logIndex(this.#applied + 1);
    const entries = this.log.slice(from, ready, this.options.applyBytesMax);
    this.#applying = logIndex(this.#applied + entries.length);
    this.outbox.emit({ kind: "apply", entries });
  }

  /** The state machine stands at `index`. */
  appliedTo(index: LogIndex): void {
    if (index <= this.#applied) return;
    invariant(index <= this.#applying, "applied what was not given to apply", {
      index,
      applying: this.#applying,
    });
    this.#applied = index;
  }

  /** Remembers a newer snapshot of this member's own state. */
  compactedTo(meta: SnapshotMeta): void {
    invariant(meta.index <= this.#applied, "a snapshot of what is not applied", {
      index: meta.index,
      applied: this.#applied,
    });
    if (this.#snapshot.index < meta.index) this.#snapshot = meta;
  }

  /** Begins anew behind a snapshot from the leader. */
  beginInstalling(meta: SnapshotMeta): void {
    invariant(this.#commit < meta.index, "a snapshot of what is committed", { index: meta.index });
    this.#installing = this.#snapshot = meta;
    this.#commit = meta.index;
    this.log.restart(meta.index, meta.term);
    this.#memberships = new MembershipHistory(meta.index, meta.membership);
  }

  endInstalling(meta: SnapshotMeta): void {
    invariant(this.#installing?.index === meta.index, "installed another snapshot", {
      index: meta.index,
    });
    this.#installing = undefined;
    this.#applied = this.#applying = meta.index;
  }

  /** Puts out this step's write, if there is anything to write or to wait for. */
  persist(): void {
    if (!this.#isHardStateNew && !this.log.hasChanged && !this.outbox.hasThen) return;
    const write = ++this.#writeIssued;
    const hardState = this.#isHardStateNew ? this.#hardState : undefined;
    this.outbox.persist(write, hardState, this.log.hand(write));
    if (this.#isVoteNew) this.#voteWrite = write;
    this.#isHardStateNew = false;
    this.#isVoteNew = false;
  }

  /** A write is durable. Returns whether it is the one with this term's vote. */
  persisted(write: number): boolean {
    invariant(write <= this.#writeIssued, "a write that was not asked for", { write });
    if (write <= this.#writeDone) return false;
    this.#writeDone = write;
    this.#ticksOfWriting = 0;
    this.log.persisted(write);
    if (this.#voteWrite === undefined || write < this.#voteWrite) return false;
    this.#voteWrite = undefined;
    return true;
  }

  /** Before its restart it may have heard a leader that still relies on that. */
  get mayHaveHeardLeader(): boolean {
    return 0 < this.#ticksOfForgottenPromise;
  }

  /** Time passes, whatever the role: also for how long the disk has finished nothing. */
  tick(): void {
    if (this.mayHaveHeardLeader) this.#ticksOfForgottenPromise--;
    if (this.#writeDone < this.#writeIssued) this.#ticksOfWriting++;
  }

  /** No write has ended for so long that the disk must be taken for dead. */
  get isWritingStalled(): boolean {
    return STALLED_ELECTIONS * this.options.electionTicks <= this.#ticksOfWriting;
  }
}

/** The memberships that truncation may go back to: those of the uncommitted end of the log. */
function membershipsOf(start: RaftStart, commit: LogIndex, log: RaftLog): MembershipHistory {
  const open = membershipEntries(log, logIndex(commit + 1));
  if (open.length === 0) return new MembershipHistory(commit, start.membership);
  const settled = membershipEntries(log, log.first).findLast((entry) => entry.index <= commit);
  const base =
    settled === undefined || settled.index <= start.snapshot.index
      ? start.snapshot.membership
      : decodeMembership(settled.data);
  const history = new MembershipHistory(commit, base);
  for (const entry of open) history.append(entry.index, decodeMembership(entry.data));
  return history;
}

function membershipEntries(log: RaftLog, from: LogIndex): readonly Entry[] {
  const found: Entry[] = [];
  for (let next = from; next <= log.last; ) {
    const entries = log.slice(next, log.last, SCAN_BYTES_MAX);
    found.push(...entries.filter((entry) => entry.kind === "membership"));
    next = logIndex(next + entries.length);
  }
  return found;
}
