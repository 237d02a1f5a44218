import { compareBytes } from "@lumeofs/base";
import type { LevelPair, LevelScan } from "../consensus/level-database.js";
import type { Change } from "./overlay.js";

/** Pairs read from the database at a time. */
const PAGE_PAIRS_MAX = 1_000;

/**
 * What a range of the database looks like with changes laid over it.
 *
 * @param scan     The database's pairs of the range, in key order.
 * @param changes  Changes within the range, in key order.
 * @returns        The first `countMax` pairs, in key order.
 */
export async function mergedRange(
  scan: LevelScan,
  changes: readonly Change[],
  countMax: number,
): Promise<readonly LevelPair[]> {
  const pairs: LevelPair[] = [];
  let next = 0;
  const takeChangesBelow = (end: Uint8Array | undefined): void => {
    for (let change = changes[next]; change !== undefined; change = changes[next]) {
      const [key, value] = change;
      if (pairs.length === countMax) return;
      if (end !== undefined && compareBytes(end, key) <= 0) return;
      if (value !== undefined) pairs.push([key, value]);
      next += 1;
    }
  };
  while (pairs.length < countMax) {
    const page = await scan.next(Math.min(countMax - pairs.length, PAGE_PAIRS_MAX));
    for (const pair of page) {
      takeChangesBelow(pair[0]);
      if (pairs.length === countMax) break;
      const change = changes[next];
      // A changed key is taken from the changes, with those below the next key.
      if (change === undefined || compareBytes(change[0], pair[0]) !== 0) pairs.push(pair);
    }
    if (page.length === 0) {
      takeChangesBelow(undefined);
      break;
    }
  }
  return pairs;
}
