// What must hold in every moment of every run, whatever goes wrong. The checker sees what is
// durable (the media themselves), what leaves and reaches each member, and where each member says
// it stands; it never asks a member whether it is right. What clients are told and what is applied
// is looked at in outcomes.ts (S5, S13, S14).
//
// S1.  At most one leader in a term.                                              (Raft, Figure 3)
// S2.  A leader removes nothing from its log.
// S3.  One (index, term) stands for one entry with one predecessor, on all members, for ever.
// S4.  A leader holds everything that was committed in earlier terms.
// S6.  What is committed at an index never changes, and nobody removes it.
// S7.  What is committed is durable on a majority of every voter set in force.
// S8.  Terms, and the vote within one, never go back, not by a crash either; nor do commit and
//      applied while a process runs, nor the durable state ever.
// S9.  No message says "durable" before it is.
// S10. log.first - 1 <= durable state; applied <= commit <= last.
// S11. A membership follows another one only if all their majorities meet, and only when the one
//      before is committed.
// S12. A leader has no more in flight, and no more uncommitted, than it may.
// S15. A leader's commit index only stops at entries of its own term.                    (Figure 8)
// S16. What a leader counts as stored by a member that follows it is durable there.
// S17. A leader that hears no majority for two election timeouts leads no longer: it sends no more
//      signs of life than fit into this time.
// S18. Whoever has heard its leader within half an election timeout helps nobody to another
//      election, unless the leader hands over.
// S19. Whoever stands for election, but by order of a leader, has the promises of a majority for
//      that very term: a member that nobody waited for does not end a term. (Thesis §9.6)

import type { NodeId } from "@lumeofs/base";
import type {
  Entry,
  HardState,
  LogIndex,
  Membership,
  SnapshotMeta,
  Term,
} from "../../src/raft/entry.js";
import type { PeerStatus, RaftMessage, RaftOptions, RaftStatus } from "../../src/raft/message.js";
import { hasDisjointMajorities, isMajority } from "./majorities.js";
import type { SwarmOptions } from "./options.js";
import type { LogMedium, LogWitness } from "./sim-log-store.js";
import type { StateMedium } from "./sim-state-store.js";

/** A broken promise: which one, and how. */
export class SafetyViolation extends Error {
  override readonly name = "SafetyViolation";
  constructor(
    readonly property: string,
    what: string,
  ) {
    super(`${property}: ${what}`);
  }
}

/** @param what Built only if the promise is broken: most checks pass. */
export function must(condition: boolean, property: string, what: () => string): asserts condition {
  if (!condition) throw new SafetyViolation(property, what());
}

/** Where a member says that it stands. */
export type Standing = Pick<
  RaftStatus,
  | "role"
  | "term"
  | "leader"
  | "commit"
  | "applied"
  | "last"
  | "membership"
  | "peers"
  | "uncommittedBytes"
>;

interface Watched {
  readonly log: LogMedium;
  readonly state: StateMedium;
  /** Of the present run of the process; undefined before its first report. */
  standing: Standing | undefined;
  stateMark: LogIndex;
  /** Since a majority was heard last: who was, and how many signs of life went to each. (S17) */
  heard: Set<NodeId>;
  beats: Map<NodeId, Beats>;
  /** When a leader of its term was heard last. (S18) */
  contactAt: number;
  /** Who promised it a vote, by term. (S19) */
  promised: Map<Term, Set<NodeId>>;
  /** Who asked for a vote, and whether a leader was heard shortly before every time. (S18) */
  asked: Map<string, boolean>;
}

interface Beats {
  count: number;
  /** Those of one moment make up for a time in which the member was held up: they count once. */
  at: number;
  /** The latest round of reads that was asked for. */
  round: number;
}

interface Committed {
  readonly term: Term;
  /** Whoever leads a later term than this must have it. */
  readonly knownIn: Term;
}

/** One proposal always passes, however large; no command of the workloads is larger. */
const BATCH_BYTES_MAX = 16 * 1024;
/** Signs of life beyond those of two election timeouts: their begin and end are not at a beat. */
const BEATS_BEYOND = 2;

