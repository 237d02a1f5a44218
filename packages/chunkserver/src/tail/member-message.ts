// What the members of a growing chunk say to each other over the data plane, as bytes
// (docs/formats/data-plane.md): the messages of the protocol, and those of the shell around it,
// which carry the bytes of records and bring a sealed chunk to its end.

import { assertNever, ByteReader, ByteWriter, type Epoch, epoch, LumeoError } from "@lumeofs/base";
import type { AppendRecord, Position } from "../replication/append-record.js";
import type { ReplicaMessage, ReplicaReply } from "../replication/message.js";
import { readRecords, writeRecords } from "./record-rows.js";

/** `claim` is for the own replica alone, and `remove` comes from the masters. */
export type ProtocolMessage = Exclude<ReplicaMessage, { readonly kind: "claim" | "remove" }>;

/** Where the committed seal stands. */
export interface SealPlace {
  readonly epoch: Epoch;
  readonly seal: Position;
}

export type MemberMessage =
  | ProtocolMessage
  /** Give the bytes of so many records from `first` on, as far as they are there. */
  | {
      readonly kind: "give";
      readonly epoch: Epoch;
      readonly first: number;
      readonly count: number;
    }
  /** This seal is committed: keep the chunk as a sealed one. */
  | ({ readonly kind: "settle" } & SealPlace)
  /** The masters have recorded it: the records are not needed any more. */
  | ({ readonly kind: "finish" } & SealPlace);

export type MemberReply =
  | Exclude<ReplicaReply, { readonly kind: "removed" }>
  | {
      readonly kind: "given";
      readonly epoch: Epoch;
      readonly first: number;
      readonly records: readonly AppendRecord[];
    }
  | { readonly kind: "settled" | "finished"; readonly epoch: Epoch };

const MESSAGES = { fence: 2, fetch: 3, append: 4, give: 6, settle: 7, finish: 8 } as const;
const REPLIES = {
  fenced: 1,
  unknown: 2,
  fetched: 3,
  appended: 4,
  mismatch: 5,
  stale: 6,
  given: 8,
  settled: 9,
  finished: 10,
} as const;

/** What was read, and the bytes of its data records, one behind the other. */
export interface Decoded<T> {
  readonly said: T;
  /** The bytes that say it. */
  readonly head: Uint8Array;
  /** What follows. */
  readonly bytes: Uint8Array;
}

/** The bytes of `append`'s records follow as they are. */
export function encodeMessage(message: MemberMessage): Uint8Array {
  const writer = new ByteWriter(256);
  writer.u8(MESSAGES[message.kind]).u53(message.epoch);
  switch (message.kind) {
    case "fence":
      break;
    case "fetch":
      writer.u53(message.after);
      break;
    case "append":
      writePosition(writer, message.previous).u53(message.commitSeq);
      writeRecords(writer, message.records);
      break;
    case "give":
      writer.u53(message.first).u32(message.count);
      break;
    case "settle":
    case "finish":
      writePosition(writer, message.seal);
      break;
    default:
      assertNever(message);
  }
  return writer.finish();
}

/** @throws LumeoError PROTOCOL if the bytes are no message. */
export function decodeMessage(payload: Uint8Array): Decoded<MemberMessage> {
  return decoded(payload, (reader): MemberMessage => {
    const kind = reader.u8();
    const number = readEpoch(reader);
    switch (kind) {
      case MESSAGES.fence:
        return { kind: "fence", epoch: number };
      case MESSAGES.fetch:
        return { kind: "fetch", epoch: number, after: reader.u53() };
      case MESSAGES.append: {
        const previous = readPosition(reader);
        const commitSeq = reader.u53();
        const records = readRecords(reader, previous.seq + 1);
        return { kind: "append", epoch: number, previous, records, commitSeq };
      }
      case MESSAGES.give: {
        const first = reader.u53();
        return { kind: "give", epoch: number, first, count: reader.u32() };
      }
      case MESSAGES.settle:
        return { kind: "settle", epoch: number, seal: readPosition(reader) };
      case MESSAGES.finish:
        return { kind: "finish", epoch: number, seal: readPosition(reader) };
      default:
        throw malformed(`message of kind ${kind}`);
    }
  });
}

/** The bytes of `given`'s records follow as they are. */
export function encodeReply(reply: MemberReply): Uint8Array {
  const writer = new ByteWriter(256);
  writer.u8(REPLIES[reply.kind]).u53(reply.epoch);
  switch (reply.kind) {
    case "fenced":
      writePosition(writer.u53(reply.commitSeq), reply.last);
      break;
    case "fetched":
      writePosition(writer.u53(reply.after), reply.last);
      writeRecords(writer, reply.records);
      break;
    case "appended":
      writer.u53(reply.durable);
      break;
    case "mismatch":
      writer.u53(reply.commitSeq);
      break;
    case "stale":
      writer.u53(reply.promised);
      break;
    case "given":
      writeRecords(writer.u53(reply.first), reply.records);
      break;
    case "unknown":
    case "settled":
    case "finished":
      break;
    default:
      assertNever(reply);
  }
  return writer.finish();
}

/** @throws LumeoError PROTOCOL if the bytes are no reply. */
export function decodeReply(payload: Uint8Array): Decoded<MemberReply> {
  return decoded(payload, (reader): MemberReply => {
    const kind = reader.u8();
    const number = readEpoch(reader);
    switch (kind) {
      case REPLIES.fenced: {
        const commitSeq = reader.u53();
        return { kind: "fenced", epoch: number, commitSeq, last: readPosition(reader) };
      }
      case REPLIES.fetched: {
        const after = reader.u53();
        const last = readPosition(reader);
        const records = readRecords(reader, after + 1);
        return { kind: "fetched", epoch: number, after, last, records };
      }
      case REPLIES.appended:
        return { kind: "appended", epoch: number, durable: reader.u53() };
      case REPLIES.mismatch:
        return { kind: "mismatch", epoch: number, commitSeq: reader.u53() };
      case REPLIES.stale:
        return { kind: "stale", epoch: number, promised: readPromise(reader) };
      case REPLIES.given: {
        const first = reader.u53();
        return { kind: "given", epoch: number, first, records: readRecords(reader, first) };
      }
      case REPLIES.unknown:
        return { kind: "unknown", epoch: number };
      case REPLIES.settled:
        return { kind: "settled", epoch: number };
      case REPLIES.finished:
        return { kind: "finished", epoch: number };
      default:
        throw malformed(`reply of kind ${kind}`);
    }
  });
}

function decoded<T>(payload: Uint8Array, read: (reader: ByteReader) => T): Decoded<T> {
  const reader = new ByteReader(payload);
  try {
    const said = read(reader);
    const { position } = reader;
    return { said, head: payload.subarray(0, position), bytes: payload.subarray(position) };
  } catch (error) {
    if (!(error instanceof LumeoError) || error.code !== "CORRUPT") throw error;
    throw malformed(error.message);
  }
}

function writePosition(writer: ByteWriter, position: Position): ByteWriter {
  return writer.u53(position.epoch).u53(position.seq);
}

function readPosition(reader: ByteReader): Position {
  return { epoch: readPromise(reader), seq: reader.u53() };
}

function readPromise(reader: ByteReader): Epoch | 0 {
  const number = reader.u53();
  return number === 0 ? 0 : epoch(number);
}

function readEpoch(reader: ByteReader): Epoch {
  const number = readPromise(reader);
  if (number === 0) throw malformed("no epoch");
  return number;
}

function malformed(what: string): LumeoError {
  return new LumeoError("PROTOCOL", `Cannot read a message between members: ${what}`);
}
