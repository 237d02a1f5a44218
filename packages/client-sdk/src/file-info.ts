// What users see of files and directories.

import { type Code, codedBytes, formatCode, unitLength } from "@lumeofs/base";
import { formatEtag } from "./etag.js";
import type {
  Freshness,
  InodeInfo,
  LocatedChunk,
  Policy,
  Quota,
  ReplicaState,
  Usage,
} from "./operations.js";
import type { KnownTail } from "./tail-reader.js";

/** A checksum of content, in hex. */
export interface Checksum {
  readonly algorithm: "crc32c";
  readonly value: string;
}

/** How a file survives the loss of servers. */
export interface Redundancy {
  /** Copies of what is not coded: see `FileInfo.layout`. */
  readonly replicas: number;
}

/** One copy of a chunk. */
export interface ReplicaInfo {
  /** Name of the chunkserver, such as "cs1". */
  readonly id: string;
  /** Number of its store. */
  readonly serverId: number;
  readonly address: string;
  readonly role: "primary" | "secondary";
  /** What the masters believe of the server. */
  readonly state: "alive" | "suspect" | "dead";
  /** This copy is known to be bad and is not read. */
  readonly damaged: boolean;
  /** Number of the unit that this server has of a coded chunk: data units first. */
  readonly unit?: number;
  /** What this server has of the chunk: all of it, or its unit. */
  readonly bytes: number;
}

/** One chunk of a file. */
export interface ChunkInfo {
  /** Position in the file, from 0. */
  readonly index: number;
  readonly handle: number;
  readonly epoch: number;
  /** Bytes. */
  readonly length: number;
  /** Of the chunk's bytes, in hex. */
  readonly crc32c: string;
  /**
   * "replicated"; the code of a chunk that is kept as units, such as "4+2"; or "inline" of one that
   * the masters keep themselves, each of them.
   */
  readonly layout: string;
  /** The primary first; of a coded chunk the holder of each unit; of an inline one nobody. */
  readonly replicas: readonly ReplicaInfo[];
}

/** A growing chunk, to which records are appended. */
export interface TailInfo {
  readonly handle: number;
  readonly epoch: number;
  /** Where it begins in the file. */
  readonly offset: number;
  /** Bytes of acknowledged records. */
  readonly length: number;
  /** The primary first. */
  readonly replicas: readonly ReplicaInfo[];
}

/** What a put has stored. */
export interface PutResult {
  readonly path: string;
  readonly version: string;
  readonly etag: string;
  readonly size: number;
  readonly checksum: Checksum;
  /** How many chunks the file has. */
  readonly chunks: number;
  readonly durationMs: number;
}

/** A file or directory. */
export interface FileInfo {
  readonly path: string;
  readonly kind: "file" | "dir";
  /** Bytes; 0 for a directory. */
  readonly size: number;
  /** Changes with every commit of a file; the same as `revision`, as text. */
  readonly version: string;
  /** Names this content of this file; for `ifMatch`. Empty for a directory. */
  readonly etag: string;
  readonly revision: number;
  readonly createdAt: Date;
  readonly modifiedAt: Date;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tags: Readonly<Record<string, string>>;
  /** Absent if none was given. */
  readonly contentType?: string;
  /** When the file will be removed; absent for never. */
  readonly expiresAt?: Date;
  /** Everything below; directories only. */
  readonly usage?: Usage;
  /** Set on this very directory; directories only. */
  readonly quota?: Quota;
  /** Set on this very directory; directories only. */
  readonly policy?: Policy;
  /** Files only. */
  readonly checksum?: Checksum;
  /** What the file is meant to be; files only. */
  readonly redundancy?: Redundancy;
  /** "replicated", or the code that the file is meant to have, such as "4+2"; files only. */
  readonly layout?: string;
  /**
   * What its content takes on all chunkservers together: with `stat(path, { chunks: true })` as its
   * chunks are, else as they are meant to be. Files only.
   */
  readonly bytesOnDisk?: number;
  /** Bytes of every chunk but the last; files only. */
  readonly chunkSize?: number;
  /** How many chunks the file has; files only. */
  readonly chunkCount?: number;
  /**
   * What is being appended at present: the last bytes of the file, in a growing chunk. Absent where
   * nothing is. `checksum`, `chunkCount` and `modifiedAt` are of what comes before.
   */
  readonly tail?: TailInfo;
  /** With `stat(path, { chunks: true })` only. */
  readonly chunks?: readonly ChunkInfo[];
  /** How fresh this is; where a consistency was asked for only. */
  readonly freshness?: Freshness;
}