export class Checker {
  readonly #limits: RaftOptions;
  readonly #now: () => number;
  readonly #members = new Map<NodeId, Watched>();
  readonly #leaders = new Map<Term, NodeId>();
  /** By index, then term: hash of the entry and term of its predecessor. */
  readonly #entries: Map<Term, { readonly hash: number; readonly previous: Term }>[] = [];
  readonly #committed: (Committed | undefined)[] = [];
  readonly #beatsMax: number;
  readonly #loyaltyMs: number;
  #truncations = 0;
  #installs = 0;
  #changes = 0;

  /** @param now Virtual time. */
  constructor({ raft: limits, tickMs }: Pick<SwarmOptions, "raft" | "tickMs">, now: () => number) {
    this.#limits = limits;
    this.#now = now;
    this.#loyaltyMs = (limits.electionTicks * tickMs) / 2;
    this.#beatsMax = 2 * Math.ceil(limits.electionTicks / limits.heartbeatTicks) + BEATS_BEYOND;
  }

  /** What happened often enough to mean that the checks had something to check. */
  get counts(): {
    readonly elections: number;
    readonly committed: number;
    readonly truncations: number;
    readonly installs: number;
    readonly changes: number;
  } {
    return {
      elections: this.#leaders.size,
      committed: this.commit,
      truncations: this.#truncations,
      installs: this.#installs,
      changes: this.#changes,
    };
  }

  /** The last entry that anybody has called committed. */
  get commit(): number {
    return Math.max(0, this.#committed.length - 1);
  }

  /** Takes a member's media into view. */
  watch(name: NodeId, log: LogMedium, state: StateMedium): void {
    const watched: Watched = {
      log,
      state,
      standing: undefined,
      stateMark: state.mark.index,
      heard: new Set(),
      beats: new Map(),
      contactAt: Number.NEGATIVE_INFINITY,
      promised: new Map(),
      asked: new Map(),
    };
    this.#members.set(name, watched);
    log.witness = this.#witness(name, watched);
  }

  /** A new run of the process begins. */
  restarted(name: NodeId): void {
    const member = this.#member(name);
    member.standing = undefined;
    member.contactAt = Number.NEGATIVE_INFINITY;
    member.asked.clear();
    member.promised.clear();
  }

  /** After anything that may have changed a member. */
  observe(name: NodeId, now: Standing): void {
    const member = this.#member(name);
    const before = member.standing;
    this.#mustStandOnState(name, member);
    if (before === undefined) {
      must(member.log.hardState.term <= now.term, "S8", () => `${name}: term`);
    } else {
      mustGoForward(name, before, now);
    }
    must(now.applied <= now.commit, "S10", () => `${name} applied beyond ${now.commit}`);
    must(now.commit <= now.last, "S10", () => `${name} committed ${now.commit} > ${now.last}`);
    for (let i = this.#committed.length || 1; i <= now.commit; i++) this.#commitAt(i, name, now);
    if (now.role === "leader") this.#mustLead(name, member, before, now);
    member.standing = now;
  }

  /** A message leaves a member in this moment. */
  leaving(name: NodeId, to: NodeId, message: RaftMessage): void {
    const member = this.#member(name);
    const { log, state } = member;
    const { hardState } = log;
    // Writes that wait for the disk are joined: a message of an earlier term may leave when a later
    // term is durable too. It says nothing that could still be counted wrongly.
    if (message.term < hardState.term) return;
    const isTrue = isDurable(message, { name, to, log, state, standing: member.standing });
    must(isTrue, "S9", () => {
      const is = `term ${hardState.term}, vote ${hardState.votedFor}, last ${log.last}`;
      return `${name} sends ${JSON.stringify(message)} while ${is} are durable`;
    });
    if (message.kind === "heartbeat") this.#beat(name, to, message.round);
    if (message.kind === "vote" && !message.pre && !message.transfer) {
      const promised = member.promised.get(message.term);
      const { standing } = member;
      const agrees = (id: NodeId): boolean => id === name || promised?.has(id) === true;
      const isAsked = standing === undefined || isMajority(standing.membership, agrees);
      must(isAsked, "S19", () => `${name} stands in term ${message.term}, promised by too few`);
    }
    if (message.kind !== "voteReply" || !message.granted) return;
    const isDisloyal = member.asked.get(questionOf(to, message)) === true && this.#isLed(member);
    must(!isDisloyal, "S18", () => `${name} helps ${to} to an election while it has a leader`);
  }

  /** A message has reached the process of a member. */
  reached(name: NodeId, from: NodeId, message: RaftMessage): void {
    const member = this.#member(name);
    const { standing } = member;
    if (standing === undefined || message.term < standing.term) return;
    if (message.kind === "voteReply" && message.pre && message.granted) {
      const promised = member.promised.get(message.term) ?? new Set();
      member.promised.set(message.term, promised.add(from));
    }
    if (message.kind === "vote" && !message.transfer) {
      const question = questionOf(from, message);
      // Asked about the term that it is in, it may answer, whoever led the term before.
      const isLed = standing.term < message.term && this.#isLed(member);
      member.asked.set(question, member.asked.get(question) !== false && isLed);
    }
    if (message.kind === "append" || message.kind === "heartbeat") member.contactAt = this.#now();
    if (standing.role !== "leader") return;
    member.heard.add(from);
    if (isMajority(standing.membership, (id) => id === name || member.heard.has(id))) {
      member.heard.clear();
      member.beats.clear();
    }
  }

  /** Whether the entry at an index, wherever it is, is the committed one. */
  isCommitted(index: number, term: Term): boolean {
    return this.#committed[index]?.term === term;
  }

  #member(name: NodeId): Watched {
    const member = this.#members.get(name);
    if (member === undefined) throw new Error(`${name} is not watched`);
    return member;
  }

  #witness(name: NodeId, member: Watched): LogWitness {
    return {
      hardStateChanged: (before, after) => mustKeepVote(name, before, after),
      removed: (entries) => {
        this.#truncations++;
        const leads = member.standing?.role === "leader";
        must(!leads, "S2", () => `${name} removes entries while it leads`);
        for (const { index, term } of entries) {
          const isKept = !this.isCommitted(index, term);
          must(isKept, "S6", () => `${name} removes the committed entry ${index} of term ${term}`);
        }
      },
      appended: (entries) => {
        for (const entry of entries) {
          this.#mustMatch(name, member.log, entry);
          if (entry.kind === "membership") this.#mustFollow(name, member.log, entry.index);
        }
      },
      restarted: (meta) => {
        this.#installs++;
        this.#mustCover(name, meta);
      },
    };
  }

