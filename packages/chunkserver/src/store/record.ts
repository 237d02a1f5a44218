// The bodies of the log's records (docs/formats/chunk.md), and the entries of the index, which are
// the same without the data.

import {
  ByteReader,
  ByteWriter,
  type ChunkHandle,
  type Crc32c,
  chunkHandle,
  type Epoch,
  epoch,
  LumeoError,
  type ServerId,
  serverId,
  type WalPlace,
} from "@lumeofs/base";
import type { VectorClock } from "../mutation/vector-clock.js";
import { type ChunkVersion, compareVersions } from "../mutation/version.js";
import { blockCount } from "./block-layout.js";

/** Where a chunk's bytes are: in its log record, or in a file of its own. */
export type ChunkHome =
  | { readonly kind: "log" }
  | { readonly kind: "file"; readonly fileId: number };

interface ChunkFacts {
  readonly handle: ChunkHandle;
  readonly version: ChunkVersion;
  readonly length: number;
  readonly crc32c: number;
  readonly home: ChunkHome;
}

export type StoreRecord =
  | ({
      readonly kind: "chunk";
      /** CRC32C of each block. */
      readonly crcs: Uint8Array;
      /** Where the data begins in the body, if the home is the log. */
      readonly dataAt: number;
    } & ChunkFacts)
  | { readonly kind: "tombstone"; readonly handle: ChunkHandle; readonly epoch: Epoch };

/** What the index knows of a chunk. */
export interface ChunkEntry extends ChunkFacts {
  /** Of its log record. */
  readonly place: WalPlace;
  /** It was found to be other bytes than were written; it is not served. */
  readonly isDamaged: boolean;
}

const KINDS = { log: 1, file: 2, tombstone: 3 } as const;

/** Whether both are read from one record. */
export function isSamePlace({ place: a }: ChunkEntry, { place: b }: ChunkEntry): boolean {
  return a.segment === b.segment && a.position === b.position;
}

export function isSameFile(a: ChunkHome, b: ChunkHome): boolean {
  return a.kind === "file" && b.kind === "file" && a.fileId === b.fileId;
}

/** The same content under the same version, with its record in another place. */
export function isMoved(from: ChunkEntry, to: ChunkEntry): boolean {
  const isSameHome =
    isSameFile(from.home, to.home) || (from.home.kind === "log" && to.home.kind === "log");
  const isSameVersion = compareVersions(from.version, to.version) === 0;
  return isSameHome && isSameVersion && !isSamePlace(from, to);
}

/** A chunk's record without the data, which follows as it is when the home is the log. */
export function encodeChunkRecord(facts: ChunkFacts, crcs: Uint8Array): Uint8Array {
  const writer = new ByteWriter(128 + crcs.byteLength);
  writeFacts(writer, facts);
  return writer.sized(crcs).finish();
}

export function encodeTombstone(handle: ChunkHandle, epochOfChunk: Epoch): Uint8Array {
  return new ByteWriter(17).u8(KINDS.tombstone).u53(handle).u53(epochOfChunk).finish();
}

/** @throws LumeoError CORRUPT if the bytes are no record. */
export function decodeRecord(body: Uint8Array): StoreRecord {
  const reader = new ByteReader(body);
  const kind = reader.u8();
  if (kind === KINDS.tombstone) {
    const handle = readHandle(reader);
    return { kind: "tombstone", handle, epoch: readEpoch(reader) };
  }
  const facts = readFacts(reader, kind);
  const crcs = reader.sized();
  if (crcs.byteLength !== 4 * blockCount(facts.length)) throw corrupt("number of checksums");
  if (facts.home.kind === "log" && reader.remaining !== facts.length) throw corrupt("length");
  return { kind: "chunk", ...facts, crcs, dataAt: reader.position };
}

/** An index entry; its last four bytes are a CRC over the rest. */
export function encodeEntry(entry: ChunkEntry, crc32c: Crc32c): Uint8Array {
  const writer = new ByteWriter(128);
  writeFacts(writer, entry);
  const { place } = entry;
  writer
    .u53(place.segment)
    .u53(place.position)
    .u32(place.bodyBytes)
    .u8(entry.isDamaged ? 1 : 0);
  return writer.u32(crc32c(writer.finish())).finish();
}

/**
 * A number for what an entry says, but for damage. All of an index are combined by XOR, so that an
 * index which has lost some of its writes, each value intact, is not taken for a whole one.
 */
export function entryDigest({ handle, version, place }: ChunkEntry): number {
  const { epoch, seq } = version;
  let mixed = 0;
  for (const part of [handle, epoch, seq, place.segment, place.position]) {
    mixed = Math.imul(mixed ^ (part >>> 0), 0x9e3779b1);
    mixed = Math.imul(mixed ^ (mixed >>> 15) ^ Math.floor(part / 2 ** 32), 0x85ebca6b);
    mixed ^= mixed >>> 13;
  }
  return mixed >>> 0;
}

/** @throws LumeoError CORRUPT if the entry is not as it was written, or is of another handle. */
export function decodeEntry(handle: ChunkHandle, bytes: Uint8Array, crc32c: Crc32c): ChunkEntry {
  const end = Math.max(0, bytes.byteLength - 4);
  const crc = new ByteReader(bytes.subarray(end)).u32();
  if (crc !== crc32c(bytes.subarray(0, end))) throw corrupt("checksum of an index entry");
  const reader = new ByteReader(bytes);
  const facts = readFacts(reader, reader.u8());
  if (facts.handle !== handle) throw corrupt("handle of an index entry");
  const place = { segment: reader.u53(), position: reader.u53(), bodyBytes: reader.u32() };
  return { ...facts, place, isDamaged: reader.u8() === 1 };
}

function writeFacts(writer: ByteWriter, facts: ChunkFacts): void {
  const { version, home } = facts;
  writer.u8(KINDS[home.kind]).u53(facts.handle).u53(version.epoch).u53(version.seq);
  writer.u8(version.clock.size);
  for (const [author, count] of version.clock) writer.u53(author).u53(count);
  writer.u32(facts.length).u32(facts.crc32c);
  if (home.kind === "file") writer.u53(home.fileId);
}

function readFacts(reader: ByteReader, kind: number): ChunkFacts {
  if (kind !== KINDS.log && kind !== KINDS.file) throw corrupt("kind of a record");
  const handle = readHandle(reader);
  const version = { epoch: readEpoch(reader), seq: reader.u53(), clock: readClock(reader) };
  const length = reader.u32();
  const crc32c = reader.u32();
  const home: ChunkHome =
    kind === KINDS.log ? { kind: "log" } : { kind: "file", fileId: reader.u53() };
  return { handle, version, length, crc32c, home };
}

function readClock(reader: ByteReader): VectorClock {
  const count = reader.u8();
  const clock = new Map<ServerId, number>();
  for (let i = 0; i < count; i++) clock.set(serverId(positive(reader)), reader.u53());
  return clock;
}

function readHandle(reader: ByteReader): ChunkHandle {
  return chunkHandle(positive(reader));
}

function readEpoch(reader: ByteReader): Epoch {
  return epoch(positive(reader));
}

function positive(reader: ByteReader): number {
  const value = reader.u53();
  if (value === 0) throw corrupt("an id");
  return value;
}

function corrupt(what: string): LumeoError {
  return new LumeoError("CORRUPT", `Cannot read record: ${what} is wrong`);
}
