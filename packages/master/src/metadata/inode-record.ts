// The bytes of inodes, and of the entries that lead to them. What few files have (a shared content,
// an end, attributes) costs the others one bit.
//
// E1. The entry of a file holds the file's record besides, byte for byte as the table of inodes
//     has it, unless that is longer than ENTRY_RECORD_BYTES_MAX: so a directory is listed by
//     reading one range, and a file is found by one look-up. Directories change with everything
//     below them, and are never held twice.

import {
  type ByteReader,
  type ByteWriter,
  type ChunkHandle,
  type Code,
  chunkHandle,
  type InodeId,
  inodeId,
  type WallMs,
  wallMs,
} from "@lumeofs/base";
import type { Labels } from "./attributes.js";
import { readCode, writeCode } from "./coding-codec.js";
import { type DirectoryInode, readDirectory, writeDirectory } from "./directory-record.js";
import {
  corrupt,
  encodeValue,
  readIds,
  readLabels,
  readText,
  readWhole,
  writeLabels,
  writeList,
  writeNumber,
  writeText,
} from "./fields.js";

export interface FileInode {
  readonly kind: "file";
  readonly sizeBytes: number;
  readonly crc32c: number;
  readonly chunkSizeBytes: number;
  readonly replicas: number;
  /**
   * What it is meant to be coded as, undefined for copies. Each chunk's record says what it is:
   * they differ while a file is converted, or appended to.
   */
  readonly code: Code | undefined;
  /** Log index of the commit. */
  readonly revision: number;
  readonly createdAt: WallMs;
  readonly modifiedAt: WallMs;
  readonly chunkCount: number;
  /** The chunks of a short file. A longer one has none here and pages instead. */
  readonly inline: readonly ChunkHandle[];
  /** The inode whose content it shares; undefined for a content of its own: `contentOf`. */
  readonly content: InodeId | undefined;
  /** Chunks before the last are not all `chunkSizeBytes` long: something was appended. */
  readonly isUneven: boolean;
  /**
   * The revision since which it was only appended to: its content at every revision from there on
   * is a beginning of what it is now. Undefined where that is `revision` itself.
   */
  readonly grownSince: number | undefined;
  /** What is appended at present lies in this growing chunk, behind all others: `tails.ts`. */
  readonly tail: ChunkHandle | undefined;
  /** It is removed at this time; 0 for never. */
  readonly expiresAt: WallMs;
  /** "" if nobody has said it. */
  readonly contentType: string;
  readonly metadata: Labels;
  readonly tags: Labels;
}

export type Inode = FileInode | DirectoryInode;

export interface DirectoryEntry {
  readonly inode: InodeId;
  readonly kind: Inode["kind"];
  /** Log index since which this name leads to this inode. */
  readonly since: number;
  /** The record of a file (E1); undefined for a directory, and read back for a long record too. */
  readonly record: Uint8Array | undefined;
}

/** A longer record of a file, which has much metadata, is not kept in its entry too. */
export const ENTRY_RECORD_BYTES_MAX = 512;

/** Entries have got the record of a file with version 3. */
const ENTRY_VERSION = 3;
/** An entry before the record that it holds: version, inode, kind, since. */
const ENTRY_BYTES = 18;
/** The numbers of a file come behind version and kind of its record. */
const NUMBERS_AT = ENTRY_BYTES + 2;
export const FILE_NUMBERS_BYTES = 49;

export const NEVER = wallMs(0);

/** Version 3: policies of directories say how files are coded, and so do files. */
const INODE_VERSION = 3;
const KIND = { file: 1, directory: 2 } as const;
/** In the place of a file's kind: its code comes behind the other fields. */
const CODED_FILE = 3;
/** Which of a file's rare fields follow, in this order. */
const HAS = {
  content: 1,
  expiresAt: 2,
  contentType: 4,
  metadata: 8,
  tags: 16,
  unevenChunks: 32,
  tail: 64,
  grownSince: 128,
} as const;
const NO_LABELS: Labels = Object.freeze({});

/** Under which number the chunks of a file are kept: its own, or that of a file it shares with. */
export function contentOf(id: InodeId, file: FileInode): InodeId {
  return file.content ?? id;
}

export function encodeInode(inode: Inode): Uint8Array {
  return encodeValue(inode, writeInode, INODE_VERSION);
}

export function decodeInode(bytes: Uint8Array): Inode {
  return readWhole("inode record", bytes, readInode, INODE_VERSION);
}

/** An inode inside something else. */
export function writeInode(w: ByteWriter, inode: Inode): void {
  const { kind } = inode;
  if (kind === "directory") {
    writeDirectory(w.u8(KIND[kind]), inode);
  } else if (inode.code === undefined) {
    writeFile(w.u8(KIND[kind]), inode);
  } else {
    writeFile(w.u8(CODED_FILE), inode);
    writeCode(w, inode.code);
  }
}

export function readInode(r: ByteReader): Inode {
  const kind = r.u8();
  if (kind === KIND.file) return readFile(r, false);
  if (kind === CODED_FILE) return readFile(r, true);
  if (kind === KIND.directory) return readDirectory(r);
  throw corrupt("inode kind", `it is ${kind}`);
}

export function encodeEntry(entry: DirectoryEntry): Uint8Array {
  return encodeValue(entry, writeEntry, ENTRY_VERSION);
}

