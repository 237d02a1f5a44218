// Files and directories by number, and the names that lead to them.
//
// I1. An inode other than the root is reached by exactly one entry, or is an orphan.
// I2. A directory's child count is the number of its entries.
// I3. A file's content never changes: a commit makes a new inode.

import {
  type ByteReader,
  type ByteWriter,
  type ChunkHandle,
  chunkHandle,
  type InodeId,
  inodeId,
  invariant,
  type WallMs,
  wallMs,
} from "@lumeofs/base";
import { corrupt, encodeWhole, readIds, readWhole, writeList, writeNumber } from "./fields.js";
import { entryKey, inodeKey, orphanKey } from "./keys.js";
import type { State, StateView } from "./state.js";

export interface FileInode {
  readonly kind: "file";
  readonly sizeBytes: number;
  readonly crc32c: number;
  readonly chunkSizeBytes: number;
  readonly replicas: number;
  /** Log index of the commit. */
  readonly revision: number;
  readonly createdAt: WallMs;
  readonly modifiedAt: WallMs;
  readonly chunkCount: number;
  /** The chunks of a short file. A longer one has none here and pages instead. */
  readonly inline: readonly ChunkHandle[];
}

export interface DirectoryInode {
  readonly kind: "directory";
  readonly childCount: number;
  /** Log index of the last change of its entries. */
  readonly revision: number;
  readonly createdAt: WallMs;
  readonly modifiedAt: WallMs;
}

export type Inode = FileInode | DirectoryInode;

export interface DirectoryEntry {
  readonly inode: InodeId;
  readonly kind: Inode["kind"];
}

/** When a change happens: the log index and the state's time. */
export interface Moment {
  readonly index: number;
  readonly at: WallMs;
  /** Changes that the command has put into the feed so far: `emit` alone counts here. */
  readonly emitted: { count: number };
}

const KIND = { file: 1, directory: 2 } as const;

export function emptyDirectory(now: Moment): DirectoryInode {
  return {
    kind: "directory",
    childCount: 0,
    revision: now.index,
    createdAt: now.at,
    modifiedAt: now.at,
  };
}

export function getInode(view: StateView, id: InodeId): Inode | undefined {
  const bytes = view.get(inodeKey(id));
  return bytes === undefined ? undefined : decodeInode(bytes);
}

/** An inode that an entry or the orphan table names. */
export function mustGetInode(view: StateView, id: InodeId): Inode {
  const inode = getInode(view, id);
  invariant(inode !== undefined, "a named inode is in the table", { id });
  return inode;
}

export function putInode(state: State, id: InodeId, inode: Inode): void {
  state.put(inodeKey(id), encodeInode(inode));
}

export function deleteInode(state: State, id: InodeId): void {
  state.delete(inodeKey(id));
}

export function getEntry(
  view: StateView,
  parent: InodeId,
  name: string,
): DirectoryEntry | undefined {
  const bytes = view.get(entryKey(parent, name));
  return bytes === undefined ? undefined : decodeEntry(bytes);
}

/** Adds a name that is not there yet. */
export function link(
  state: State,
  place: { readonly parent: InodeId; readonly name: string },
  entry: DirectoryEntry,
  now: Moment,
): void {
  state.put(entryKey(place.parent, place.name), encodeEntry(entry));
  countChildren(state, place.parent, 1, now);
}

/** Lets a name that is there lead to another inode. */
export function relink(
  state: State,
  place: { readonly parent: InodeId; readonly name: string },
  entry: DirectoryEntry,
  now: Moment,
): void {
  state.put(entryKey(place.parent, place.name), encodeEntry(entry));
  countChildren(state, place.parent, 0, now);
}

/** Takes away a name that is there. */
export function unlink(
  state: State,
  place: { readonly parent: InodeId; readonly name: string },
  now: Moment,
): void {
  state.delete(entryKey(place.parent, place.name));
  countChildren(state, place.parent, -1, now);
}

/** Notes that an inode without a name is still to be freed, piece by piece. */
export function putOrphan(state: State, id: InodeId, kind: Inode["kind"]): void {
  state.put(
    orphanKey(id),
    encodeWhole((writer) => writer.u8(KIND[kind])),
  );
}

export function getOrphan(view: StateView, id: InodeId): Inode["kind"] | undefined {
  const bytes = view.get(orphanKey(id));
  return bytes === undefined ? undefined : decodeOrphan(bytes);
}

export function decodeOrphan(bytes: Uint8Array): Inode["kind"] {
  return readWhole("orphan record", bytes, readKind);
}

export function deleteOrphan(state: State, id: InodeId): void {
  state.delete(orphanKey(id));
}

export function encodeInode(inode: Inode): Uint8Array {
  return encodeWhole((writer) => writeInode(writer, inode));
}

function writeInode(w: ByteWriter, inode: Inode): void {
  w.u8(KIND[inode.kind]);
  if (inode.kind === "directory") {
    w.u53(inode.childCount).u53(inode.revision).u53(inode.createdAt).u53(inode.modifiedAt);
    return;
  }
  w.u53(inode.sizeBytes).u32(inode.crc32c).u32(inode.chunkSizeBytes).u8(inode.replicas);
  w.u53(inode.revision).u53(inode.createdAt).u53(inode.modifiedAt).u53(inode.chunkCount);
  writeList(w, inode.inline, writeNumber);
}

export function decodeInode(bytes: Uint8Array): Inode {
  return readWhole("inode record", bytes, (r) =>
    readKind(r) === "directory" ? readDirectory(r) : readFile(r),
  );
}

export function encodeEntry(entry: DirectoryEntry): Uint8Array {
  return encodeWhole((writer) => writer.u53(entry.inode).u8(KIND[entry.kind]));
}

export function decodeEntry(bytes: Uint8Array): DirectoryEntry {
  return readWhole("directory entry", bytes, (r) => ({
    inode: inodeId(r.u53()),
    kind: readKind(r),
  }));
}

function countChildren(state: State, id: InodeId, change: number, now: Moment): void {
  const directory = mustGetInode(state, id);
  invariant(directory.kind === "directory", "a parent is a directory", { id });
  const childCount = directory.childCount + change;
  invariant(0 <= childCount, "a child count is not negative", { id, childCount });
  putInode(state, id, { ...directory, childCount, revision: now.index, modifiedAt: now.at });
}

function readKind(reader: ByteReader): Inode["kind"] {
  const kind = reader.u8();
  if (kind === KIND.file) return "file";
  if (kind === KIND.directory) return "directory";
  throw corrupt("inode kind", `it is ${kind}`);
}

function readDirectory(r: ByteReader): DirectoryInode {
  return {
    kind: "directory",
    childCount: r.u53(),
    revision: r.u53(),
    createdAt: wallMs(r.u53()),
    modifiedAt: wallMs(r.u53()),
  };
}

function readFile(r: ByteReader): FileInode {
  return {
    kind: "file",
    sizeBytes: r.u53(),
    crc32c: r.u32(),
    chunkSizeBytes: r.u32(),
    replicas: r.u8(),
    revision: r.u53(),
    createdAt: wallMs(r.u53()),
    modifiedAt: wallMs(r.u53()),
    chunkCount: r.u53(),
    inline: readIds(r, chunkHandle),
  };
}
