// Which names can be in the database, for directories that were made since it was opened. A create
// looks for a name that is not there, and a look into LevelDB that finds nothing costs as much as
// several that the overlays answer.
//
// N1. Inode numbers only grow, so all names of a directory with a number above the counter's value
//     at the beginning were written since: each of them was noted, and what was not noted is not
//     in the database.
// N2. Nothing is ever taken out: a name that is gone costs a look-up, and no more.
// N3. Above NAMES_MAX names all of it is forgotten, and begins again with the next directories.

import { hashBytes } from "@lumeofs/base";
import { entryParentOf } from "../metadata/keys.js";

/** Two bytes of memory for each: 8 MiB at most. */
const NAMES_MAX = 2 ** 22;
/** Of the first filter; each further one is twice as large. */
const FIRST_NAMES_MAX = 2 ** 14;
const BITS_PER_NAME = 16;
/** Bits of a filter that a name sets: some 2 of 1,000 names that are not there seem to be. */
const PROBES = 4;

export class FreshNames {
  /** Directories with greater numbers are known. */
  #known: number;
  #filters: Filter[] = [];
  #count = 0;

  /** @param lastInode  The greatest number that a directory in the database can have. */
  constructor(lastInode: number) {
    this.#known = lastInode;
  }

  /**
   * Notes that a pair goes into the database.
   *
   * @param lastInode  As above, as it will be then.
   */
  add(key: Uint8Array, lastInode: number): void {
    if (entryParentOf(key) <= this.#known) return;
    if (NAMES_MAX <= this.#count) {
      this.#filters = [];
      this.#count = 0;
      this.#known = lastInode; // (N3)
      return;
    }
    const hash = hashBytes(key);
    const newest = this.#filters.at(-1);
    if (newest !== undefined && !newest.isFull) newest.add(hash);
    else {
      const next = new Filter(newest === undefined ? FIRST_NAMES_MAX : 2 * newest.namesMax);
      next.add(hash);
      this.#filters.push(next);
    }
    this.#count++;
  }

  /** Whether a key has to be looked for in the database. */
  mayHold(key: Uint8Array, hash: number): boolean {
    if (entryParentOf(key) <= this.#known) return true;
    for (const filter of this.#filters) if (filter.mayHold(hash)) return true;
    return false;
  }
}

/** A Bloom filter of bounded size. */
class Filter {
  readonly namesMax: number;
  readonly #bits: Uint32Array;
  readonly #mask: number;
  #names = 0;

  constructor(namesMax: number) {
    this.namesMax = namesMax;
    this.#bits = new Uint32Array((namesMax * BITS_PER_NAME) / 32);
    this.#mask = namesMax * BITS_PER_NAME - 1;
  }

  get isFull(): boolean {
    return this.namesMax <= this.#names;
  }

  add(hash: number): void {
    this.#names++;
    const step = stepOf(hash);
    for (let i = 0, at = hash; i < PROBES; i++, at += step) {
      const bit = at & this.#mask;
      const word = bit >>> 5;
      this.#bits[word] = (this.#bits[word] as number) | (1 << (bit & 31));
    }
  }

  mayHold(hash: number): boolean {
    const step = stepOf(hash);
    for (let i = 0, at = hash; i < PROBES; i++, at += step) {
      const bit = at & this.#mask;
      if (((this.#bits[bit >>> 5] as number) & (1 << (bit & 31))) === 0) return false;
    }
    return true;
  }
}

/** A second hash from the first; odd, so that the probes of a name differ. */
function stepOf(hash: number): number {
  return (Math.imul(hash ^ (hash >>> 13), 0x5bd1e995) >>> 7) | 1;
}
