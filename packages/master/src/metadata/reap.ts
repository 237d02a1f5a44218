// Freeing what nothing leads to any more. A file with few chunks is freed at once; a long file or a
// directory becomes an orphan, and the leader proposes commands that free it a bounded piece at a
// time. Nothing can be added to an orphan: every path begins at the root.

import type { InodeId } from "@lumeofs/base";
import { deletePage, getPage, PAGE_CHUNKS, releaseChunks } from "./chunk-table.js";
import type { DirectoryInode } from "./directory-record.js";
import type { FileInode } from "./inode-record.js";
import {
  deleteInode,
  deleteOrphan,
  getEntry,
  getInode,
  getOrphan,
  type Moment,
  mustGetInode,
  putInode,
  putOrphan,
  unlink,
} from "./inodes.js";
import type { State } from "./state.js";

/** Frees a file that has just lost its name. */
export function freeFile(state: State, id: InodeId, file: FileInode, now: Moment): void {
  deleteInode(state, id);
  if (file.inline.length < file.chunkCount) {
    putOrphan(state, id, { kind: "file", chunks: file.chunkCount });
  } else {
    releaseChunks(state, file.inline, now.at);
  }
}

/** Frees a directory that has just lost its name. */
export function detachDirectory(state: State, id: InodeId, directory: DirectoryInode): void {
  if (directory.childCount === 0) return deleteInode(state, id);
  putInode(state, id, { ...directory, parent: undefined });
  putOrphan(state, id, { kind: "directory" });
}

/** Frees the named children of an orphan, then the orphan if it is empty. Repeating is harmless. */
export function reapDirectory(
  state: State,
  id: InodeId,
  names: readonly string[],
  now: Moment,
): void {
  if (getOrphan(state, id)?.kind !== "directory") return;
  for (const name of names) {
    const entry = getEntry(state, id, name);
    if (entry === undefined) continue;
    unlink(state, { parent: id, name }, now);
    const child = mustGetInode(state, entry.inode);
    if (child.kind === "directory") detachDirectory(state, entry.inode, child);
    else freeFile(state, entry.inode, child, now);
  }
  const rest = getInode(state, id);
  if (rest?.kind === "directory" && rest.childCount === 0) {
    deleteInode(state, id);
    deleteOrphan(state, id);
  }
}

/** Frees up to `pages` pages from the end of an orphaned content. Repeating is harmless. */
export function reapFile(state: State, id: InodeId, pages: number, now: Moment): void {
  const orphan = getOrphan(state, id);
  if (orphan?.kind !== "file") return;
  let left = orphan.chunks;
  for (let done = 0; done < pages && 0 < left; done++) {
    const page = Math.ceil(left / PAGE_CHUNKS) - 1;
    releaseChunks(state, getPage(state, id, page), now.at);
    deletePage(state, id, page);
    left = page * PAGE_CHUNKS;
  }
  if (0 < left) putOrphan(state, id, { kind: "file", chunks: left });
  else deleteOrphan(state, id);
}
