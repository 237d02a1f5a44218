// The log as the rules of Raft see it: one sequence of entries, whatever is on disk and whatever is
// still on its way there.                                                                 Raft §5.3
//
// Newer entries stand in memory: all that may not be durable, and as many others as fit into the
// cache, so that sending and applying recent entries reads nothing back. Older ones are read from
// the durable log. A write goes through three cursors:
//
//        first            durable          handed             last
//   ──────┴────────────────┴────────────────┴──────────────────┴──►
//          on disk           being written      appended in this step
//
// L1. durable <= handed <= last, and first - 1 <= durable.
// L2. recent[i] has log index offset + i; every entry above `durable` is in memory.
// L3. Only entries below `offset` are read from the durable log. They are durable and no write
//     under way changes them, so what is read is what the rules of Raft have decided.
// L4. An entry counts as durable when the LAST write that carried its index is durable. When a
//     suffix is overwritten while an earlier write of it is under way, that earlier write vouches
//     only for what lies before the overwritten part. So it does not matter whether an overwritten
//     suffix is later written back with the same terms (the ABA race of asynchronous writes).
// L5. Terms never fall from one entry to the next.

import { invariant, MiB } from "@lumeofs/base";
import { type Entry, type LogIndex, logIndex, type Term } from "./entry.js";
import type { LogReader } from "./message.js";

/** Entries known to be durable are forgotten beyond this many bytes and read back when needed. */
const CACHE_BYTES_MAX = 16 * MiB;
/** What an entry costs besides its data: object, index and term, framing on the wire. */
export const ENTRY_OVERHEAD_BYTES = 64;
/** Forgotten entries are cut off the front of the array when at least so many have gathered. */
const CUT_COUNT_MIN = 1024;

/** What is to be written next: cut off from `truncateFrom`, then add `entries`. */
export interface LogChange {
  readonly truncateFrom: LogIndex | undefined;
  readonly entries: readonly Entry[];
}

/** Bytes that an entry takes from any limit on bytes. */
export function entryBytes(entry: Entry): number {
  return entry.data.byteLength + ENTRY_OVERHEAD_BYTES;
}

/** A write under way and the last entry that is durable once it is. */
interface PendingWrite {
  readonly write: number;
  upTo: LogIndex;
}

export class RaftLog {
  readonly #reader: LogReader;
  /** Where the log begins behind since the last `restart`; 0 before: then the reader knows. */
  #floor: { readonly index: LogIndex; readonly term: Term } | undefined;
  /** Entries from `#offset` on; the first `#cut` places are already forgotten. */
  #recent: Entry[] = [];
  #cut = 0;
  #recentBytes = 0;
  #offset: LogIndex;
  #durable: LogIndex;
  #handed: LogIndex;
  #last: LogIndex;
  #truncateFrom: LogIndex | undefined;
  #pending: PendingWrite[] = [];

  constructor(reader: LogReader) {
    this.#reader = reader;
    this.#durable = this.#handed = this.#last = reader.last;
    this.#offset = logIndex(reader.last + 1);
  }

