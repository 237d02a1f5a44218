import { invariant } from "@lumeofs/base";
import type { Entry, LogIndex } from "../raft/entry.js";
import { encodedLength } from "./entry-codec.js";

/** What an entry takes in memory besides its bytes, roughly. */
const ENTRY_OVERHEAD_BYTES = 256;

/**
 * The newest entries of a log, in memory, so that sending and applying them reads no disk.
 *
 * R1. What is kept is one run of entries that ends with the log's last one.
 * R2. It takes at most `bytesMax` bytes of memory, or is a single entry.
 * R3. ends[i] is the memory of all entries up to entries[i], with those that were kept before. So
 *     many can be forgotten at once without looking at each.
 */
export class RecentEntries {
  readonly #bytesMax: number;
  #entries: Entry[] = [];
  /** Entries at the front of `#entries` that have been dropped; removed in bulk. */
  #dropped = 0;
  #ends: number[] = [];
  /** The end of the last one that has been dropped. */
  #droppedEnd = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  find(index: LogIndex): Entry | undefined {
    const oldest = this.#entries[this.#dropped];
    if (oldest === undefined || index < oldest.index) return undefined;
    return this.#entries[this.#dropped + index - oldest.index];
  }

  push(entry: Entry): void {
    const newest = this.#entries.at(-1);
    invariant(
      newest === undefined || newest.index + 1 === entry.index,
      "recent entries have a gap",
    );
    const end = (this.#ends.at(-1) ?? 0) + memoryBytes(entry);
    this.#entries.push(entry);
    this.#ends.push(end);
    while (this.#bytesMax < end - this.#droppedEnd && this.#dropped + 1 < this.#entries.length) {
      this.#dropUpTo(this.#dropped + 1);
    }
    this.#tidy();
  }

  /** Forgets entries from an index on. */
  truncate(from: LogIndex): void {
    const oldest = this.#entries[this.#dropped];
    if (oldest === undefined || from <= oldest.index) return this.clear();
    const kept = Math.min(this.#entries.length, this.#dropped + from - oldest.index);
    this.#entries.length = kept;
    this.#ends.length = kept;
  }

  /** Forgets entries up to an index. */
  compact(upTo: LogIndex): void {
    const oldest = this.#entries[this.#dropped];
    if (oldest === undefined || upTo < oldest.index) return;
    const count = upTo + 1 - oldest.index;
    if (this.#entries.length <= this.#dropped + count) return this.clear();
    this.#dropUpTo(this.#dropped + count);
    this.#tidy();
  }

  clear(): void {
    this.#entries = [];
    this.#dropped = 0;
    this.#ends = [];
    this.#droppedEnd = 0;
  }

  #dropUpTo(dropped: number): void {
    this.#dropped = dropped;
    this.#droppedEnd = this.#ends[dropped - 1] ?? this.#droppedEnd;
  }

  /** Dropped entries stay in the array until they are its larger half: each is moved O(1) times. */
  #tidy(): void {
    if (this.#entries.length < 2 * this.#dropped) {
      this.#entries = this.#entries.slice(this.#dropped);
      this.#ends = this.#ends.slice(this.#dropped);
      this.#dropped = 0;
    }
  }
}

function memoryBytes(entry: Entry): number {
  return encodedLength(entry) + ENTRY_OVERHEAD_BYTES;
}
