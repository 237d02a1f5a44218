// What must hold in every moment of every run, whatever goes wrong. The checker sees what is
// durable (the media themselves), what leaves each member, what is applied, and where each member
// says it stands; it never asks a member whether it is right.
//
// S1.  At most one leader in a term.                                              (Raft, Figure 3)
// S2.  A leader removes nothing from its log.
// S3.  One (index, term) stands for one entry with one predecessor, on all members, for ever.
// S4.  A leader holds everything that was committed in earlier terms.
// S5.  All members apply the same entry at an index, and have the same state after it.
// S6.  What is committed at an index never changes, and nobody removes it.
// S7.  What is committed is durable on a majority.
// S8.  Terms, and the vote within one, never go back, not by a crash either; nor do commit and
//      applied while a process runs, nor the durable state ever.
// S9.  No message says "durable" before it is.
// S10. log.first - 1 <= durable state; applied <= commit <= last.
// S12. A leader has no more in flight than it may.
// S13. What a client was told is in the log, and a repeated request has one effect and one answer.
// S14. A read shows everything that anybody was told or shown before it began. (Whether the answers
//      also make sense together is checked on the history of all calls.)
// S15. A leader's commit index only stops at entries of its own term.                    (Figure 8)
// S16. What a leader counts as stored by a member that follows it is durable there.
//
// S12 and S16 need to see into the core: they are checked where the shell tells.
// S11 (membership) begins with membership change.

import type { NodeId } from "@lumeofs/base";
import type { Entry, HardState, LogIndex, SnapshotMeta, Term } from "../../src/raft/entry.js";
import type { PeerStatus, RaftMessage, RaftOptions } from "../../src/raft/message.js";
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

/** Where a member says that it stands. */
export interface Standing {
  readonly role: "follower" | "candidate" | "leader";
  readonly term: Term;
  readonly commit: LogIndex;
  readonly applied: LogIndex;
  /** Undefined: this shell does not tell. */
  readonly last: LogIndex | undefined;
  readonly peers?: readonly PeerStatus[];
}

/** How much a leader may have in flight to one member. */
export type FlightLimits = Pick<RaftOptions, "inFlightAppendsMax" | "inFlightBytesMax">;

interface Watched {
  readonly log: LogMedium;
  readonly state: StateMedium;
  /** Of the present run of the process; undefined before its first report. */
  standing: Standing | undefined;
  stateMark: LogIndex;
}

interface Committed {
  readonly term: Term;
  /** Whoever leads a later term than this must have it. */
  readonly knownIn: Term;
}

interface Applied {
  readonly entry: number;
  readonly digest: number;
  readonly by: NodeId;
}

interface Answered {
  readonly index: number;
  readonly reply: Uint8Array;
}

export class Checker {
  readonly #limits: FlightLimits;
  readonly #members = new Map<NodeId, Watched>();
  readonly #leaders = new Map<Term, NodeId>();
  /** By index, then term: hash of the entry and term of its predecessor. */
  readonly #entries: Map<Term, { readonly hash: number; readonly previous: Term }>[] = [];
  readonly #committed: (Committed | undefined)[] = [];
  readonly #applied: (Applied | undefined)[] = [];
  readonly #answered = new Map<string, Answered>();
  #known = 0;
  #truncations = 0;
  #installs = 0;
  #repeats = 0;

  constructor(limits: FlightLimits) {
    this.#limits = limits;
  }

  /** What happened often enough to mean that the checks had something to check. */
  get counts(): {
    readonly elections: number;
    readonly committed: number;
    readonly truncations: number;
    readonly installs: number;
    readonly repeats: number;
  } {
    return {
      elections: this.#leaders.size,
      committed: this.commit,
      truncations: this.#truncations,
      installs: this.#installs,
      repeats: this.#repeats,
    };
  }

