// Which records of a history a range of its bytes touches.

import type { AppendRecord } from "../replication/append-record.js";
import type { History } from "../replication/history.js";

/** The data records that hold a byte of the range, in their order; none for an empty range. */
export function recordsIn(
  history: History,
  offset: number,
  length: number,
): readonly AppendRecord[] {
  const end = Math.min(offset + length, history.lengthBytes);
  const records: AppendRecord[] = [];
  if (end <= offset) return records;
  for (let seq = firstBehind(history, offset); seq <= history.lastSeq; seq++) {
    if (end <= history.endOf(seq - 1)) break;
    const record = history.at(seq);
    if (record?.content.kind === "data") records.push(record);
  }
  return records;
}

/** The first record that ends behind an offset. */
function firstBehind(history: History, offset: number): number {
  let low = 1;
  let high = history.lastSeq + 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (offset < history.endOf(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