  /** Whether a member follows a leader of whom it has heard only now. */
  #isLed({ standing, contactAt }: Watched): boolean {
    const isFollower = standing?.role === "follower" && standing.leader !== undefined;
    return isFollower && this.#now() - contactAt < this.#loyaltyMs;
  }

  #mustMatch(name: NodeId, log: LogMedium, entry: Entry): void {
    const { index, term } = entry;
    const previous = log.termAt((index - 1) as LogIndex);
    const hash = hashOf(entry.data) ^ entry.kind.length;
    this.#entries[index] ??= new Map();
    const known = this.#entries[index].get(term);
    if (known === undefined) {
      this.#entries[index].set(term, { hash, previous });
      if (entry.kind === "membership") this.#changes++;
      return;
    }
    must(known.hash === hash, "S3", () => `${name} has another entry ${index} of term ${term}`);
    must(known.previous === previous, "S3", () => `${name} has another entry before ${index}`);
  }

  /** S11, for the membership that an entry has brought. */
  #mustFollow(name: NodeId, log: LogMedium, index: LogIndex): void {
    const before = log.membershipAt((index - 1) as LogIndex);
    const after = log.membershipAt(index);
    // The log of whoever joins begins with nobody.
    if (before.voters.length === 0) return;
    const meet = !hasDisjointMajorities(before, after);
    const shown = (): string => `${shownVoters(before)} to ${shownVoters(after)}`;
    must(meet, "S11", () => `${name}: ${shown()} at ${index} have majorities that do not meet`);
    for (let open = index - 1; this.commit < open && log.first <= open; open--) {
      const entry = log.entryAt(open);
      if (entry?.kind !== "membership") continue;
      // It may be committed in this very event: then it is where it must be.
      const isThere = isMajority(log.membershipAt(entry.index), (id) => this.#holds(id, entry));
      must(isThere, "S11", () => `${name}: ${shown()} at ${index}, ${open} is not committed`);
    }
  }

  #holds(id: NodeId, { index, term }: Pick<Entry, "index" | "term">): boolean {
    const log = this.#members.get(id)?.log;
    return log !== undefined && (index < log.first || log.entryAt(index)?.term === term);
  }

  /** A snapshot may only stand for what is committed. */
  #mustCover(name: NodeId, meta: SnapshotMeta): void {
    if (meta.index === 0) return;
    const isCommitted = this.isCommitted(meta.index, meta.term);
    must(isCommitted, "S6", () => `${name} begins behind ${meta.index} of term ${meta.term}`);
  }

  #mustStandOnState(name: NodeId, member: Watched): void {
    const { index } = member.state.mark;
    must(member.stateMark <= index, "S8", () => `${name}: state goes back to ${index}`);
    member.stateMark = index;
    const base = member.log.first - 1;
    must(base <= index, "S10", () => `${name}: log begins behind ${base}, state is at ${index}`);
  }

  #mustLead(name: NodeId, member: Watched, before: Standing | undefined, now: Standing): void {
    const { term, commit, uncommittedBytes } = now;
    if (before?.role !== "leader" || before.term !== term) {
      this.#elected(name, member, term);
    } else if (before.commit < commit) {
      const isOwn = this.isCommitted(commit, term);
      must(isOwn, "S15", () => `${name} commits up to ${commit}, not of its term ${term}`);
    }
    const bytesMax = Math.max(this.#limits.uncommittedBytesMax, BATCH_BYTES_MAX);
    const isBounded = uncommittedBytes <= bytesMax;
    must(isBounded, "S12", () => `${name} has ${uncommittedBytes} uncommitted bytes`);
    for (const peer of now.peers) this.#mustCount(name, member, term, peer);
  }

  #commitAt(index: number, by: NodeId, now: Standing): void {
    const terms = new Set<Term>();
    for (const { log } of this.#members.values()) {
      const entry = log.entryAt(index);
      if (entry !== undefined) terms.add(entry.term);
    }
    for (const term of terms) {
      const entry = { index: index as LogIndex, term };
      const isHeld = (id: NodeId): boolean => this.#holds(id, entry);
      if (!this.#membershipsOf(now).some((membership) => isMajority(membership, isHeld))) continue;
      this.#committed[index] = { term, knownIn: now.term };
      return;
    }
    const found = `terms there: ${[...terms].join() || "none"}`;
    must(false, "S7", () => `${by} has committed ${index} in term ${now.term}; ${found}`);
  }

  /** Who had to agree: a follower that tells first may not know yet what its leader goes by. */
  #membershipsOf(now: Standing): readonly Membership[] {
    if (now.role === "leader") return [now.membership];
    const others = [...this.#members.values()].map(({ log }) => log.membershipAt(log.last));
    return [now.membership, ...others];
  }

  #mustCount(leader: NodeId, member: Watched, term: Term, peer: PeerStatus): void {
    const { inFlightAppendsMax, inFlightBytesMax } = this.#limits;
    const { inFlightAppends: count, inFlightBytes: bytes } = peer;
    const isBounded = count <= inFlightAppendsMax && bytes <= inFlightBytesMax + BATCH_BYTES_MAX;
    must(isBounded, "S12", () => `${leader} has ${count} appends, ${bytes} bytes on the way`);
    const watched = this.#members.get(peer.id);
    // A member of another term may have changed its log for a later leader.
    if (watched === undefined || watched.log.hardState.term !== term) return;
    const { log, state } = watched;
    if (peer.match <= state.mark.index) return;
    const ours = member.log.entryAt(peer.match)?.term;
    const theirs = log.entryAt(peer.match)?.term;
    const isThere = theirs !== undefined && (ours === undefined || ours === theirs);
    const what = (): string =>
      `${leader} of term ${term} counts ${peer.match} as stored by ${peer.id}`;
    must(isThere, "S16", what);
  }

  #elected(name: NodeId, member: Watched, term: Term): void {
    const known = this.#leaders.get(term) ?? name;
    must(known === name, "S1", () => `${known} and ${name} both lead term ${term}`);
    this.#leaders.set(term, name);
    member.heard.clear();
    member.beats.clear();
    for (let index = member.log.first as number; index < this.#committed.length; index++) {
      const committed = this.#committed[index];
      if (committed === undefined || term <= committed.knownIn) continue;
      const isHeld = member.log.entryAt(index)?.term === committed.term;
      must(isHeld, "S4", () => `${name} leads term ${term} without the committed entry ${index}`);
    }
  }

  /** A round of reads sends signs of life of its own: only those of the timer count. */
  #beat(name: NodeId, to: NodeId, round: number): void {
    const { beats, standing } = this.#member(name);
    if (standing !== undefined && isMajority(standing.membership, (id) => id === name)) return;
    const at = this.#now();
    const known = beats.get(to) ?? { count: 0, round, at: -1 };
    beats.set(to, known);
    if (known.round < round) known.round = round;
    else if (known.at < at) known.count++;
    known.at = at;
    const what = (): string =>
      `${name} still leads after ${known.count} signs of life without a majority`;
    must(known.count <= this.#beatsMax, "S17", what);
  }
}

