// How far the primary of an epoch has come with each member, itself included.
//
// G1. `matched` counts acknowledgements of this epoch only: up to there the member holds, durably,
//     what the primary holds.                                                            (rule 11)
// G2. 1 <= next <= last + 1. What lies between `matched` and `next` is on its way, or lost and sent
//     again; `next` lies below `matched` when the member has lost what it had acknowledged.

import { majorityOf, type ServerId } from "@lumeofs/base";
import { dataBytes } from "./append-record.js";
import type { History } from "./history.js";
import type { ReplicaMessage } from "./message.js";

/** Records and bytes in one message: with their headers they fit one record of the log. */
export const APPEND_RECORDS_MAX = 64;
export const APPEND_BYTES_MAX = 960 * 1024;
/** Records and bytes on their way to one member; one record may always go. */
export const IN_FLIGHT_RECORDS_MAX = 256;
export const IN_FLIGHT_BYTES_MAX = 4 * 1024 * 1024;

export interface Progress {
  readonly matched: number;
  /** The next record to send. */
  readonly next: number;
}

export type ProgressTable = ReadonlyMap<ServerId, Progress>;

type Append = Extract<ReplicaMessage, { kind: "append" }>;

/** The last record that a majority of the members has. */
export function matchedByMajority(members: readonly ServerId[], table: ProgressTable): number {
  const matched = members.map((member) => table.get(member)?.matched ?? 0).sort((a, b) => b - a);
  return matched[majorityOf(members) - 1] ?? 0;
}

/**
 * The messages that may go to a member now.
 *
 * @param isPressed  Send at least one, without records if there is nothing new: it carries
 *                   `commitSeq`, and its answer shows whether the member is there.
 */
export function appendsFor(
  progress: Progress,
  from: { readonly history: History; readonly commitSeq: number },
  isPressed: boolean,
): { readonly progress: Progress; readonly messages: readonly Omit<Append, "epoch">[] } {
  const { history, commitSeq } = from;
  const messages: Omit<Append, "epoch">[] = [];
  let { next } = progress;
  const matchedBytes = history.endOf(Math.min(progress.matched, history.lastSeq));
  const hasMore = (): boolean =>
    next <= history.lastSeq &&
    next - progress.matched <= IN_FLIGHT_RECORDS_MAX &&
    history.endOf(next - 1) - matchedBytes < IN_FLIGHT_BYTES_MAX;
  for (let isWanted = isPressed || hasMore(); isWanted; isWanted = hasMore()) {
    const previous = history.positionAt(next - 1);
    if (previous === undefined) break;
    const records = batch(history, next);
    messages.push({ kind: "append", previous, records, commitSeq });
    next += records.length;
  }
  return { progress: { ...progress, next }, messages };
}

function batch(history: History, from: number): Append["records"] {
  const records = history.slice(from, APPEND_RECORDS_MAX);
  let bytes = 0;
  const count = records.findIndex((record, i) => {
    bytes += dataBytes(record);
    return 0 < i && APPEND_BYTES_MAX < bytes;
  });
  return count === -1 ? records : records.slice(0, count);
}
