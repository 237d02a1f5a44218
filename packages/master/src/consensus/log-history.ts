// What a log store keeps in memory about every entry of its log, however long ago it was written:
// its size, the terms, and who took part. Terms and members change rarely, so a list of changes
// answers for any index.
//
// H1. Each list of changes is in rising order of `from`; its first stands for the base of the log.
// H2. Nothing is forgotten that an index from the base on still needs.
// H3. Nothing walks all entries: a log has 100,000 of them, and where thousands are forgotten at
//     once that would be the longest pause of the whole process.
// H4. ends[i] belongs to the entry at first + i: the bytes of all entries up to its end, counted
//     from some place before the base. first is at most base + 1.

import { invariant } from "@lumeofs/base";
import { type Entry, type LogIndex, logIndex, type Membership, type Term } from "../raft/entry.js";
import { decodeMembership } from "../raft/membership-codec.js";
import { encodedLength } from "./entry-codec.js";

interface Change<T> {
  readonly from: LogIndex;
  readonly value: T;
}

/** Where a log begins: the last entry that is gone, and who took part then. */
export interface LogBase {
  readonly index: LogIndex;
  readonly term: Term;
  readonly membership: Membership;
}

/** Sizes, terms and memberships of a log, by index. */
export class LogHistory {
  #base: LogIndex;
  #terms: Change<Term>[];
  #memberships: Change<Membership>[];
  #ends: number[] = [];
  #first: number;
  /** Where the entry at the base ends. */
  #baseEnd = 0;

  constructor(base: LogBase) {
    this.#base = base.index;
    this.#first = base.index + 1;
    this.#terms = [{ from: base.index, value: base.term }];
    this.#memberships = [{ from: base.index, value: base.membership }];
  }

  /** The last entry that is gone. */
  get base(): LogIndex {
    return this.#base;
  }

  get last(): LogIndex {
    return logIndex(this.#first + this.#ends.length - 1);
  }

  get bytes(): number {
    return this.#end - this.#baseEnd;
  }

  /** Term of the entry at an index from the base to the end. */
  termAt(index: LogIndex): Term {
    return last(this.#terms, index);
  }

  membershipAt(index: LogIndex): Membership {
    return last(this.#memberships, index);
  }

  append(entry: Entry): void {
    const { index, term, kind, data } = entry;
    invariant(index === this.last + 1, "log has a gap", { index, last: this.last });
    invariant(this.termAt(this.last) <= term, "terms go down", { index, term });
    this.#ends.push(this.#end + encodedLength(entry));
    if (this.#terms.at(-1)?.value !== term) this.#terms.push({ from: index, value: term });
    if (kind === "membership") {
      this.#memberships.push({ from: index, value: decodeMembership(data) });
    }
  }

  /** Forgets entries from an index on, which may lie behind the end. */
  truncate(from: LogIndex): void {
    invariant(this.#base < from, "truncation reaches before the log", { from, base: this.#base });
    this.#ends.length = Math.min(this.#ends.length, from - this.#first);
    this.#terms = this.#terms.filter((change) => change.from < from);
    this.#memberships = this.#memberships.filter((change) => change.from < from);
  }

  /** Moves the base up. */
  compact(upTo: LogIndex): void {
    invariant(upTo <= this.last, "compaction reaches behind the log", { upTo, last: this.last });
    this.#baseEnd = this.#ends[upTo - this.#first] ?? this.#baseEnd;
    this.#base = upTo;
    const gone = upTo + 1 - this.#first;
    // They stay until they are the larger half: each is moved O(1) times.
    if (this.#ends.length < 2 * gone) {
      this.#ends = this.#ends.slice(gone);
      this.#first = upTo + 1;
    }
    this.#terms = behind(this.#terms, upTo);
    this.#memberships = behind(this.#memberships, upTo);
  }

  /** Where the last entry ends. */
  get #end(): number {
    return this.#ends.at(-1) ?? this.#baseEnd;
  }
}

/** Logs have few changes, and the newest are asked for most: a walk from the end finds them. */
function last<T>(changes: readonly Change<T>[], index: LogIndex): T {
  for (let i = changes.length - 1; 0 <= i; i--) {
    const change = changes[i] as Change<T>;
    if (change.from <= index) return change.value;
  }
  invariant(false, "index lies before the log", { index, first: changes[0]?.from });
}

function behind<T>(changes: readonly Change<T>[], base: LogIndex): Change<T>[] {
  const later = changes.filter((change) => base < change.from);
  return [{ from: base, value: last(changes, base) }, ...later];
}
