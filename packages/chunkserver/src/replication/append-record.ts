// What an appendable chunk consists of: records, each behind the one before.
//
// Only their headers are seen here. Where a record is written, sent or fetched, the shell puts its
// bytes beside it and compares them with `crc32c`.

import { type Epoch, invariant, type ServerId, type SessionId } from "@lumeofs/base";
import { increment, type VectorClock } from "../mutation/vector-clock.js";

/** Bytes in one record; with its header it fits one record of the log. */
export const RECORD_BYTES_MAX = 512 * 1024;

/** An epoch that was granted, or 0 for none: every epoch is later. */
export type EpochOrNone = Epoch | 0;

/** A place in the history of a chunk. */
export interface Position {
  readonly epoch: EpochOrNone;
  /** From 1, without gaps. */
  readonly seq: number;
}

/** Before the first record. */
export const NOWHERE: Position = { epoch: 0, seq: 0 };

/** What makes a write the same write when it is sent again.                            (rule 18) */
export interface WriteId {
  readonly client: SessionId;
  readonly writeSeq: number;
}

export type RecordContent =
  | {
      readonly kind: "data";
      readonly write: WriteId;
      readonly lengthBytes: number;
      readonly crc32c: number;
    }
  /** The first record of an epoch: what lies before it is committed with it.           (rule 7) */
  | { readonly kind: "barrier" }
  /** No data follows. Both are of the whole chunk.                                     (rule 17) */
  | { readonly kind: "seal"; readonly lengthBytes: number; readonly crc32c: number };

export interface AppendRecord {
  readonly epoch: Epoch;
  readonly seq: number;
  /** How many records of this history each primary has written; evidence only.         (rule 21) */
  readonly clock: VectorClock;
  readonly content: RecordContent;
}

/** The record that this author puts behind `previous` in its epoch. */
export function recordBehind(
  previous: { readonly seq: number; readonly clock: VectorClock },
  by: { readonly epoch: Epoch; readonly author: ServerId },
  content: RecordContent,
): AppendRecord {
  const clock = increment(previous.clock, by.author);
  return { epoch: by.epoch, seq: previous.seq + 1, clock, content };
}

/** Negative if `a` is older than `b`. The only order by which histories are chosen.     (rule 6) */
export function comparePositions(a: Position, b: Position): number {
  return a.epoch - b.epoch || a.seq - b.seq;
}

/**
 * Whether two records of one sequence number are the same record.
 *
 * @throws InvariantViolation if epoch and number agree and the content does not: two primaries have
 *         written in one epoch.
 */
export function isSameRecord(a: AppendRecord, b: AppendRecord): boolean {
  if (a.epoch !== b.epoch || a.seq !== b.seq) return false;
  invariant(isSameContent(a.content, b.content), "one place of a history holds one record", {
    epoch: a.epoch,
    seq: a.seq,
    a: a.content,
    b: b.content,
  });
  return true;
}

/** Bytes that a record adds to the chunk. */
export function dataBytes({ content }: AppendRecord): number {
  return content.kind === "data" ? content.lengthBytes : 0;
}

function isSameContent(a: RecordContent, b: RecordContent): boolean {
  if (a.kind === "barrier" || b.kind === "barrier") return a.kind === b.kind;
  if (a.lengthBytes !== b.lengthBytes || a.crc32c !== b.crc32c) return false;
  if (a.kind === "seal" || b.kind === "seal") return a.kind === b.kind;
  return a.write.client === b.write.client && a.write.writeSeq === b.write.writeSeq;
}
