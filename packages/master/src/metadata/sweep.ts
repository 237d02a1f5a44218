// Which records of history are kept in vain. A record is needed while a snapshot may show it, and a
// version also while the policy of its directory keeps so many.
//
// Any snapshot that can be read counts, whatever directory it is of: that keeps a little too
// much, and never too little. A snapshot that is made later has a higher log index than every
// record's end, so what is found here stays unneeded.

import type { InodeId } from "@lumeofs/base";
import type { HistoryId } from "./keys.js";
import type { NamedPast } from "./sweep-queries.js";

/** Records behind this many in one round: those of one name are decided on together. */
export const SWEEP_PAGE = 2_048;

export interface Needs {
  /** Log indices of all snapshots, in ascending order. */
  readonly snapshots: readonly number[];
  /** Versions that the policy of a directory keeps of each file. */
  readonly versionsKept: (directory: InodeId) => number;
}

export interface SweepRound {
  readonly unneeded: readonly HistoryId[];
  /** Where the next round begins; undefined at the end of the table. */
  readonly behind: HistoryId | undefined;
}

/**
 * What is kept in vain among the records of a page.
 *
 * @param pageCount How many records the page can hold: a full one may end within a name, which is
 *                  then left to the next round, unless it fills the page alone.
 */
export function sweepRound(
  page: readonly NamedPast[],
  pageCount: number,
  needs: Needs,
): SweepRound {
  const names = namesOf(page);
  const isFull = page.length === pageCount;
  if (isFull && 1 < names.length) names.pop();
  const unneeded = names.flatMap((records) => unneededOf(records, needs));
  return { unneeded, behind: isFull ? names.at(-1)?.at(-1)?.id : undefined };
}

/** The records of each name, oldest first. */
function namesOf(page: readonly NamedPast[]): NamedPast[][] {
  const names: NamedPast[][] = [];
  for (const record of page) {
    const last = names.at(-1);
    const before = last?.at(-1)?.id;
    const isSame = before?.parent === record.id.parent && before.name === record.id.name;
    if (last !== undefined && isSame) last.push(record);
    else names.push([record]);
  }
  return names;
}

function unneededOf(records: readonly NamedPast[], needs: Needs): readonly HistoryId[] {
  const first = records[0];
  if (first === undefined) return [];
  const kept = needs.versionsKept(first.id.parent);
  const unneeded: HistoryId[] = [];
  let newer = 0;
  for (const { id, past } of records.toReversed()) {
    const isVersion = past.version !== 0;
    const isKept = isVersion && newer < kept;
    if (isVersion) newer++;
    if (!isKept && !isShown(needs.snapshots, past.since, id.ended)) unneeded.push(id);
  }
  return unneeded;
}

/** Whether a snapshot lies at or behind `since` and before `ended`. */
function isShown(snapshots: readonly number[], since: number, ended: number): boolean {
  let low = 0;
  let high = snapshots.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((snapshots[middle] as number) < since) low = middle + 1;
    else high = middle;
  }
  const next = snapshots[low];
  return next !== undefined && next < ended;
}
