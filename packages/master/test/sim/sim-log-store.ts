// The simulated log of a member: a medium that outlives crashes, and the LogStore that a process
// opens on it. What the store shows is what has landed on the medium, so checkers that look at the
// medium see what is durable, whatever anybody claims.

import { invariant, LumeoError } from "@lumeofs/base";
import type { Lifetime } from "@lumeofs/testkit";
import { takeEntries } from "../../src/consensus/entry-codec.js";
import { LogHistory } from "../../src/consensus/log-history.js";
import type { LogStore, LogWrite } from "../../src/consensus/log-store.js";
import {
  type Entry,
  type HardState,
  type LogIndex,
  logIndex,
  type Membership,
  type SnapshotMeta,
  type Term,
  term,
} from "../../src/raft/entry.js";
import type { SimIo } from "./sim-io.js";

/** Told of every change in the moment when it becomes durable, after it. */
export interface LogWitness {
  hardStateChanged(before: HardState, after: HardState): void;
  /** Gone from the end of the log, not by a snapshot. */
  removed(entries: readonly Entry[]): void;
  appended(entries: readonly Entry[]): void;
  /** The log begins anew behind this snapshot. */
  restarted(meta: SnapshotMeta): void;
}

/** What is durable of one member's log. */
export class LogMedium {
  witness: LogWitness | undefined;
  hardState: HardState = { term: term(0), votedFor: undefined };
  snapshot: SnapshotMeta;
  #first: LogIndex;
  #entries: Entry[] = [];
  #history: LogHistory;
  readonly #rotten = new Set<number>();

  constructor(founders: Membership) {
    this.snapshot = { index: logIndex(0), term: term(0), membership: founders };
    this.#first = logIndex(1);
    this.#history = new LogHistory(this.snapshot);
  }

  get first(): LogIndex {
    return this.#first;
  }

  get last(): LogIndex {
    return this.#history.last;
  }

  get bytes(): number {
    return this.#history.bytes;
  }

  termAt(index: LogIndex): Term {
    return this.#history.termAt(index);
  }

  membershipAt(index: LogIndex): Membership {
    return this.#history.membershipAt(index);
  }

  /** The bytes of an entry have changed on the disk: checksums tell whoever reads them. */
  rot(index: number): void {
    if (this.entryAt(index) !== undefined) this.#rotten.add(index);
  }

  /** Whether an entry in this range, both ends included, is damaged. */
  isRotten(from: number, to: number): boolean {
    for (const index of this.#rotten) if (from <= index && index <= to) return true;
    return false;
  }

  /** The membership in force at an index, and every later one. */
  membershipsSince(index: number): ReadonlySet<Membership> {
    const found = new Set<Membership>();
    const from = Math.min(Math.max(index, this.#first - 1), this.last);
    for (let at = from; at <= this.last; at++) found.add(this.membershipAt(logIndex(at)));
    return found;
  }

  /** Undefined below `first` and above `last`. */
  entryAt(index: number): Entry | undefined {
    return this.#entries[index - this.#first];
  }

  write({ hardState, truncateFrom, entries }: LogWrite): void {
    if (truncateFrom !== undefined && truncateFrom <= this.last) {
      const removed = this.#entries.splice(truncateFrom - this.#first);
      this.#heal((index) => truncateFrom <= index);
      this.#history.truncate(truncateFrom);
      this.witness?.removed(removed);
    }
    for (const entry of entries) {
      this.#history.append(entry);
      this.#entries.push(entry);
    }
    const before = this.hardState;
    if (hardState !== undefined) this.hardState = hardState;
    if (hardState !== undefined) this.witness?.hardStateChanged(before, hardState);
    if (0 < entries.length) this.witness?.appended(entries);
  }

  reset(meta: SnapshotMeta): void {
    this.snapshot = meta;
    this.#entries = [];
    this.#rotten.clear();
    this.#first = logIndex(meta.index + 1);
    this.#history = new LogHistory(meta);
    this.witness?.restarted(meta);
  }

  compact(meta: SnapshotMeta, upTo: LogIndex): void {
    this.snapshot = meta;
    this.#entries.splice(0, upTo + 1 - this.#first);
    this.#history.compact(upTo);
    this.#first = logIndex(upTo + 1);
    this.#heal((index) => index <= upTo);
  }

  /** What is no longer in the log is no longer damaged. */
  #heal(isGone: (index: number) => boolean): void {
    for (const index of this.#rotten) if (isGone(index)) this.#rotten.delete(index);
  }
}

/** LogStore of one run of the process. */
export class SimLogStore implements LogStore {
  #failure: unknown;
  #isWriting = false;
  #isClosed = false;
  readonly #medium: LogMedium;
  readonly #io: SimIo;
  readonly #lifetime: Lifetime;

  /** @throws LumeoError CORRUPT if an entry is damaged: then this log is never opened again. */
  constructor(medium: LogMedium, io: SimIo, lifetime: Lifetime) {
    if (medium.isRotten(medium.first, medium.last)) throw corrupt();
    this.#medium = medium;
    this.#io = io;
    this.#lifetime = lifetime;
  }

  get hardState(): HardState {
    return this.#medium.hardState;
  }

  get snapshot(): SnapshotMeta {
    return this.#medium.snapshot;
  }

  get first(): LogIndex {
    return this.#medium.first;
  }

  get last(): LogIndex {
    return this.#medium.last;
  }

  get bytes(): number {
    return this.#medium.bytes;
  }

  termAt(index: LogIndex): Term {
    invariant(this.first - 1 <= index && index <= this.last, "index outside of the log", { index });
    return this.#medium.termAt(index);
  }

  membershipAt(index: LogIndex): Membership {
    return this.#medium.membershipAt(index);
  }

  entries(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] {
    const { first, last } = this;
    const bounds = { from, to, first, last };
    invariant(first <= from && from <= to && to <= last, "entries outside of the log", bounds);
    if (this.#medium.isRotten(from, to)) throw corrupt();
    return takeEntries({ from, to }, bytesMax, (at) => this.#medium.entryAt(at) as Entry);
  }

  write(write: LogWrite): Promise<void> {
    const { truncateFrom } = write;
    invariant(truncateFrom === undefined || this.first <= truncateFrom, "truncates too much");
    return this.#call("write the log", () => this.#medium.write(write));
  }

  reset(meta: SnapshotMeta): Promise<void> {
    return this.#call("reset the log", () => this.#medium.reset(meta));
  }

  compact(meta: SnapshotMeta, upTo: LogIndex): Promise<void> {
    invariant(upTo <= meta.index && this.first - 1 <= upTo, "compaction out of range", { upTo });
    return this.#call("compact the log", () => this.#medium.compact(meta, upTo));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  async #call(what: string, land: () => void): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#isClosed) throw new LumeoError("CLOSED", `Cannot ${what}: it is closed`);
    invariant(!this.#isWriting, "calls of the log store overlap", { what });
    this.#isWriting = true;
    try {
      await this.#io.call(this.#lifetime, what, land);
    } catch (error) {
      this.#failure = error;
      throw error;
    } finally {
      this.#isWriting = false;
    }
  }
}

function corrupt(): LumeoError {
  return new LumeoError("CORRUPT", "Cannot read the log: an entry is damaged");
}
