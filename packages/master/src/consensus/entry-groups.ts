// Which group of records of a write-ahead log holds which entries. Groups are in rising order of
// their first entries; of a group whose end was taken back, the next one begins before that end.

import { invariant, type WalPlace } from "@lumeofs/base";
import type { LogIndex } from "../raft/entry.js";

/** Where a group of entries stands. */
export interface EntryGroup {
  readonly first: LogIndex;
  readonly places: readonly WalPlace[];
}

/** The last group that begins at or before an index. */
export function findGroup(groups: readonly EntryGroup[], index: LogIndex): EntryGroup {
  const found = groups[countUpTo(groups, index) - 1];
  invariant(found !== undefined, "an entry of the log lies in no group", { index });
  return found;
}

/** Groups that hold entries below `cut`. */
export function groupsBefore(groups: readonly EntryGroup[], cut: LogIndex): EntryGroup[] {
  let count = groups.length;
  while (0 < count && cut <= (groups[count - 1] as EntryGroup).first) count--;
  return groups.slice(0, count);
}

/** Groups that hold entries behind `base`. */
export function groupsBehind(
  groups: readonly EntryGroup[],
  base: LogIndex,
  last: LogIndex,
): EntryGroup[] {
  if (last <= base) return [];
  return groups.slice(Math.max(0, countUpTo(groups, base + 1) - 1));
}

/** How many groups begin at or before an index. */
function countUpTo(groups: readonly EntryGroup[], index: number): number {
  let [low, high] = [0, groups.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((groups[middle] as EntryGroup).first <= index) low = middle + 1;
    else high = middle;
  }
  return low;
}
