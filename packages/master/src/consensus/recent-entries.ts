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
 */
export class RecentEntries {
  readonly #bytesMax: number;
  #entries: Entry[] = [];
  /** Entries at the front of `#entries` that have been dropped; removed in bulk. */
  #dropped = 0;
  #bytes = 0;

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
    this.#entries.push(entry);
    this.#bytes += memoryBytes(entry);
    while (this.#bytesMax < this.#bytes && this.#dropped + 1 < this.#entries.length) this.#drop();
    this.#tidy();
  }

  /** Forgets entries from an index on. */
  truncate(from: LogIndex): void {
    for (let newest = this.#entries.at(-1); newest !== undefined; newest = this.#entries.at(-1)) {
      if (newest.index < from || this.#entries.length === this.#dropped) break;
      this.#bytes -= memoryBytes(newest);
      this.#entries.pop();
    }
    if (this.#entries.length === this.#dropped) this.clear();
  }

  /** Forgets entries up to an index. */
  compact(upTo: LogIndex): void {
    for (let oldest = this.#entries[this.#dropped]; oldest !== undefined; ) {
      if (upTo < oldest.index) break;
      this.#drop();
      oldest = this.#entries[this.#dropped];
    }
    this.#tidy();
  }

  clear(): void {
    this.#entries = [];
    this.#dropped = 0;
    this.#bytes = 0;
  }

  #drop(): void {
    const oldest = this.#entries[this.#dropped];
    invariant(oldest !== undefined, "nothing to drop");
    this.#bytes -= memoryBytes(oldest);
    this.#dropped += 1;
  }

  /** Dropped entries stay in the array until they are its larger half: each is moved O(1) times. */
  #tidy(): void {
    if (this.#entries.length < 2 * this.#dropped) {
      this.#entries = this.#entries.slice(this.#dropped);
      this.#dropped = 0;
    }
  }
}

function memoryBytes(entry: Entry): number {
  return encodedLength(entry) + ENTRY_OVERHEAD_BYTES;
}
