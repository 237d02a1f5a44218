// What the changes of a write-ahead log add up to, when the log is opened.
//
// Y1. The oldest segments may be gone. Until the entries that are there reach down to where the log
//     is said to begin, they are only kept: a later change says that it begins further up (L5 of
//     wal-log-store.ts), or the log is not whole.
// Y2. The entries that are left follow each other without a gap, and their terms do not go down.

import { invariant, LumeoError, type NodeId, type WalPlace } from "@lumeofs/base";
import { type Entry, type HardState, type LogIndex, logIndex, term } from "../raft/entry.js";
import { type EntryGroup, groupsBefore, groupsBehind } from "./entry-groups.js";
import { LogHistory } from "./log-history.js";
import type { LogHead } from "./log-records.js";
import type { RecentEntries } from "./recent-entries.js";
import type { LogChange } from "./wal-log-records.js";

export class ReplayedLog {
  readonly recent: RecentEntries;
  groups: EntryGroup[] = [];
  #head: LogHead | undefined;
  #history: LogHistory | undefined;
  #hardState: HardState = { term: term(0), votedFor: undefined };
  /** Entries that do not reach down to where the log begins, as far as it is known (Y1). */
  #early: Entry[] = [];
  #isEmpty = true;

  constructor(recent: RecentEntries) {
    this.recent = recent;
  }

  /** No change was there. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  get head(): LogHead {
    invariant(this.#head !== undefined, "a replayed log was not checked");
    return this.#head;
  }

  get history(): LogHistory {
    invariant(this.#history !== undefined, "a replayed log was not checked");
    return this.#history;
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  /** @throws LumeoError CORRUPT if the change does not fit those before. */
  take(change: LogChange, places: readonly WalPlace[]): void {
    this.#isEmpty = false;
    if (change.hardState.term < this.#hardState.term) throw corrupt("the term goes down");
    this.#hardState = change.hardState;
    switch (change.kind) {
      case "write":
        return this.#write(change, places);
      case "begin":
        this.#early = [];
        this.groups = [];
        this.recent.clear();
        this.#head = change.head;
        this.#history = new LogHistory(change.head.base);
        return;
      case "compact":
        return this.#compact(change.head);
      case "seal":
        return;
    }
  }

  /** @throws LumeoError CORRUPT if this is not the whole log of `node`. */
  check(node: NodeId): void {
    if (this.#head === undefined) throw corrupt("it does not say where it begins");
    if (this.#history === undefined) this.#settle(this.#head);
    const owner = this.#head.node;
    if (owner !== node) throw corrupt(`it belongs to member "${owner}", not to "${node}"`);
  }

  #write(
    { truncateFrom, entries }: Extract<LogChange, { kind: "write" }>,
    places: readonly WalPlace[],
  ): void {
    if (truncateFrom !== undefined) this.#truncate(truncateFrom);
    for (const entry of entries) this.#append(entry);
    const [first] = entries;
    if (first !== undefined) this.groups.push({ first: first.index, places });
  }

  #truncate(cut: LogIndex): void {
    this.groups = groupsBefore(this.groups, cut);
    if (this.#history === undefined) {
      this.#early = this.#early.filter((entry) => entry.index < cut);
      return;
    }
    if (cut <= this.#history.base) throw corrupt(`entry ${cut} was taken back too late`);
    this.#history.truncate(cut);
    this.recent.truncate(cut);
  }

  #append(entry: Entry): void {
    if (this.#history === undefined) {
      const last = this.#early.at(-1);
      if (last !== undefined && last.index + 1 !== entry.index) throw missing(last.index + 1);
      this.#early.push(entry);
      return;
    }
    if (entry.index !== this.#history.last + 1) throw missing(this.#history.last + 1);
    if (entry.term < this.#history.termAt(this.#history.last)) {
      throw corrupt(`the term of entry ${entry.index} goes down`);
    }
    this.#history.append(entry);
    this.recent.push(entry);
  }

  #compact(head: LogHead): void {
    this.#head = head;
    const { base } = head;
    if (this.#history !== undefined) {
      if (base.index < this.#history.base || this.#history.last < base.index) {
        throw missing(this.#history.last + 1);
      }
      this.#history.compact(base.index);
      this.recent.compact(base.index);
      this.groups = groupsBehind(this.groups, base.index, this.#history.last);
      return;
    }
    this.#early = this.#early.filter((entry) => base.index < entry.index);
    if (this.#early[0]?.index === base.index + 1) this.#settle(head);
  }

  /** The entries that are there are all that the log has. */
  #settle({ base }: LogHead): void {
    const early = this.#early;
    this.#early = [];
    this.#history = new LogHistory(base);
    for (const entry of early) this.#append(entry);
    this.groups = groupsBehind(this.groups, base.index, this.#history.last);
  }
}

function missing(index: number): LumeoError {
  return corrupt(`entry ${logIndex(index)} is missing`);
}

function corrupt(why: string): LumeoError {
  return new LumeoError("CORRUPT", why);
}
