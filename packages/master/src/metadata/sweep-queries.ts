// What the leader's duties read to free what is kept in vain: see history.ts and reap.ts.

import { type InodeId, inodeId, type WallMs } from "@lumeofs/base";
import { decodePast, type PastEntry } from "./history.js";
import { standingOf } from "./inodes.js";
import {
  type HistoryId,
  historyAfter,
  historyBehind,
  historyIdOf,
  nameOf,
  numberOf,
  snapshotsAfter,
  snapshotsBehind,
  trashAfter,
} from "./keys.js";
import { effectivePolicy } from "./policy.js";
import { decodeSnapshot } from "./snapshots.js";
import type { StateReader } from "./state.js";
import { decodeTrashItem } from "./trash.js";

export interface NamedPast {
  readonly id: HistoryId;
  readonly past: PastEntry;
}

/** The first records of history of a directory, by its number. */
export async function firstHistory(
  reader: StateReader,
  directory: InodeId,
  countMax: number,
): Promise<readonly HistoryId[]> {
  const { from, to } = historyAfter(directory, "");
  const pairs = await reader.range(from, to, countMax);
  return pairs.map(([key]) => historyIdOf(key));
}

/** The first names of snapshots of a directory, by its number. */
export async function firstSnapshots(
  reader: StateReader,
  directory: InodeId,
  countMax: number,
): Promise<readonly string[]> {
  const { from, to } = snapshotsAfter(directory, "");
  const pairs = await reader.range(from, to, countMax);
  return pairs.map(([key]) => nameOf(key));
}

/** A page of all history, in the order of directories, names and time. */
export async function historyPage(
  reader: StateReader,
  page: { readonly behind: HistoryId | undefined; readonly countMax: number },
): Promise<readonly NamedPast[]> {
  const { from, to } = historyBehind(page.behind);
  const pairs = await reader.range(from, to, page.countMax);
  return pairs.map(([key, value]) => ({ id: historyIdOf(key), past: decodePast(value) }));
}

/**
 * The log indices of all snapshots that may be read, now or when their directory comes out of the
 * trash; in ascending order, read in pages of `pageCount`. Those of directories that are gone do
 * not count: they would keep the history that keeps those directories, and so themselves, for ever.
 */
export async function snapshotRevisions(
  reader: StateReader,
  pageCount: number,
): Promise<readonly number[]> {
  const revisions: number[] = [];
  let last: { readonly directory: InodeId; readonly name: string } | undefined;
  for (;;) {
    const { from, to } = snapshotsBehind(last);
    const pairs = await reader.range(from, to, pageCount);
    for (const [key, value] of pairs) {
      last = { directory: inodeId(numberOf(key)), name: nameOf(key) };
      if (standingOf(reader, last.directory) === "gone") continue;
      revisions.push(decodeSnapshot(value).revision);
    }
    if (pairs.length < pageCount) return revisions.sort((a, b) => a - b);
  }
}

/** How many versions are kept of a file in this directory: by its policy; in the trash, all. */
export function versionsKept(reader: StateReader, directory: InodeId): number {
  switch (standingOf(reader, directory)) {
    case "live":
      return effectivePolicy(reader, directory).versions;
    case "trash":
      return Number.POSITIVE_INFINITY;
    case "gone":
      return 0;
  }
}

/** Things of one page of the trash whose time is over at `at`, and where the next page begins. */
export async function overdueTrash(
  reader: StateReader,
  at: WallMs,
  page: { readonly after: number; readonly countMax: number },
): Promise<{ readonly found: readonly number[]; readonly next: number | undefined }> {
  const { from, to } = trashAfter(page.after);
  const pairs = await reader.range(from, to, page.countMax);
  const found = pairs
    .filter(([, value]) => decodeTrashItem(value).expiresAt <= at)
    .map(([key]) => numberOf(key));
  const last = pairs.at(-1);
  const isEnd = last === undefined || pairs.length < page.countMax;
  return { found, next: isEnd ? undefined : numberOf(last[0]) };
}
