// Every byte of a store's files, by what it means (docs/formats/{chunk,wal}.md).

import {
  BLOCK_BYTES,
  RECORD_PREFIX_BYTES,
  readRecordPrefix,
  recordBytes,
  SEGMENT_HEADER_BYTES,
} from "@lumeofs/base";
import { decodeRecord } from "../../src/store/record.js";

/** Some bytes of a file with one meaning. */
export interface Region {
  readonly path: string;
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

const HEADER = [
  ["magic", 8],
  ["version", 4],
  ["chain", 4],
  ["number", 8],
  ["owner", 16],
  ["zeros", 20],
  ["CRC", 4],
] as const;

const PREFIX = [
  ["magic", 4],
  ["length", 4],
  ["chain", 4],
  ["durableTo", 4],
  ["zeros", 4],
  ["CRC", 4],
] as const;

/** The regions of one file, without gaps. */
export function regionsOf(path: string, bytes: Uint8Array): readonly Region[] {
  if (path.startsWith("log/")) return regionsOfSegment(path, bytes);
  if (path.startsWith("chunks/")) return regionsOfChunkFile(path, bytes.byteLength);
  return [{ path, name: path, start: 0, end: bytes.byteLength }];
}

function regionsOfSegment(path: string, bytes: Uint8Array): readonly Region[] {
  const regions = fields(path, "segment", 0, HEADER);
  for (let at = SEGMENT_HEADER_BYTES; at < bytes.byteLength; ) {
    const prefix = readRecordPrefix(bytes, at);
    if (prefix === undefined) throw new Error(`no record at ${at} of ${path}`);
    regions.push(...fields(path, "record", at, PREFIX));
    const body = at + RECORD_PREFIX_BYTES;
    const end = at + recordBytes(prefix.bodyBytes);
    regions.push(...regionsOfBody(path, body, bytes.subarray(body, body + prefix.bodyBytes)));
    const padding = body + prefix.bodyBytes;
    if (padding < end) regions.push({ path, name: "record padding", start: padding, end });
    at = end;
  }
  return regions;
}

function regionsOfBody(path: string, start: number, body: Uint8Array): readonly Region[] {
  const end = start + body.byteLength;
  const record = decodeRecord(body);
  if (record.kind === "tombstone") return [{ path, name: "tombstone", start, end }];
  const crcs = start + record.dataAt - record.crcs.byteLength;
  const data = start + record.dataAt;
  return [
    { path, name: "facts", start, end: crcs },
    { path, name: "checksums", start: crcs, end: data },
    { path, name: "data of a small chunk", start: data, end },
  ].filter((region) => region.start < region.end);
}

function regionsOfChunkFile(path: string, length: number): readonly Region[] {
  const name = "data of a large chunk";
  return Array.from({ length: Math.ceil(length / BLOCK_BYTES) }, (_, block) => {
    const start = block * BLOCK_BYTES;
    return { path, name, start, end: Math.min(length, start + BLOCK_BYTES) };
  });
}

function fields(
  path: string,
  of: string,
  start: number,
  list: readonly (readonly [string, number])[],
): Region[] {
  let at = start;
  return list.map(([name, bytes]) => {
    at += bytes;
    return { path, name: `${of} ${name}`, start: at - bytes, end: at };
  });
}