export function toFileInfo(
  info: InodeInfo,
  chunks?: readonly LocatedChunk[],
  freshness?: Freshness,
  tail?: KnownTail,
): FileInfo {
  // One literal, then the rare fields: spreading parts together costs several times as much.
  const made = info.kind === "dir" ? directoryInfo(info) : fileInfo(info);
  if (info.contentType !== "") made.contentType = info.contentType;
  if (info.expiresAtMs !== 0) made.expiresAt = new Date(info.expiresAtMs);
  if (info.kind === "dir" && info.usage !== undefined) made.usage = info.usage;
  if (info.kind === "file" && chunks !== undefined) {
    made.chunks = chunks.map(toChunkInfo);
    made.bytesOnDisk = chunks.reduce((sum, chunk) => sum + keptBytes(chunk), 0);
  }
  if (freshness !== undefined) made.freshness = freshness;
  if (tail !== undefined) addTail(made, tail);
  return made;
}

type Writable<T> = { -readonly [Field in keyof T]: T[Field] };

function fileInfo(info: InodeInfo): Writable<FileInfo> {
  const { revision, crc32c } = info;
  return {
    path: info.path,
    kind: "file",
    size: info.sizeBytes,
    version: String(revision),
    revision,
    createdAt: new Date(info.createdAtMs),
    modifiedAt: new Date(info.modifiedAtMs),
    metadata: info.metadata,
    tags: info.tags,
    etag: formatEtag(revision, crc32c),
    checksum: toChecksum(crc32c),
    redundancy: { replicas: info.replicas },
    layout: layoutOf(info.code),
    bytesOnDisk: meantBytes(info),
    chunkSize: info.chunkBytes,
    chunkCount: info.chunkCount,
  };
}

function layoutOf(code: Code | undefined): string {
  return code === undefined ? "replicated" : formatCode(code);
}

/** As if all chunks were as the file is meant to be, and all but the last of them full. */
function meantBytes({ sizeBytes, chunkBytes, replicas, code }: InodeInfo): number {
  if (code === undefined) return replicas * sizeBytes;
  const full = chunkBytes === 0 ? 0 : Math.floor(sizeBytes / chunkBytes);
  return full * codedBytes(code, chunkBytes) + codedBytes(code, sizeBytes - full * chunkBytes);
}

/** What all chunkservers together have of a chunk. */
function keptBytes({ lengthBytes, replicas, coding }: LocatedChunk): number {
  return coding === undefined ? replicas.length * lengthBytes : codedBytes(coding, lengthBytes);
}

function addTail(made: Writable<FileInfo>, { location, state }: KnownTail): void {
  made.size += state.committedBytes;
  made.bytesOnDisk = (made.bytesOnDisk ?? 0) + location.replicas.length * state.committedBytes;
  made.etag = `${made.etag}-${state.committedBytes.toString(16)}`;
  made.tail = {
    handle: location.handle,
    epoch: location.epoch,
    offset: location.offset,
    length: state.committedBytes,
    replicas: location.replicas.map((replica) => toReplicaInfo(replica, state.committedBytes)),
  };
}

function directoryInfo(info: InodeInfo): Writable<FileInfo> {
  const { revision, quota, policy } = info;
  return {
    path: info.path,
    kind: "dir",
    size: info.sizeBytes,
    version: String(revision),
    revision,
    createdAt: new Date(info.createdAtMs),
    modifiedAt: new Date(info.modifiedAtMs),
    metadata: info.metadata,
    tags: info.tags,
    etag: "",
    quota,
    policy,
  };
}

export function toChecksum(crc32c: number): Checksum {
  return { algorithm: "crc32c", value: hex(crc32c) };
}

function toChunkInfo(chunk: LocatedChunk, index: number): ChunkInfo {
  return {
    index,
    handle: chunk.handle,
    epoch: chunk.epoch,
    length: chunk.lengthBytes,
    crc32c: hex(chunk.crc32c),
    layout: chunk.isInline ? "inline" : layoutOf(chunk.coding),
    replicas: chunk.replicas.map((replica, unit) => toHolderInfo(chunk, replica, unit)),
  };
}

/** Of one server of a chunk. */
function toHolderInfo(chunk: LocatedChunk, replica: ReplicaState, unit: number): ReplicaInfo {
  const { coding, lengthBytes } = chunk;
  if (coding === undefined) return toReplicaInfo(replica, lengthBytes);
  return { ...toReplicaInfo(replica, unitLength(coding, lengthBytes, unit)), unit };
}

function toReplicaInfo(replica: ReplicaState, bytes: number): ReplicaInfo {
  const { name, server, address, role, state, damaged } = replica;
  return { id: name, serverId: server, address, role, state, damaged, bytes };
}

function hex(crc32c: number): string {
  return crc32c.toString(16).padStart(8, "0");
}
