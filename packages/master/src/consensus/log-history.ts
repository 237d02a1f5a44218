// What a log store keeps in memory about every entry of its log, however long ago it was written:
// its size, the terms, and who took part. Terms and members change rarely, so a list of changes
// answers for any index.
//
// H1. Each list of changes is in rising order of `from`; its first stands for the base of the log.
// H2. Nothing is forgotten that an index from the base on still needs.
// H3. sizes[i] belongs to the entry at base + 1 + i, and `bytes` is their sum.

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
  #sizes: number[] = [];
  #bytes = 0;

  constructor(base: LogBase) {
    this.#base = base.index;
    this.#terms = [{ from: base.index, value: base.term }];
    this.#memberships = [{ from: base.index, value: base.membership }];
  }

  /** The last entry that is gone. */
  get base(): LogIndex {
    return this.#base;
  }

  get last(): LogIndex {
    return logIndex(this.#base + this.#sizes.length);
  }

  get bytes(): number {
    return this.#bytes;
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
    this.#sizes.push(encodedLength(entry));
    this.#bytes += encodedLength(entry);
    if (this.#terms.at(-1)?.value !== term) this.#terms.push({ from: index, value: term });
    if (kind === "membership") {
      this.#memberships.push({ from: index, value: decodeMembership(data) });
    }
  }

  /** Forgets entries from an index on, which may lie behind the end. */
  truncate(from: LogIndex): void {
    invariant(this.#base < from, "truncation reaches before the log", { from, base: this.#base });
    this.#forget(this.#sizes.splice(from - this.#base - 1));
    this.#terms = this.#terms.filter((change) => change.from < from);
    this.#memberships = this.#memberships.filter((change) => change.from < from);
  }

  /** Moves the base up. */
  compact(upTo: LogIndex): void {
    invariant(upTo <= this.last, "compaction reaches behind the log", { upTo, last: this.last });
    this.#forget(this.#sizes.splice(0, upTo - this.#base));
    this.#base = upTo;
    this.#terms = behind(this.#terms, upTo);
    this.#memberships = behind(this.#memberships, upTo);
  }

  #forget(sizes: readonly number[]): void {
    for (const size of sizes) this.#bytes -= size;
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