  /** The oldest entry that can be read; `last + 1` if there is none. */
  get first(): LogIndex {
    const { first } = this.#reader;
    if (this.#floor === undefined) return first;
    return logIndex(Math.max(first, this.#floor.index + 1));
  }

  get last(): LogIndex {
    return this.#last;
  }

  get lastTerm(): Term {
    return this.termAt(this.#last);
  }

  /** The last entry of this log that a crash of this member does not lose. */
  get durable(): LogIndex {
    return this.#durable;
  }

  /** @param index From `first - 1` to `last`. */
  termAt(index: LogIndex): Term {
    invariant(this.first - 1 <= index && index <= this.#last, "no term is known for this index", {
      index,
      first: this.first,
      last: this.#last,
    });
    if (this.#offset <= index) return this.#inMemory(index).term;
    if (this.#floor?.index === index) return this.#floor.term;
    return this.#reader.termAt(index);
  }

  /** Whether the log has an entry with this index and term: then all before it agree too (§5.3). */
  matches(index: LogIndex, term: Term): boolean {
    return this.first - 1 <= index && index <= this.#last && this.termAt(index) === term;
  }

  /** Whether a log that ends like this holds at least as much as ours. (§5.4.1) */
  isUpToDate(lastIndex: LogIndex, lastTerm: Term): boolean {
    const ours = this.lastTerm;
    return ours < lastTerm || (ours === lastTerm && this.#last <= lastIndex);
  }

  /**
   * The last index from `low` to `high` whose term is at most `termMax`; `low` if there is none.
   *
   * Terms never fall (L5), so halving finds it.
   */
  lastWithTermAtMost(termMax: Term, low: LogIndex, high: LogIndex): LogIndex {
    let [found, above] = [low as number, high + 1];
    while (1 < above - found) {
      const middle = Math.floor((found + above) / 2);
      if (this.termAt(logIndex(middle)) <= termMax) found = middle;
      else above = middle;
    }
    return logIndex(found);
  }

  /** Entries from `from` on: at least one, up to `to` or `bytesMax`, or fewer. */
  slice(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] {
    invariant(this.first <= from && from <= to && to <= this.#last, "slice outside the log", {
      from,
      to,
      first: this.first,
      last: this.#last,
    });
    if (from < this.#offset) {
      const end = logIndex(Math.min(to, this.#offset - 1));
      const read = this.#reader.entries(from, end, bytesMax);
      invariant(read[0]?.index === from, "the durable log returned another entry", { from });
      return read;
    }
    const start = from - this.#offset + this.#cut;
    const endMax = to - this.#offset + this.#cut + 1;
    let end = start;
    for (let bytes = 0; end < endMax; end++) {
      const entry = this.#recent[end];
      invariant(entry !== undefined, "an entry is missing in memory", { from, to });
      bytes += entryBytes(entry);
      if (bytesMax < bytes && start < end) break;
    }
    return this.#recent.slice(start, end);
  }

  /** Adds entries behind the last one. */
  append(entries: readonly Entry[]): void {
    let lastTerm = this.lastTerm;
    for (const entry of entries) {
      invariant(entry.index === this.#last + 1, "entries with a gap", {
        index: entry.index,
        last: this.#last,
      });
      invariant(lastTerm <= entry.term, "terms fall", { index: entry.index, term: entry.term });
      this.#recent.push(entry);
      this.#recentBytes += entryBytes(entry);
      this.#last = entry.index;
      lastTerm = entry.term;
    }
  }

  /** Drops the entry at `from` and all behind it. Whoever calls knows that none is committed. */
  truncate(from: LogIndex): void {
    invariant(this.first <= from && from <= this.#last, "truncation outside the log", {
      from,
      last: this.#last,
    });
    const before = logIndex(from - 1);
    if (this.#offset < from) this.#keepInMemory(from - this.#offset);
    else {
      this.#keepInMemory(0);
      this.#offset = from;
    }
    this.#last = before;
    if (before < this.#handed) {
      this.#truncateFrom = logIndex(Math.min(from, this.#truncateFrom ?? from));
      this.#handed = before;
    }
    this.#durable = logIndex(Math.min(this.#durable, before));
    for (const pending of this.#pending) pending.upTo = logIndex(Math.min(pending.upTo, before));
  }

  /** Begins anew behind a snapshot: nothing that was in the log before counts any more. */
  restart(index: LogIndex, term: Term): void {
    this.#keepInMemory(0);
    this.#floor = { index, term };
    this.#offset = logIndex(index + 1);
    this.#durable = this.#handed = this.#last = index;
    this.#truncateFrom = undefined;
    // What was being written is dropped right after by the installation, which comes behind it.
    for (const pending of this.#pending) pending.upTo = logIndex(0);
  }

  /** What has changed since the last call, to be written under this number. */
  hand(write: number): LogChange {
    const entries =
      this.#handed < this.#last
        ? this.#recent.slice(this.#handed + 1 - this.#offset + this.#cut)
        : [];
    const change = { truncateFrom: this.#truncateFrom, entries };
    this.#handed = this.#last;
    this.#truncateFrom = undefined;
    this.#pending.push({ write, upTo: this.#last });
    return change;
  }

  get hasChanged(): boolean {
    return this.#truncateFrom !== undefined || this.#handed < this.#last;
  }

  /** The write with this number, and all before it, is durable. Tells it again without harm. */
  persisted(write: number): void {
    let done = 0;
    for (const pending of this.#pending) {
      if (write < pending.write) break;
      this.#durable = logIndex(Math.max(this.#durable, pending.upTo));
      done++;
    }
    this.#pending.splice(0, done);
    this.#forget();
  }

  /** Cuts memory down to the cache, from the oldest durable entry on. */
  #forget(): void {
    while (CACHE_BYTES_MAX < this.#recentBytes && this.#offset <= this.#durable) {
      this.#recentBytes -= entryBytes(this.#inMemory(this.#offset));
      this.#cut++;
      this.#offset = logIndex(this.#offset + 1);
    }
    // Moving the rest down costs as much as it holds, so it waits until half is garbage.
    if (CUT_COUNT_MIN <= this.#cut && this.#recent.length <= 2 * this.#cut) {
      this.#recent = this.#recent.slice(this.#cut);
      this.#cut = 0;
    }
  }

  /** Keeps the first `count` entries in memory and drops the rest. */
  #keepInMemory(count: number): void {
    for (let i = this.#cut + count; i < this.#recent.length; i++) {
      const entry = this.#recent[i];
      if (entry !== undefined) this.#recentBytes -= entryBytes(entry);
    }
    this.#recent.length = this.#cut + count;
  }

  #inMemory(index: LogIndex): Entry {
    const entry = this.#recent[index - this.#offset + this.#cut];
    invariant(entry?.index === index, "an entry is missing in memory", { index });
    return entry;
  }
}
