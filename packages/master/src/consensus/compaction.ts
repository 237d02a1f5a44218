import { type LogIndex, logIndex } from "../raft/entry.js";
import type { DriverLimits } from "./config.js";

export type CompactionLimits = Pick<
  DriverLimits,
  "compactEntries" | "compactBytes" | "tailEntries" | "tailBytes" | "logBytesMax"
>;

/** A removal is worth its write when it takes at least this part of the log away. */
const WORTHWHILE_PART = 0.1;
/** So many times what a slow member may cost is kept behind a snapshot for who is given it. */
const BRIDGE_FACTOR = 4;

/** Up to where entries are not needed by somebody; none of these is ever waited for without end. */
export interface Wanted {
  /** Every living member has these, and the newest snapshot. */
  readonly living: LogIndex;
  /** These are in snapshots that are being sent, or not caught up with. */
  readonly bridged: LogIndex;
}

/**
 * Decides how far the log may be forgotten now.
 *
 * A tail stays for members that are a little behind: a few entries are cheaper than the whole
 * state. For a member that is alive but further behind, and behind a snapshot that could be sent,
 * more stays, as long as it costs no more than `logBytesMax`, and no more than twice the entries
 * that start a removal: then a slow member shall get a snapshot, and a snapshot is made anew.
 * What follows a snapshot that is under way stays for longer: while changes come in faster than it
 * is sent and loaded, the member would need another one in the end, and another one after that.
 *
 * @param log      First and last index, and bytes in between.
 * @param durable  What this member's state holds on disk: nothing behind it is ever forgotten.
 * @returns        The last entry to forget, or undefined if it is not yet worth it.
 */
export function compactionPoint(
  log: { readonly first: LogIndex; readonly last: LogIndex; readonly bytes: number },
  durable: LogIndex,
  wanted: Wanted,
  limits: CompactionLimits,
): LogIndex | undefined {
  const entries = log.last - log.first + 1;
  if (entries <= 0) return undefined;
  const entriesMax = limits.compactEntries + limits.tailEntries;
  const bytesMax = limits.compactBytes + limits.tailBytes;
  if (entries < entriesMax && log.bytes < bytesMax) return undefined;
  const meanBytes = log.bytes / entries;
  const tail = Math.min(limits.tailEntries, Math.floor(limits.tailBytes / meanBytes));
  const isBeyond = (times: number): boolean => {
    return times * 2 * entriesMax <= entries || times * limits.logBytesMax <= log.bytes;
  };
  const bridged = isBeyond(BRIDGE_FACTOR) ? durable : wanted.bridged;
  const upTo = Math.min(durable - tail, bridged, isBeyond(1) ? durable : wanted.living);
  return upTo - log.first + 1 < WORTHWHILE_PART * entries || upTo < log.first
    ? undefined
    : logIndex(upTo);
}
