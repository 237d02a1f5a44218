// Files and directories by number, and the names that lead to them.
//
// I1. An inode is referenced by at most one entry of a directory that a path leads to, and by any
//     number of records of history and trash; without any it is gone, or is an orphan.
// I2. A directory's child count is the number of its entries.
// I3. A file's content never changes: a commit makes a new inode.
// I4. A directory that a path leads to has the parent, the name and the `since` of its entry. One
//     that has lost its name has no parent; those below it keep theirs. In the trash it keeps its
//     `since`; once no path can ever lead to it again, it has none (0): `standingOf`.

import { type InodeId, invariant, ROOT_INODE, type WallMs } from "@lumeofs/base";
import {
  type DirectoryInode,
  NO_POLICY,
  NO_QUOTA,
  NO_USAGE,
  recordParent,
  recordSince,
  withChildren,
} from "./directory-record.js";
import { encodeWhole, readWhole } from "./fields.js";
import {
  type DirectoryEntry,
  decodeEntry,
  decodeInode,
  encodeEntry,
  encodeInode,
  type Inode,
  readKind,
  writeKind,
} from "./inode-record.js";
import { entryKey, inodeKey, orphanKey } from "./keys.js";
import type { State, StateView } from "./state.js";

/** When a change happens: the log index and the state's time. */
export interface Moment {
  readonly index: number;
  readonly at: WallMs;
  /** Changes that the command has put into the feed so far: `emit` alone counts here. */
  readonly emitted: { count: number };
}

/** Where in a directory something is, or would be. */
export interface Place {
  readonly parent: InodeId;
  readonly name: string;
}

/** What nothing leads to any more, and is still to be freed piece by piece. */
export type Orphan =
  | { readonly kind: "directory" }
  /** The content of a long file: so many chunks from its beginning are left. */
  | { readonly kind: "file"; readonly chunks: number };

/** A directory that is still to get its name: `place` undefined for the root. */
export function emptyDirectory(now: Moment, place?: Place): DirectoryInode {
  return {
    kind: "directory",
    parent: place?.parent,
    childCount: 0,
    revision: now.index,
    modifiedAt: now.at,
    usage: NO_USAGE,
    quota: NO_QUOTA,
    policy: NO_POLICY,
    since: now.index,
    capturedAt: 0,
    createdAt: now.at,
    historyCount: 0,
    snapshotCount: 0,
    name: place?.name ?? "",
    metadata: {},
    tags: {},
  };
}

export function getInode(view: StateView, id: InodeId): Inode | undefined {
  const bytes = view.get(inodeKey(id));
  return bytes === undefined ? undefined : decodeInode(bytes);
}

/** An inode that an entry or another record names. */
export function mustGetInode(view: StateView, id: InodeId): Inode {
  const inode = getInode(view, id);
  invariant(inode !== undefined, "a named inode is in the table", { id });
  return inode;
}

/** A directory that an entry or another record names. */
export function mustGetDirectory(view: StateView, id: InodeId): DirectoryInode {
  const inode = mustGetInode(view, id);
  invariant(inode.kind === "directory", "a parent is a directory", { id });
  return inode;
}

/** @returns The record, as it was put. */
export function putInode(state: State, id: InodeId, inode: Inode): Uint8Array {
  const record = encodeInode(inode);
  state.put(inodeKey(id), record);
  return record;
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

/** What an entry leads to: in the entry itself, or in the table. */
export function getEntered(view: StateView, entry: DirectoryEntry): Inode | undefined {
  const { record, inode } = entry;
  return record === undefined ? getInode(view, inode) : decodeInode(record);
}

/** The entry of an inode since a log index. */
export function entryOf(id: InodeId, inode: Inode, since: number): DirectoryEntry {
  const record = inode.kind === "file" ? encodeInode(inode) : undefined;
  return { inode: id, kind: inode.kind, since, record };
}

/**
 * Whether a path leads to a directory now ("live"), may do so again ("trash"), or never will
 * ("gone"): then only snapshots still show it, if anything does.
 */
export function standingOf(view: StateView, directory: InodeId): "live" | "trash" | "gone" {
  for (let id = directory; id !== ROOT_INODE; ) {
    const record = view.get(inodeKey(id));
    if (record === undefined) return "gone";
    const parent = recordParent(record);
    if (parent === undefined) return recordSince(record) === 0 ? "gone" : "trash";
    id = parent;
  }
  return "live";
}

/** A directory that has lost its name for good. */
export function putGone(state: State, id: InodeId, directory: DirectoryInode): void {
  putInode(state, id, { ...directory, parent: undefined, since: 0 });
}

/** Adds a name that is not there yet. */
export function link(state: State, place: Place, entry: DirectoryEntry, now: Moment): void {
  state.put(entryKey(place.parent, place.name), encodeEntry(entry));
  countChildren(state, place.parent, 1, now);
}

/** Lets a name that is there lead to another inode. */
export function relink(state: State, place: Place, entry: DirectoryEntry, now: Moment): void {
  state.put(entryKey(place.parent, place.name), encodeEntry(entry));
  countChildren(state, place.parent, 0, now);
}

/** Repeats in the entry of a file what has changed in its record. */
export function rewriteEntry(state: State, place: Place, entry: DirectoryEntry): void {
  state.put(entryKey(place.parent, place.name), encodeEntry(entry));
}

/** Takes away a name that is there. */
export function unlink(state: State, place: Place, now: Moment): void {
  state.delete(entryKey(place.parent, place.name));
  countChildren(state, place.parent, -1, now);
}

export function putOrphan(state: State, id: InodeId, orphan: Orphan): void {
  const chunks = orphan.kind === "file" ? orphan.chunks : 0;
  state.put(
    orphanKey(id),
    encodeWhole((writer) => writeKind(writer, orphan.kind).u53(chunks)),
  );
}

export function getOrphan(view: StateView, id: InodeId): Orphan | undefined {
  const bytes = view.get(orphanKey(id));
  return bytes === undefined ? undefined : decodeOrphan(bytes);
}

export function decodeOrphan(bytes: Uint8Array): Orphan {
  return readWhole("orphan record", bytes, (reader) => {
    const kind = readKind(reader);
    const chunks = reader.u53();
    return kind === "directory" ? { kind } : { kind, chunks };
  });
}

export function deleteOrphan(state: State, id: InodeId): void {
  state.delete(orphanKey(id));
}

/** Patches the record: a whole one is read and written for every file that is made. */
function countChildren(state: State, id: InodeId, change: number, now: Moment): void {
  const record = state.get(inodeKey(id));
  invariant(record !== undefined, "a parent is in the table", { id });
  state.put(inodeKey(id), withChildren(record, change, now));
}
