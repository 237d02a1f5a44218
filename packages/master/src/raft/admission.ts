// How much a leader takes in before it is committed. Without a majority nothing is committed, and a
// leader that went on accepting would fill its memory and everybody's disk.

import { type Entry, type LogIndex, logIndex } from "./entry.js";
import { entryBytes } from "./log.js";

/** The uncommitted bytes that a leader has accepted in its term. */
export class Admission {
  readonly #bytesMax: number;
  /** One element for each accepted proposal, oldest first. */
  readonly #accepted: { readonly last: LogIndex; readonly bytes: number }[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the entries in. False if they are too much; alone, any number of bytes passes. */
  admit(entries: readonly Entry[]): boolean {
    let bytes = 0;
    for (const entry of entries) bytes += entryBytes(entry);
    if (0 < this.#bytes && this.#bytesMax < this.#bytes + bytes) return false;
    this.#accepted.push({ last: entries.at(-1)?.index ?? logIndex(0), bytes });
    this.#bytes += bytes;
    return true;
  }

  /** Everything up to here is committed. */
  release(commit: LogIndex): void {
    let done = 0;
    for (const accepted of this.#accepted) {
      if (commit < accepted.last) break;
      this.#bytes -= accepted.bytes;
      done++;
    }
    this.#accepted.splice(0, done);
  }
}