/** What a message says of its sender, against what is on the sender's disk. */
function isDurable(
  message: RaftMessage,
  sender: Pick<Watched, "log" | "state" | "standing"> & { readonly name: NodeId; to: NodeId },
): boolean {
  const { log, state, name, to } = sender;
  const { hardState } = log;
  const isOwnTerm = hardState.term === message.term;
  switch (message.kind) {
    case "vote":
      if (message.pre) return true;
      if (!isOwnTerm || hardState.votedFor !== name) return false;
      // Joined writes again: another leader of this term may have made it cut its log since. That
      // leader has its majority, so nobody counts this vote.
      return sender.standing?.role === "follower" || message.lastIndex <= log.last;
    case "append":
    case "heartbeat":
      return isOwnTerm && hardState.votedFor === name;
    case "appendReply":
      return isOwnTerm && (message.reply.kind !== "matched" || message.reply.last <= log.last);
    case "voteReply":
      return message.pre || !message.granted || (isOwnTerm && hardState.votedFor === to);
    case "snapshotReply":
      return message.index <= Math.max(state.mark.index, log.last);
    default:
      return true;
  }
}

/** One name for a request for a vote and the answer to it. */
function questionOf(
  candidate: NodeId,
  { term, pre }: { readonly term: Term; readonly pre: boolean },
): string {
  return `${candidate} ${term} ${pre}`;
}

function mustGoForward(name: NodeId, before: Standing, now: Standing): void {
  for (const what of ["term", "commit", "applied"] as const) {
    const isForward = before[what] <= now[what];
    must(isForward, "S8", () => `${name}: ${what} goes from ${before[what]} to ${now[what]}`);
  }
}

function mustKeepVote(name: NodeId, before: HardState, after: HardState): void {
  const step = (): string =>
    `${name}: from ${before.term}/${before.votedFor} to ${after.term}/${after.votedFor}`;
  must(before.term <= after.term, "S8", step);
  const isKept =
    before.term < after.term || before.votedFor === undefined || before.votedFor === after.votedFor;
  must(isKept, "S8", step);
}

function shownVoters({ voters, votersOutgoing }: Membership): string {
  const outgoing = votersOutgoing.length === 0 ? "" : `, leaving ${votersOutgoing.join()}`;
  return `{${voters.join()}${outgoing}}`;
}

/** FNV-1a over all bytes and their number. */
export function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ (bytes[i] as number), 0x01000193);
  return hash ^ bytes.byteLength;
}