  /** The last entry that anybody has called committed. */
  get commit(): number {
    return Math.max(0, this.#committed.length - 1);
  }

  /** Takes a member's media into view. */
  watch(name: NodeId, log: LogMedium, state: StateMedium): void {
    const watched: Watched = { log, state, standing: undefined, stateMark: state.mark.index };
    this.#members.set(name, watched);
    log.witness = this.#witness(name, watched);
  }

  /** A new run of the process begins. */
  restarted(name: NodeId): void {
    this.#member(name).standing = undefined;
  }

  /** After anything that may have changed a member. */
  observe(name: NodeId, now: Standing): void {
    const member = this.#member(name);
    const before = member.standing;
    if (before === undefined) must(member.log.hardState.term <= now.term, "S8", `${name}: term`);
    else this.#mustGoForward(name, before, now);
    must(now.applied <= now.commit, "S10", `${name} applied ${now.applied} > ${now.commit}`);
    const { last = now.commit } = now;
    must(now.commit <= last, "S10", `${name} committed ${now.commit} > ${last}`);
    this.#mustStandOnState(name, member);
    for (let i = this.#committed.length || 1; i <= now.commit; i++) this.#commitAt(i, name, now);
    if (now.role === "leader") {
      if (before?.role !== "leader" || before.term !== now.term) {
        this.#elected(name, member, now.term);
      } else if (before.commit < now.commit) {
        const isOwn = this.isCommitted(now.commit, now.term);
        must(isOwn, "S15", `${name} commits up to ${now.commit}, not of its term ${now.term}`);
      }
      for (const peer of now.peers ?? []) this.#mustFollow(name, member, now.term, peer);
    }
    member.standing = now;
  }

  /** A message leaves a member in this moment. */
  leaving(name: NodeId, to: NodeId, message: RaftMessage): void {
    const { log, state } = this.#member(name);
    const { hardState } = log;
    const promise = (isTrue: boolean): void => {
      const is = `term ${hardState.term}, vote ${hardState.votedFor}, last ${log.last}`;
      must(isTrue, "S9", `${name} sends ${JSON.stringify(message)} while ${is} are durable`);
    };
    // Writes that wait for the disk are joined: a message of an earlier term may leave when a later
    // term is durable too. It says nothing that could still be counted wrongly.
    if (message.term < hardState.term) return;
    switch (message.kind) {
      case "vote":
        if (message.pre) break;
        promise(hardState.term === message.term && hardState.votedFor === name);
        // Joined writes again: another leader of this term may have made it cut its log since. That
        // leader has its majority, so nobody counts this vote.
        if (this.#member(name).standing?.role === "follower") break;
        promise(message.lastIndex <= log.last);
        break;
      case "append":
      case "heartbeat":
        promise(hardState.term === message.term && hardState.votedFor === name);
        break;
      case "appendReply":
        promise(hardState.term === message.term);
        if (message.reply.kind === "matched") promise(message.reply.last <= log.last);
        break;
      case "voteReply":
        if (message.pre || !message.granted) break;
        promise(hardState.term === message.term && hardState.votedFor === to);
        break;
      case "snapshotReply":
        promise(message.index <= Math.max(state.mark.index, log.last));
        break;
      default:
        break;
    }
  }

  /** A member has applied an entry. `request`: the client's name for it, if it has one. */
  applied(
    name: NodeId,
    at: { readonly index: number; readonly data: Uint8Array; readonly digest: number },
    answer: { readonly request: string | undefined; readonly reply: Uint8Array },
  ): void {
    const { index, data, digest } = at;
    const entry = hashOf(data);
    const first = this.#applied[index];
    if (first === undefined) {
      this.#applied[index] = { entry, digest, by: name };
    } else {
      const where = `at ${index}, ${first.by} and ${name}`;
      must(first.entry === entry, "S5", `${where} applied different entries`);
      must(first.digest === digest, "S5", `${where} have different states`);
    }
    if (answer.request !== undefined) this.#answer(answer.request, index, answer.reply);
  }

  /** A client was told the outcome of this request. */
  told(request: string): void {
    const answered = this.#answered.get(request);
    must(answered !== undefined, "S13", `request ${request} was answered, not applied`);
    this.#known = Math.max(this.#known, answered.index);
  }

  isApplied(request: string): boolean {
    return this.#answered.has(request);
  }

  /** What some client knows of: a read that begins now must not be older. */
  get known(): number {
    return this.#known;
  }

  /** A client was shown the state as of this entry by a read that began when `known` was so. */
  shown(at: number, known: number): void {
    must(known <= at, "S14", `a read shows entry ${at}, ${known} was known before it began`);
    this.#known = Math.max(this.#known, at);
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
        must(member.standing?.role !== "leader", "S2", `${name} removes entries while it leads`);
        for (const { index, term } of entries) {
          const isKept = !this.isCommitted(index, term);
          must(isKept, "S6", `${name} removes the committed entry ${index} of term ${term}`);
        }
      },
      appended: (entries) => {
        for (const entry of entries) this.#mustMatch(name, member.log, entry);
      },
      restarted: (meta) => {
        this.#installs++;
        this.#mustCover(name, meta);
      },
    };
  }

  #mustMatch(name: NodeId, log: LogMedium, entry: Entry): void {
    const { index, term } = entry;
    const previous = log.termAt((index - 1) as LogIndex);
    const hash = hashOf(entry.data) ^ entry.kind.length;
    this.#entries[index] ??= new Map();
    const known = this.#entries[index].get(term);
    if (known === undefined) {
      this.#entries[index].set(term, { hash, previous });
      return;
    }
    must(known.hash === hash, "S3", `${name} has another entry ${index} of term ${term}`);
    must(known.previous === previous, "S3", `${name} has another entry before ${index}`);
  }

