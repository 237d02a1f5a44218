// Records that say what they are: what appenders add to files, and what is found in them again.
//
//   record  = mark "LREC"  id u32  seed f64  size u32  crc u32 of the 20 bytes before  body
//   body    = `size` bytes made from `seed`
//
// All numbers little-endian. A file that was only appended to is records, one behind the other.

import { nativeCrc32c } from "@lumeofs/node";
import { bytesOf, type Content } from "./content.js";

export interface SoakRecord {
  /** Unique among all records of a soak. */
  readonly id: number;
  readonly content: Content;
}

export type FoundRecord =
  | { readonly kind: "record"; readonly offset: number; readonly record: SoakRecord }
  /** What begins here is no whole record; nothing behind it was looked at. */
  | { readonly kind: "torn"; readonly offset: number; readonly why: string };

const MARK = 0x4345524c;
export const HEAD_BYTES = 24;
const CHECKED_BYTES = 20;

export async function encodeRecord({ id, content }: SoakRecord): Promise<Uint8Array> {
  const bytes = new Uint8Array(HEAD_BYTES + content.size);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MARK, true);
  view.setUint32(4, id, true);
  view.setFloat64(8, content.seed, true);
  view.setUint32(16, content.size, true);
  view.setUint32(CHECKED_BYTES, nativeCrc32c(bytes.subarray(0, CHECKED_BYTES)), true);
  bytes.set(await bytesOf(content), HEAD_BYTES);
  return bytes;
}

/** The records of a file, each compared with the bytes that its head promises. */
export async function findRecords(file: Uint8Array): Promise<readonly FoundRecord[]> {
  const found: FoundRecord[] = [];
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let offset = 0; offset < file.byteLength; ) {
    const record = readHead(view, offset);
    if (typeof record === "string") return [...found, { kind: "torn", offset, why: record }];
    const body = offset + HEAD_BYTES;
    const there = file.subarray(body, body + record.content.size);
    if (Buffer.compare(there, await bytesOf(record.content)) !== 0) {
      const why = `the body of record ${record.id} is short, or other bytes`;
      return [...found, { kind: "torn", offset, why }];
    }
    found.push({ kind: "record", offset, record });
    offset = body + record.content.size;
  }
  return found;
}

/** @returns Why there is no head, if there is none. */
function readHead(view: DataView, offset: number): SoakRecord | string {
  if (view.byteLength < offset + HEAD_BYTES) return "the file ends within a head";
  const head = new Uint8Array(view.buffer, view.byteOffset + offset, CHECKED_BYTES);
  const isHead = view.getUint32(offset, true) === MARK;
  if (!isHead || view.getUint32(offset + CHECKED_BYTES, true) !== nativeCrc32c(head)) {
    return "no head of a record";
  }
  const content = {
    seed: view.getFloat64(offset + 8, true),
    size: view.getUint32(offset + 16, true),
  };
  return { id: view.getUint32(offset + 4, true), content };
}
