// Rows of records as bytes: on the wire between members (docs/formats/data-plane.md) and in the log
// of tails (docs/formats/chunk.md).
//
// The records of a history follow each other, so a clock is written once; of the others the author
// says it: a record's clock is that of the one before with one more of its author.

import {
  type ByteReader,
  type ByteWriter,
  epoch,
  invariant,
  LumeoError,
  type ServerId,
  serverId,
  sessionId,
} from "@lumeofs/base";
import { increment, type VectorClock } from "../mutation/vector-clock.js";
import {
  type AppendRecord,
  dataBytes,
  RECORD_BYTES_MAX,
  type RecordContent,
} from "../replication/append-record.js";
import { FETCH_RECORDS_MAX } from "../replication/replica.js";

const KINDS = { data: 1, barrier: 2, seal: 3 } as const;

/** Records that follow each other, without their bytes. */
export function writeRecords(writer: ByteWriter, records: readonly AppendRecord[]): void {
  writer.u32(records.length);
  const [first] = records;
  if (first === undefined) return;
  writer.u8(first.clock.size);
  for (const [author, count] of first.clock) writer.u53(author).u53(count);
  let before = first.clock;
  for (const record of records) {
    writer.u53(record.epoch).u53(record === first ? 0 : authorBehind(before, record.clock));
    writeContent(writer, record.content);
    before = record.clock;
  }
}

/**
 * The mirror of `writeRecords`.
 *
 * @param firstSeq  Sequence number of the first.
 * @throws LumeoError CORRUPT if the bytes are no such row.
 */
export function readRecords(reader: ByteReader, firstSeq: number): readonly AppendRecord[] {
  const count = reader.u32();
  if (FETCH_RECORDS_MAX < count) throw corrupt("number of records");
  if (count === 0) return [];
  let clock = readClock(reader);
  const records: AppendRecord[] = [];
  for (let i = 0; i < count; i++) {
    const number = positive(reader);
    const author = reader.u53();
    if ((author === 0) !== (i === 0)) throw corrupt("author");
    if (author !== 0) clock = increment(clock, serverId(author));
    const content = readContent(reader);
    records.push({ epoch: epoch(number), seq: firstSeq + i, clock, content });
  }
  return records;
}

/** Bytes of data of all these records together. */
export function bytesOf(records: readonly AppendRecord[]): number {
  return records.reduce((sum, record) => sum + dataBytes(record), 0);
}

/** The bytes of each record, as views of what lies one behind the other in `joined`. */
export function cutBytes(
  records: readonly AppendRecord[],
  joined: Uint8Array,
): ReadonlyMap<number, Uint8Array> {
  if (joined.byteLength !== bytesOf(records)) throw corrupt("length of the data");
  const cut = new Map<number, Uint8Array>();
  let at = 0;
  for (const record of records) {
    const length = dataBytes(record);
    if (0 < length) cut.set(record.seq, joined.subarray(at, at + length));
    at += length;
  }
  return cut;
}

function authorBehind(before: VectorClock, clock: VectorClock): ServerId {
  for (const [author, count] of clock) {
    if (before.get(author) === count) continue;
    invariant((before.get(author) ?? 0) + 1 === count, "records follow each other", { author });
    return author;
  }
  invariant(false, "records follow each other");
}

function writeContent(writer: ByteWriter, content: RecordContent): void {
  writer.u8(KINDS[content.kind]);
  if (content.kind === "barrier") return;
  if (content.kind === "data") writer.u53(content.write.client).u53(content.write.writeSeq);
  writer.u32(content.lengthBytes).u32(content.crc32c);
}

function readContent(reader: ByteReader): RecordContent {
  const kind = reader.u8();
  switch (kind) {
    case KINDS.data: {
      const write = { client: sessionId(positive(reader)), writeSeq: reader.u53() };
      const lengthBytes = reader.u32();
      if (lengthBytes === 0 || RECORD_BYTES_MAX < lengthBytes) throw corrupt("length of a record");
      return { kind: "data", write, lengthBytes, crc32c: reader.u32() };
    }
    case KINDS.barrier:
      return { kind: "barrier" };
    case KINDS.seal:
      return { kind: "seal", lengthBytes: reader.u32(), crc32c: reader.u32() };
    default:
      throw corrupt("kind of a record");
  }
}

function readClock(reader: ByteReader): VectorClock {
  const clock = new Map<ServerId, number>();
  for (let left = reader.u8(); 0 < left; left--) {
    const author = serverId(positive(reader));
    clock.set(author, reader.u53());
  }
  return clock;
}

function positive(reader: ByteReader): number {
  const value = reader.u53();
  if (value === 0) throw corrupt("an id");
  return value;
}

function corrupt(what: string): LumeoError {
  return new LumeoError("CORRUPT", `Cannot read records: ${what} is wrong`);
}