  /** A snapshot may only stand for what is committed. */
  #mustCover(name: NodeId, meta: SnapshotMeta): void {
    if (meta.index === 0) return;
    const isCommitted = this.isCommitted(meta.index, meta.term);
    must(isCommitted, "S6", `${name} begins behind ${meta.index} of term ${meta.term}`);
  }

  #mustGoForward(name: NodeId, before: Standing, now: Standing): void {
    for (const what of ["term", "commit", "applied"] as const) {
      const step = `${name}: ${what} goes from ${before[what]} to ${now[what]}`;
      must(before[what] <= now[what], "S8", step);
    }
  }

  #mustStandOnState(name: NodeId, member: Watched): void {
    const { index } = member.state.mark;
    must(member.stateMark <= index, "S8", `${name}: state goes back to ${index}`);
    member.stateMark = index;
    const base = member.log.first - 1;
    must(base <= index, "S10", `${name}: log begins behind ${base}, state stands at ${index}`);
  }

  #commitAt(index: number, by: NodeId, now: Standing): void {
    const counts = new Map<Term, number>();
    let covered = 0;
    for (const { log } of this.#members.values()) {
      const entry = log.entryAt(index);
      if (entry !== undefined) counts.set(entry.term, (counts.get(entry.term) ?? 0) + 1);
      else if (index < log.first) covered++;
    }
    const [best] = [...counts].sort((a, b) => b[1] - a[1]);
    const holders = covered + (best?.[1] ?? 0);
    const isOnMajority = best !== undefined && this.#members.size < 2 * holders;
    const where = `durable on ${holders} of ${this.#members.size}`;
    must(isOnMajority, "S7", `${by} has committed ${index} in term ${now.term}, ${where}`);
    this.#committed[index] = { term: best[0], knownIn: now.term };
  }

  #mustFollow(leader: NodeId, member: Watched, term: Term, peer: PeerStatus): void {
    const { log, state } = this.#member(peer.id);
    const { inFlightAppendsMax } = this.#limits;
    const count = peer.inFlightAppends;
    must(count <= inFlightAppendsMax, "S12", `${leader} has ${count} appends on the way`);
    // A member of another term may have changed its log for a later leader.
    if (log.hardState.term !== term || peer.match <= state.mark.index) return;
    const ours = member.log.entryAt(peer.match)?.term;
    const theirs = log.entryAt(peer.match)?.term;
    const isThere = theirs !== undefined && (ours === undefined || ours === theirs);
    must(isThere, "S16", `${leader} of term ${term} counts ${peer.match} as stored by ${peer.id}`);
  }

  #elected(name: NodeId, member: Watched, term: Term): void {
    const known = this.#leaders.get(term) ?? name;
    must(known === name, "S1", `${known} and ${name} both lead term ${term}`);
    this.#leaders.set(term, name);
    for (let index = member.log.first as number; index < this.#committed.length; index++) {
      const committed = this.#committed[index];
      if (committed === undefined || term <= committed.knownIn) continue;
      const isHeld = member.log.entryAt(index)?.term === committed.term;
      must(isHeld, "S4", `${name} leads term ${term} without the committed entry ${index}`);
    }
  }

  #answer(request: string, index: number, reply: Uint8Array): void {
    const known = this.#answered.get(request);
    if (known === undefined) {
      this.#answered.set(request, { index, reply });
      return;
    }
    if (known.index === index) return;
    this.#repeats++;
    const isSame =
      known.reply.byteLength === reply.byteLength && known.reply.every((b, i) => b === reply[i]);
    const where = `at ${known.index} and at ${index}`;
    must(isSame, "S13", `request ${request} was answered ${where}, differently`);
  }
}

function mustKeepVote(name: NodeId, before: HardState, after: HardState): void {
  const step = `${before.term}/${before.votedFor} to ${after.term}/${after.votedFor}`;
  must(before.term <= after.term, "S8", `${name}: term and vote go from ${step}`);
  const isKept =
    before.term < after.term || before.votedFor === undefined || before.votedFor === after.votedFor;
  must(isKept, "S8", `${name}: term and vote go from ${step}`);
}

function must(condition: boolean, property: string, what: string): asserts condition {
  if (!condition) throw new SafetyViolation(property, what);
}

function hashOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash ^ bytes.byteLength;
}
