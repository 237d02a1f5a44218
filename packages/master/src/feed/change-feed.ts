// The changes of the namespace as a stream, out of the state that this master has applied: first
// pages of the past, then what comes, as it is applied.
//
// C1. A reader gets every change behind its position that it asked for, once and in order, or an
//     error: the state holds the changes, so nobody can read past one.
// C2. A slow reader costs nothing: between two pages only its position is kept.
// C3. What was read is told without changes too, so that one who comes back does not scan again
//     what was never for him.
// C4. A master that has lost the group does not keep readers waiting for what others have.

import { type Alarm, Budget, LumeoError, type Timers } from "@lumeofs/base";
import type { ReplicationStatus } from "../consensus/replication.js";
import { type ChangeKind, changeFloor, changesPage, type FeedChange } from "../metadata/changes.js";
import { quoted } from "../metadata/command.js";
import type { Path } from "../metadata/path.js";
import type { StateReader } from "../metadata/state.js";
import { type Interest, interestedIn } from "./interest.js";

/** Followers of one master at once. */
export const FOLLOWERS_MAX = 1_024;
/** Changes read at once: with the longest paths they still fit a message. */
const PAGE_CHANGES = 512;
/** Entries that are applied within this go into one page: a page costs more than a change. */
const GATHER_MS = 5;
/** How often a follower hears how far the feed has come, and the group is looked at. */
const PULSE_MS = 1_000;
/** Pulses without a leader, or without what the follower has already seen elsewhere. */
const LOST_PULSES_MAX = 5;
/** Behind every change of a revision. */
const ALL = 0xffff;

export interface FeedRequest {
  readonly prefix: Path;
  /** Changes behind this revision; "now" is what this master has applied. */
  readonly since: number | "now";
  /** Undefined: all. */
  readonly kinds: ReadonlySet<ChangeKind> | undefined;
}

/** Some changes, and up to where all have been given out. */
export interface FeedPage {
  readonly changes: readonly FeedChange[];
  readonly revision: number;
}

/** The state as this master has it. */
export interface AppliedState {
  readonly applied: number;
  readonly reader: StateReader;
  /** Calls `listener` after each batch of entries. Returns the way to stop listening. */
  onApplied(listener: () => void): () => void;
}

export interface FeedPorts {
  readonly state: AppliedState;
  readonly status: () => ReplicationStatus;
  readonly timers: Timers;
}

export class ChangeFeed {
  readonly #ports: FeedPorts;
  readonly #places = new Budget(FOLLOWERS_MAX);

  constructor(ports: FeedPorts) {
    this.#ports = ports;
  }

  /**
   * Follows the feed until the signal aborts; then it ends without an error. The first page comes
   * at once and may be empty: it says where the feed begins.
   *
   * @throws GONE              `since` lies before what is kept.
   * @throws INVALID_ARGUMENT  `since` lies in the future.
   * @throws UNAVAILABLE       This master is behind `since`, or has lost the group: ask another.
   * @throws OVERLOADED        Too many follow already.
   */
  async *follow(
    request: FeedRequest,
    signal: AbortSignal,
  ): AsyncGenerator<FeedPage, void, undefined> {
    const place = this.#places.tryTake(1);
    if (place === undefined) throw tooMany();
    const news = new News(this.#ports, signal);
    try {
      const begin = request.since === "now" ? this.#ports.state.applied : request.since;
      await this.#reach(begin, news);
      if (!signal.aborted) yield* this.#read(request, begin, news);
    } finally {
      news.stop();
      place.release();
    }
  }

  async *#read(
    request: FeedRequest,
    begin: number,
    news: News,
  ): AsyncGenerator<FeedPage, void, undefined> {
    const { state } = this.#ports;
    const interest: Interest = request;
    let after = { revision: begin, sequence: ALL };
    let told = -1;
    while (!news.isOver) {
      // Floor, applied index and range are taken in one turn: they belong together.
      checkFloor(request.prefix, after.revision, changeFloor(state.reader));
      const { applied } = state;
      const isPulse = news.takePulse();
      const page = await changesPage(state.reader, after, PAGE_CHANGES);
      const last = page.at(-1);
      const isEnd = page.length < PAGE_CHANGES || last === undefined;
      // A full page may end within a revision: that one is not complete yet.
      const revision = isEnd ? applied : last.revision - 1;
      after = isEnd ? { revision, sequence: ALL } : last;
      const changes = page.filter(({ change }) => interestedIn(interest, change));
      if (0 < changes.length || told === -1 || (isPulse && told < revision)) {
        yield { changes, revision };
        told = revision;
      }
      if (isEnd) await this.#pause(revision, news);
    }
  }

