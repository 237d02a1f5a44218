import { type LogIndex, logIndex } from "../raft/entry.js";
import type { DriverLimits } from "./config.js";

export type CompactionLimits = Pick<
  DriverLimits,
  "compactEntries" | "compactBytes" | "tailEntries" | "tailBytes" | "logBytesMax"
>;

/** A removal is worth its write when it takes at least this part of the log away. */
const WORTHWHILE_PART = 0.1;

/**
 * Decides how far the log may be forgotten now.
 *
 * A tail stays for members that are a little behind: a few entries are cheaper than the whole
 * state. For a member that is alive but further behind, and behind a snapshot that could be sent,
 * more stays, as long as it costs no more than `logBytesMax`, and no more than twice the entries
 * that start a removal: then a slow member shall get a snapshot, and a snapshot is made anew.
 *
 * @param log      First and last index, and bytes in between.
 * @param durable  What this member's state holds on disk: nothing behind it is ever forgotten.
 * @param needed   Last entry that every living member has, and the newest snapshot.
 * @returns        The last entry to forget, or undefined if it is not yet worth it.
 */
export function compactionPoint(
  log: { readonly first: LogIndex; readonly last: LogIndex; readonly bytes: number },
  durable: LogIndex,
  needed: LogIndex,
  limits: CompactionLimits,
): LogIndex | undefined {
  const entries = log.last - log.first + 1;
  if (entries <= 0) return undefined;
  const entriesMax = limits.compactEntries + limits.tailEntries;
  const bytesMax = limits.compactBytes + limits.tailBytes;
  if (entries < entriesMax && log.bytes < bytesMax) return undefined;
  const meanBytes = log.bytes / entries;
  const tail = Math.min(limits.tailEntries, Math.floor(limits.tailBytes / meanBytes));
  const isTooLong = 2 * entriesMax <= entries || limits.logBytesMax <= log.bytes;
  const upTo = Math.min(durable - tail, isTooLong ? durable : needed);
  return upTo - log.first + 1 < WORTHWHILE_PART * entries || upTo < log.first
    ? undefined
    : logIndex(upTo);
}