function writeEntry(w: ByteWriter, { inode, kind, since, record }: DirectoryEntry): void {
  w.u53(inode).u8(KIND[kind]).u53(since);
  if (record !== undefined && record.byteLength <= ENTRY_RECORD_BYTES_MAX) w.bytes(record);
}

export function decodeEntry(bytes: Uint8Array): DirectoryEntry {
  return readWhole("directory entry", bytes, readEntry, ENTRY_VERSION);
}

function readEntry(r: ByteReader): DirectoryEntry {
  const inode = inodeId(r.u53());
  const kind = readKind(r);
  const since = r.u53();
  const isHeld = kind === "file" && 0 < r.remaining;
  return { inode, kind, since, record: isHeld ? r.bytes(r.remaining) : undefined };
}

export function writeKind(writer: ByteWriter, kind: Inode["kind"]): ByteWriter {
  return writer.u8(KIND[kind]);
}

export function readKind(reader: ByteReader): Inode["kind"] {
  const kind = reader.u8();
  if (kind === KIND.file) return "file";
  if (kind === KIND.directory) return "directory";
  throw corrupt("inode kind", `it is ${kind}`);
}

function writeFile(w: ByteWriter, file: FileInode): void {
  w.u53(file.sizeBytes).u32(file.crc32c).u32(file.chunkSizeBytes).u8(file.replicas);
  w.u53(file.revision).u53(file.createdAt).u53(file.modifiedAt).u53(file.chunkCount);
  writeList(w, file.inline, writeNumber);
  const has = rareFieldsOf(file);
  w.u8(has);
  if (has === 0) return;
  if (file.content !== undefined) w.u53(file.content);
  if (file.expiresAt !== NEVER) w.u53(file.expiresAt);
  if (file.contentType !== "") writeText(w, file.contentType);
  if (has & HAS.metadata) writeLabels(w, file.metadata);
  if (has & HAS.tags) writeLabels(w, file.tags);
  if (file.tail !== undefined) w.u53(file.tail);
  if (file.grownSince !== undefined) w.u53(file.grownSince);
}

/**
 * The numbers of a file, as they lie in an entry that holds its record, if the file has neither
 * end, content type, metadata nor tags, and nothing was appended to it: size, CRC32C (u32), chunk
 * size (u32), replicas (u8), revision, created at, modified at and chunk count (u53 where nothing
 * is said). Undefined for all others, also for coded files.
 *
 * For listings: reading and writing them one by one costs ten times as much as copying them.
 *
 * @returns Where the FILE_NUMBERS_BYTES begin.
 */
export function fileNumbersAt(entry: Uint8Array): number | undefined {
  const inlineAt = NUMBERS_AT + FILE_NUMBERS_BYTES;
  if (entry.byteLength <= inlineAt + 4 || entry[0] !== ENTRY_VERSION) return undefined;
  if (entry[ENTRY_BYTES] !== INODE_VERSION || entry[NUMBERS_AT - 1] !== KIND.file) return undefined;
  const inlineCount = entry[inlineAt] as number; // little-endian, and at most 8
  const has = entry[inlineAt + 4 + 8 * inlineCount];
  return has !== undefined && (has & ~HAS.content) === 0 ? NUMBERS_AT : undefined;
}

/** Field by field into one object: spreading costs as much as all the reading. */
function readFile(r: ByteReader, isCoded: boolean): FileInode {
  const sizeBytes = r.u53();
  const crc32c = r.u32();
  const chunkSizeBytes = r.u32();
  const replicas = r.u8();
  const revision = r.u53();
  const createdAt = wallMs(r.u53());
  const modifiedAt = wallMs(r.u53());
  const chunkCount = r.u53();
  const inline = readIds(r, chunkHandle);
  const has = r.u8();
  return {
    kind: "file",
    sizeBytes,
    crc32c,
    chunkSizeBytes,
    replicas,
    revision,
    createdAt,
    modifiedAt,
    chunkCount,
    inline,
    content: has & HAS.content ? inodeId(r.u53()) : undefined,
    isUneven: (has & HAS.unevenChunks) !== 0,
    expiresAt: has & HAS.expiresAt ? wallMs(r.u53()) : NEVER,
    contentType: has & HAS.contentType ? readText(r) : "",
    metadata: has & HAS.metadata ? readLabels(r) : NO_LABELS,
    tags: has & HAS.tags ? readLabels(r) : NO_LABELS,
    tail: has & HAS.tail ? chunkHandle(r.u53()) : undefined,
    grownSince: has & HAS.grownSince ? r.u53() : undefined,
    code: isCoded ? readCode(r) : undefined,
  };
}

function rareFieldsOf(file: FileInode): number {
  return (
    (file.content === undefined ? 0 : HAS.content) |
    (file.expiresAt === NEVER ? 0 : HAS.expiresAt) |
    (file.contentType === "" ? 0 : HAS.contentType) |
    (isEmpty(file.metadata) ? 0 : HAS.metadata) |
    (isEmpty(file.tags) ? 0 : HAS.tags) |
    (file.isUneven ? HAS.unevenChunks : 0) |
    (file.tail === undefined ? 0 : HAS.tail) |
    (file.grownSince === undefined ? 0 : HAS.grownSince)
  );
}

function isEmpty(labels: Labels): boolean {
  for (const _ in labels) return false;
  return true;
}