  /** Waits for more to read, or for the next pulse. */
  async #pause(read: number, news: News): Promise<void> {
    while (!news.isOver && this.#ports.state.applied <= read && !news.hasPulse) {
      await news.next();
      if (LOST_PULSES_MAX <= news.lostPulses) throw lostGroup();
    }
  }

  /** Waits until this master has what the follower has seen already. */
  async #reach(revision: number, news: News): Promise<void> {
    let pulses = 0;
    while (!news.isOver && this.#ports.state.applied < revision) {
      const { applied } = this.#ports.state;
      const { role, commit } = this.#ports.status();
      if (LOST_PULSES_MAX <= pulses) {
        if (role === "leader" && commit <= applied) throw inFuture(revision, applied);
        throw behind(revision, applied);
      }
      await news.next();
      if (news.takePulse()) pulses++;
    }
  }
}

/** Wakes one follower: after applies, gathered for a moment, and at every pulse. */
class News {
  readonly #ports: FeedPorts;
  readonly #signal: AbortSignal;
  readonly #pulse: Alarm;
  readonly #stopListening: () => void;
  #gathering: Alarm | undefined;
  /** Applied at the last pulse. */
  #applied = 0;
  #lostPulses = 0;
  #hasPulse = false;
  #isFresh = false;
  #wake: () => void = () => {};

  constructor(ports: FeedPorts, signal: AbortSignal) {
    this.#ports = ports;
    this.#signal = signal;
    this.#stopListening = ports.state.onApplied(() => this.#gather());
    this.#pulse = ports.timers.every(PULSE_MS, () => this.#beat());
    signal.addEventListener("abort", this.#ring, { once: true });
  }

  get isOver(): boolean {
    return this.#signal.aborted;
  }

  /** Pulses in a row in which this master had no leader, or did not apply what is committed. */
  get lostPulses(): number {
    return this.#lostPulses;
  }

  get hasPulse(): boolean {
    return this.#hasPulse;
  }

  takePulse(): boolean {
    const had = this.#hasPulse;
    this.#hasPulse = false;
    return had;
  }

  /** Resolves at the next news, at once if some came since the last call. */
  async next(): Promise<void> {
    if (!this.#isFresh && !this.isOver) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#isFresh = false;
  }

  stop(): void {
    this.#stopListening();
    this.#pulse.cancel();
    this.#gathering?.cancel();
    this.#signal.removeEventListener("abort", this.#ring);
  }

  #beat(): void {
    const { leader, commit } = this.#ports.status();
    const { applied } = this.#ports.state;
    const isStuck = applied < commit && applied === this.#applied;
    this.#lostPulses = leader === undefined || isStuck ? this.#lostPulses + 1 : 0;
    this.#applied = applied;
    this.#hasPulse = true;
    this.#ring();
  }

  #gather(): void {
    this.#gathering ??= this.#ports.timers.after(GATHER_MS, () => {
      this.#gathering = undefined;
      this.#ring();
    });
  }

  readonly #ring = (): void => {
    this.#isFresh = true;
    this.#wake();
  };
}

function checkFloor(prefix: Path, since: number, floor: number): void {
  if (floor <= since) return;
  throw new LumeoError(
    "GONE",
    `Cannot watch ${quoted(prefix.text)} after revision ${since}: the changes up to revision ` +
      `${floor} are no longer kept; watch from now on and list again`,
  );
}

function inFuture(since: number, applied: number): LumeoError {
  const what = `Cannot watch after revision ${since}`;
  return new LumeoError("INVALID_ARGUMENT", `${what}: the newest revision is ${applied}`);
}

function behind(since: number, applied: number): LumeoError {
  const what = `Cannot watch after revision ${since}`;
  return new LumeoError("UNAVAILABLE", `${what}: this master is at ${applied}; ask another one`);
}

function lostGroup(): LumeoError {
  const why = "this master has lost the leader, or does not get on";
  return new LumeoError("UNAVAILABLE", `Cannot go on watching: ${why}; ask another one`);
}

function tooMany(): LumeoError {
  const why = `${FOLLOWERS_MAX} watch at this master already`;
  return new LumeoError("OVERLOADED", `Cannot watch: ${why}; ask another one`);
}
