// One record of a log segment: frame, check, resynchronise (docs/formats/wal.md).
//
// R1. The CRC covers the record's prefix and body, and is seeded with the log's owner, the segment
//     number and the position: a copy of a record in another place, such as in somebody's data,
//     is never taken for a record.
// R2. `chain` is the CRC of the record before: a record that was lost or replaced is noticed.
// R3. `durableTo` is a position in the segment before which all was durable when the record was
//     written: damage before it is damage of acknowledged bytes, not a torn write.

import { ByteWriter } from "../byte-writer.js";
import type { Crc32c } from "../crc32c.js";
import { KiB, MiB } from "../units.js";

/** Bytes before a record's body. */
export const RECORD_PREFIX_BYTES = 24;
export const RECORD_BODY_BYTES_MAX = 1 * MiB;
/** Records begin at multiples of this. */
export const RECORD_ALIGNMENT = 8;
/** Bytes at the start of a segment that hold no records. */
export const SEGMENT_HEADER_BYTES = 64;

const RECORD_MAGIC = 0x4345524c; // "LREC"
const SEGMENT_MAGIC = "LUMEOWAL";
const VERSION = 1;
const PADDING = new Uint8Array(RECORD_ALIGNMENT);

/** What makes the checksums of one segment its own (R1). */
export interface SegmentIdentity {
  /** Whose log it is: 16 bytes, such as the store's uuid. */
  readonly owner: Uint8Array;
  /** From 1, by one. */
  readonly number: number;
}

export interface RecordPrefix {
  readonly bodyBytes: number;
  readonly chain: number;
  readonly durableTo: number;
  readonly crc: number;
}

/** Bytes that a record takes in its segment. */
export function recordBytes(bodyBytes: number): number {
  const exact = RECORD_PREFIX_BYTES + bodyBytes;
  return Math.ceil(exact / RECORD_ALIGNMENT) * RECORD_ALIGNMENT;
}

/** The start value of every CRC in a segment. */
export function segmentSeed(identity: SegmentIdentity, crc32c: Crc32c): number {
  return crc32c(new ByteWriter(24).bytes(identity.owner).u53(identity.number).finish());
}

/**
 * A record as parts to be written one behind the other.
 *
 * @param place  Where it will stand; `seed` is its segment's.
 * @returns      Parts that together are `recordBytes(length of body)` long, and the record's CRC.
 */
export function encodeRecord(
  body: readonly Uint8Array[],
  place: { readonly position: number; readonly seed: number },
  links: { readonly chain: number; readonly durableTo: number },
  crc32c: Crc32c,
): { readonly parts: readonly Uint8Array[]; readonly crc: number } {
  const bodyBytes = body.reduce((sum, part) => sum + part.byteLength, 0);
  const prefix = new ByteWriter(RECORD_PREFIX_BYTES)
    .u32(RECORD_MAGIC)
    .u32(bodyBytes)
    .u32(links.chain)
    .u32(links.durableTo)
    .u32(0);
  let crc = crc32c(prefix.finish(), recordSeed(place.seed, place.position, crc32c));
  for (const part of body) crc = crc32c(part, crc);
  const padding = recordBytes(bodyBytes) - RECORD_PREFIX_BYTES - bodyBytes;
  const parts = [prefix.u32(crc).finish(), ...body];
  if (0 < padding) parts.push(PADDING.subarray(0, padding));
  return { parts, crc };
}

/** What the 24 bytes at `at` say, or undefined if they cannot begin a record. */
export function readRecordPrefix(bytes: Uint8Array, at: number): RecordPrefix | undefined {
  if (bytes.byteLength < at + RECORD_PREFIX_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, RECORD_PREFIX_BYTES);
  const bodyBytes = view.getUint32(4, true);
  if (view.getUint32(0, true) !== RECORD_MAGIC || RECORD_BODY_BYTES_MAX < bodyBytes) {
    return undefined;
  }
  return {
    bodyBytes,
    chain: view.getUint32(8, true),
    durableTo: view.getUint32(12, true),
    crc: view.getUint32(20, true),
  };
}

/** Whether prefix and body (one behind the other in `bytes`) are what was written at `place`. */
export function recordIsIntact(
  bytes: Uint8Array,
  prefix: RecordPrefix,
  place: { readonly position: number; readonly seed: number },
  crc32c: Crc32c,
): boolean {
  const seed = recordSeed(place.seed, place.position, crc32c);
  const checked = crc32c(bytes.subarray(0, RECORD_PREFIX_BYTES - 4), seed);
  const body = bytes.subarray(RECORD_PREFIX_BYTES, RECORD_PREFIX_BYTES + prefix.bodyBytes);
  return body.byteLength === prefix.bodyBytes && crc32c(body, checked) === prefix.crc;
}

/** The first bytes of a segment. `chain` is the CRC of the last record of the segment before. */
export function encodeSegmentHeader(
  identity: SegmentIdentity,
  chain: number,
  crc32c: Crc32c,
): Uint8Array {
  const header = new ByteWriter(SEGMENT_HEADER_BYTES)
    .bytes(new TextEncoder().encode(SEGMENT_MAGIC))
    .u32(VERSION)
    .u32(chain)
    .u53(identity.number)
    .bytes(identity.owner)
    .bytes(new Uint8Array(SEGMENT_HEADER_BYTES - 44));
  return header.u32(crc32c(header.finish())).finish();
}

export type SegmentHeader =
  | { readonly kind: "intact"; readonly chain: number }
  | { readonly kind: "foreign" }
  | { readonly kind: "damaged" };

/** What the first bytes of a segment say; `foreign` is a segment of another log or number. */
export function readSegmentHeader(
  bytes: Uint8Array,
  identity: SegmentIdentity,
  crc32c: Crc32c,
): SegmentHeader {
  if (bytes.byteLength < SEGMENT_HEADER_BYTES) return { kind: "damaged" };
  const view = new DataView(bytes.buffer, bytes.byteOffset, SEGMENT_HEADER_BYTES);
  const crcAt = SEGMENT_HEADER_BYTES - 4;
  if (crc32c(bytes.subarray(0, crcAt)) !== view.getUint32(crcAt, true)) return { kind: "damaged" };
  const chain = view.getUint32(12, true);
  const expected = encodeSegmentHeader(identity, chain, crc32c);
  const isOurs = expected.every((byte, i) => byte === bytes[i]);
  return isOurs ? { kind: "intact", chain } : { kind: "foreign" };
}

function recordSeed(seed: number, position: number, crc32c: Crc32c): number {
  return crc32c(new ByteWriter(8).u53(position).finish(), seed);
}

/** How much of a segment a scan holds at once. */
export const SCAN_WINDOW_BYTES = 2 * RECORD_BODY_BYTES_MAX + 4 * KiB;
