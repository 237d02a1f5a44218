// What a primary has to say to one member, with fewer words: appends that follow each other are one
// append. So what piles up while a member is busy costs it one write and one answer.

import { dataBytes } from "../replication/append-record.js";
import type { ReplicaMessage } from "../replication/message.js";
import { APPEND_BYTES_MAX, APPEND_RECORDS_MAX } from "../replication/progress.js";

type Append = Extract<ReplicaMessage, { readonly kind: "append" }>;

/** The same messages in the same order, appends joined as far as one may carry them. */
export function mergeAppends(messages: readonly ReplicaMessage[]): readonly ReplicaMessage[] {
  const merged: ReplicaMessage[] = [];
  let bytes = 0;
  for (const message of messages) {
    const last = merged.at(-1);
    const more = message.kind === "append" ? sizeOf(message) : 0;
    if (message.kind === "append" && last?.kind === "append" && follows(last, message)) {
      const isRoomy =
        last.records.length + message.records.length <= APPEND_RECORDS_MAX &&
        bytes + more <= APPEND_BYTES_MAX;
      if (isRoomy) {
        const { commitSeq } = message;
        merged[merged.length - 1] = {
          ...last,
          records: [...last.records, ...message.records],
          commitSeq: Math.max(last.commitSeq, commitSeq),
        };
        bytes += more;
        continue;
      }
    }
    merged.push(message);
    bytes = more;
  }
  return merged;
}

function follows(first: Append, second: Append): boolean {
  const { previous, records, epoch } = first;
  const end = records.at(-1) ?? previous;
  const isNext = second.previous.seq === end.seq && second.previous.epoch === end.epoch;
  return isNext && second.epoch === epoch;
}

function sizeOf({ records }: Append): number {
  return records.reduce((sum, record) => sum + dataBytes(record), 0);
}
