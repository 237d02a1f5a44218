import type { LevelPair, LevelScan } from "../consensus/level-database.js";
import { type Change, keyOf, nameOf } from "./overlay.js";

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
  const takeChangesBelow = (name: string | undefined): void => {
    for (let change = changes[next]; change !== undefined; change = changes[next]) {
      if (pairs.length === countMax || (name !== undefined && name <= change[0])) return;
      if (change[1] !== undefined) pairs.push([keyOf(change[0]), change[1]]);
      next += 1;
    }
  };
  while (pairs.length < countMax) {
    const page = await scan.next(Math.min(countMax - pairs.length, PAGE_PAIRS_MAX));
    for (const pair of page) {
      const name = nameOf(pair[0]);
      takeChangesBelow(name);
      // A changed key is taken from the changes, with those below the next key.
      if (pairs.length < countMax && changes[next]?.[0] !== name) pairs.push(pair);
    }
    if (page.length === 0) {
      takeChangesBelow(undefined);
      break;
    }
  }
  return pairs;
}
