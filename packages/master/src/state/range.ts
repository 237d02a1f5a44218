import { compareBytes } from "@lumeofs/base";
import type { LevelPair, LevelScan } from "../consensus/level-database.js";
import type { Change } from "./overlay.js";

/** Pairs read from the database at a time. */
const PAGE_PAIRS_MAX = 1_000;

/** A range of the database with changes laid over it, in key order. */
export class MergedScan implements LevelScan {
  readonly #scan: LevelScan;
  readonly #changes: readonly Change[];
  #next = 0;
  #page: readonly LevelPair[] = [];
  #at = 0;

  /**
   * @param scan     The database's pairs of the range, in key order.
   * @param changes  Changes within the range, in key order.
   */
  constructor(scan: LevelScan, changes: readonly Change[]) {
    this.#scan = scan;
    this.#changes = changes;
  }

  /** The next `countMax` pairs; fewer at the end only. */
  async next(countMax: number): Promise<readonly LevelPair[]> {
    const pairs: LevelPair[] = [];
    while (pairs.length < countMax) {
      const pair = this.#page[this.#at];
      if (pair !== undefined) {
        this.#takeChanges(pairs, countMax, pair[0]);
        if (pairs.length === countMax) break;
        this.#at += 1;
        const change = this.#changes[this.#next];
        // A changed key is taken from the changes, with those below the next key.
        if (change === undefined || compareBytes(change[0], pair[0]) !== 0) pairs.push(pair);
        continue;
      }
      this.#page = await this.#scan.next(Math.min(countMax - pairs.length, PAGE_PAIRS_MAX));
      this.#at = 0;
      if (0 < this.#page.length) continue;
      this.#takeChanges(pairs, countMax, undefined);
      break;
    }
    return pairs;
  }

  close(): Promise<void> {
    return this.#scan.close();
  }

  /** Those below `end`, or all that are left. */
  #takeChanges(pairs: LevelPair[], countMax: number, end: Uint8Array | undefined): void {
    for (
      let change = this.#changes[this.#next];
      change !== undefined && pairs.length < countMax;
      change = this.#changes[this.#next]
    ) {
      const [key, value] = change;
      if (end !== undefined && compareBytes(end, key) <= 0) return;
      if (value !== undefined) pairs.push([key, value]);
      this.#next += 1;
    }
  }
}
