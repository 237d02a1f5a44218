// Freeing, a bounded piece at a time, what nothing refers to any more: directories with all that
// they have, and the contents of long files. The leader names the pieces. Nothing can be added to
// an orphan: every path begins at the root.

import type { InodeId } from "@lumeofs/base";
import { deletePage, getPage, PAGE_CHUNKS, releaseChunks } from "./chunk-table.js";
import type { DutyCommand } from "./command.js";
import { cancelExpiry } from "./expiry.js";
import { dropRecord } from "./history.js";
import {
  deleteInode,
  deleteOrphan,
  getEntry,
  getOrphan,
  type Moment,
  mustGetDirectory,
  mustGetInode,
  putGone,
  putOrphan,
  unlink,
} from "./inodes.js";
import { releaseInode } from "./references.js";
import { dropSnapshot } from "./snapshots.js";
import type { State } from "./state.js";
import { releaseTail } from "./tail-table.js";

/** Frees what an orphan has, then the orphan if nothing is left. Repeating is harmless. */
export function reapDirectory(
  state: State,
  command: Extract<DutyCommand, { kind: "reapDirectory" }>,
  now: Moment,
): void {
  const { directory: id, names, history, snapshots } = command;
  if (getOrphan(state, id)?.kind !== "directory") return;
  for (const name of names) reapEntry(state, id, name, now);
  for (const { name, ended } of history) dropRecord(state, { parent: id, name, ended }, now);
  for (const name of snapshots) dropSnapshot(state, id, name);
  const { childCount, historyCount, snapshotCount } = mustGetDirectory(state, id);
  if (childCount !== 0 || historyCount !== 0 || snapshotCount !== 0) return;
  deleteInode(state, id);
  deleteOrphan(state, id);
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

function reapEntry(state: State, parent: InodeId, name: string, now: Moment): void {
  const entry = getEntry(state, parent, name);
  if (entry === undefined) return;
  unlink(state, { parent, name }, now);
  const inode = mustGetInode(state, entry.inode);
  if (inode.kind === "file") {
    cancelExpiry(state, { parent, name }, inode.expiresAt);
    if (inode.tail !== undefined) releaseTail(state, inode.tail, now.at);
  } else putGone(state, entry.inode, inode);
  releaseInode(state, entry.inode, now);
}
