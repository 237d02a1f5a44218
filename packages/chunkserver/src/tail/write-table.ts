// Which writes stand in a sealed chunk, and where: what the history was asked before the seal is
// asked of this table for a while behind it, so that a client which has lost an answer learns what
// became of its record.                                                                  (rule 18)
//
// Rows of 28 bytes, by rising session and number: session (8), number (8), place in the history
// (4), offset in the chunk (4), length (4). With all its rows a table fits one record of the log.

import { ByteReader, ByteWriter } from "@lumeofs/base";
import type { WriteId } from "../replication/append-record.js";
import type { History } from "../replication/history.js";

const ROW_BYTES = 28;

/** Where a record is in its chunk. */
export interface WrittenPlace {
  readonly seq: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** The table of a whole history. */
export function encodeWriteTable(history: History): Uint8Array {
  const rows: (WriteId & WrittenPlace)[] = [];
  for (let seq = 1; seq <= history.lastSeq; seq++) {
    const content = history.at(seq)?.content;
    if (content?.kind !== "data") continue;
    const { write, lengthBytes } = content;
    rows.push({ ...write, seq, offset: history.endOf(seq - 1), lengthBytes });
  }
  rows.sort(compareWrites);
  const writer = new ByteWriter(Math.max(1, ROW_BYTES * rows.length));
  for (const { client, writeSeq, seq, offset, lengthBytes } of rows) {
    writer.u53(client).u53(writeSeq).u32(seq).u32(offset).u32(lengthBytes);
  }
  return writer.finish();
}

/** Where a write stands; undefined if it is not in the chunk. */
export function findWrite(table: Uint8Array, write: WriteId): WrittenPlace | undefined {
  let low = 0;
  let high = Math.floor(table.byteLength / ROW_BYTES);
  while (low < high) {
    const middle = (low + high) >>> 1;
    const row = readRow(table, middle);
    const order = compareWrites(row, write);
    if (order === 0) return { seq: row.seq, offset: row.offset, lengthBytes: row.lengthBytes };
    if (order < 0) low = middle + 1;
    else high = middle;
  }
  return undefined;
}

function readRow(table: Uint8Array, index: number) {
  const reader = new ByteReader(table.subarray(ROW_BYTES * index, ROW_BYTES * (index + 1)));
  const [client, writeSeq] = [reader.u53(), reader.u53()];
  const seq = reader.u32();
  return { client, writeSeq, seq, offset: reader.u32(), lengthBytes: reader.u32() };
}

function compareWrites(
  a: { readonly client: number; readonly writeSeq: number },
  b: { readonly client: number; readonly writeSeq: number },
): number {
  return a.client - b.client || a.writeSeq - b.writeSeq;
}
