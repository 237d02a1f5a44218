// The bodies of the records in the log of tails (docs/formats/chunk.md): each is one change of one
// growing chunk. A replica is the fold of its changes, so these are all that has to be kept.

import {
  assertNever,
  ByteReader,
  ByteWriter,
  type ChunkHandle,
  chunkHandle,
  type Epoch,
  epoch,
  LumeoError,
  type WallMs,
  wallMs,
} from "@lumeofs/base";
import type { AppendRecord, EpochOrNone } from "../replication/append-record.js";
import type { ReplicaChange } from "../replication/replica.js";
import { bytesOf, readRecords, writeRecords } from "./record-rows.js";

/** What is left of a chunk that was sealed, for those who ask whether they are in it. */
export interface SealedFacts {
  /** Of the seal's record: the sealed chunk is kept under it. */
  readonly chunkEpoch: Epoch;
  readonly seq: number;
  readonly lengthBytes: number;
  readonly crc32c: number;
  /** Every epoch up to this one is over. */
  readonly promised: EpochOrNone;
  readonly sealedAt: WallMs;
}

export type TailRecord =
  /** A change of the protocol; damage may raise the promise, where the old one may be lost. */
  | {
      readonly kind: "change";
      readonly handle: ChunkHandle;
      readonly change: ReplicaChange;
      /** Of damage: at least this is promised from now on. */
      readonly promised: EpochOrNone;
    }
  /** A page of the whole replica, moved here so that older segments can go. */
  | {
      readonly kind: "moved";
      readonly handle: ChunkHandle;
      readonly promised: EpochOrNone;
      readonly damagedIn: EpochOrNone;
      readonly commitSeq: number;
      readonly firstSeq: number;
      /** Only with this one does the copy count. */
      readonly isLast: boolean;
      readonly records: readonly AppendRecord[];
    }
  /** The chunk is sealed and kept elsewhere; `table` says what was written (write-table.ts). */
  | {
      readonly kind: "sealed";
      readonly handle: ChunkHandle;
      readonly facts: SealedFacts;
      readonly table: Uint8Array;
    }
  /** Nobody needs anything of it any more. */
  | { readonly kind: "forgotten"; readonly handle: ChunkHandle }
  /** Proves that everything before it was durable. */
  | { readonly kind: "mark" };

const KINDS = {
  log: 1,
  removal: 2,
  damage: 3,
  moved: 4,
  sealed: 5,
  forgotten: 6,
  mark: 7,
} as const;

/** The bytes of the data records, where there are some, follow as they are. */
export function encodeTailRecord(record: TailRecord): Uint8Array {
  const writer = new ByteWriter(256);
  switch (record.kind) {
    case "change":
      writeChange(writer, record);
      break;
    case "moved": {
      const { handle, promised, damagedIn, commitSeq, firstSeq, isLast, records } = record;
      writer.u8(KINDS.moved).u53(handle).u53(promised).u53(damagedIn).u53(commitSeq);
      writeRecords(writer.u53(firstSeq).u8(isLast ? 1 : 0), records);
      break;
    }
    case "sealed": {
      const { chunkEpoch, seq, lengthBytes, crc32c, promised, sealedAt } = record.facts;
      writer.u8(KINDS.sealed).u53(record.handle).u53(chunkEpoch).u53(seq).u32(lengthBytes);
      writer.u32(crc32c).u53(promised).u53(sealedAt).bytes(record.table);
      break;
    }
    case "forgotten":
      writer.u8(KINDS.forgotten).u53(record.handle);
      break;
    case "mark":
      writer.u8(KINDS.mark);
      break;
    default:
      assertNever(record);
  }
  return writer.finish();
}

/**
 * The mirror of `encodeTailRecord`.
 *
 * @returns With the place of the data in the body.
 * @throws  LumeoError CORRUPT if the bytes are no record.
 */
export function decodeTailRecord(body: Uint8Array): {
  readonly record: TailRecord;
  readonly dataAt: number;
} {
  const reader = new ByteReader(body);
  const record = readRecord(reader, reader.u8());
  return { record, dataAt: reader.position };
}

function writeChange(
  writer: ByteWriter,
  { handle, change, promised }: Extract<TailRecord, { readonly kind: "change" }>,
): void {
  writer.u8(KINDS[change.kind]).u53(handle);
  switch (change.kind) {
    case "log":
      writer.u53(change.promised).u53(change.keepTo).u53(change.commitSeq);
      writeRecords(writer, change.records);
      return;
    case "removal":
      writer.u53(change.promised);
      return;
    case "damage":
      writer.u53(change.intactTo).u53(promised);
      return;
    default:
      assertNever(change);
  }
}

function readRecord(reader: ByteReader, kind: number): TailRecord {
  if (kind === KINDS.mark) return { kind: "mark" };
  const handle = chunkHandle(positive(reader));
  switch (kind) {
    case KINDS.log: {
      const promised = readPromise(reader);
      const [keepTo, commitSeq] = [reader.u53(), reader.u53()];
      const records = readWithData(reader, keepTo + 1);
      return changed(handle, { kind: "log", promised, keepTo, records, commitSeq }, promised);
    }
    case KINDS.removal: {
      const promised = epoch(positive(reader));
      return changed(handle, { kind: "removal", promised }, promised);
    }
    case KINDS.damage: {
      const intactTo = reader.u53();
      return changed(handle, { kind: "damage", intactTo }, readPromise(reader));
    }
    case KINDS.moved: {
      const [promised, damagedIn] = [readPromise(reader), readPromise(reader)];
      const [commitSeq, firstSeq, isLast] = [reader.u53(), reader.u53(), reader.u8() === 1];
      const records = readWithData(reader, firstSeq);
      const state = { promised, damagedIn, commitSeq };
      return { kind: "moved", handle, ...state, firstSeq, isLast, records };
    }
    case KINDS.sealed: {
      const [chunkEpoch, seq] = [epoch(positive(reader)), reader.u53()];
      const [lengthBytes, crc32c] = [reader.u32(), reader.u32()];
      const [promised, sealedAt] = [readPromise(reader), wallMs(reader.u53())];
      const facts = { chunkEpoch, seq, lengthBytes, crc32c, promised, sealedAt };
      return { kind: "sealed", handle, facts, table: reader.bytes(reader.remaining) };
    }
    case KINDS.forgotten:
      return { kind: "forgotten", handle };
    default:
      throw corrupt("kind");
  }
}

function changed(handle: ChunkHandle, change: ReplicaChange, promised: EpochOrNone): TailRecord {
  return { kind: "change", handle, change, promised };
}

function readWithData(reader: ByteReader, firstSeq: number): readonly AppendRecord[] {
  const records = readRecords(reader, firstSeq);
  if (reader.remaining !== bytesOf(records)) throw corrupt("length of the data");
  return records;
}

function readPromise(reader: ByteReader): EpochOrNone {
  const number = reader.u53();
  return number === 0 ? 0 : epoch(number);
}

function positive(reader: ByteReader): number {
  const value = reader.u53();
  if (value === 0) throw corrupt("an id");
  return value;
}

function corrupt(what: string): LumeoError {
  return new LumeoError("CORRUPT", `Cannot read a record of the log of tails: ${what} is wrong`);
}
