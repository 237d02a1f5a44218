// Who still needs an inode, and who still needs a content. An entry, a record of history and one of
// the trash are a reference each; files that were copied share one content. What nobody refers to
// is freed at once if it is small; a long content or a directory becomes an orphan, which the
// leader frees a bounded piece at a time: reap.ts.
//
// Q1. An inode is in the table exactly while something refers to it, or while it is an orphan.
// Q2. A chunk is released exactly when the last file that has its content is freed.
// Q3. A count is kept only beyond the first reference: what is referred to once costs nothing.

import { type InodeId, invariant } from "@lumeofs/base";
import { releaseChunks } from "./chunk-table.js";
import { encodeWhole, readWhole } from "./fields.js";
import { contentOf, type FileInode } from "./inode-record.js";
import { deleteInode, type Moment, mustGetInode, putGone, putOrphan } from "./inodes.js";
import { contentReferencesKey, referencesKey } from "./keys.js";
import type { State, StateView } from "./state.js";

/** One more record refers to an inode. */
export function addReference(state: State, id: InodeId): void {
  change(state, referencesKey(id), 1);
}

/** Whether more than one record refers to an inode. */
export function isShared(view: StateView, id: InodeId): boolean {
  return view.get(referencesKey(id)) !== undefined;
}

/** One more file has this content. */
export function shareContent(state: State, content: InodeId): void {
  change(state, contentReferencesKey(content), 1);
}

/** Whether more than one file has this content. */
export function isContentShared(view: StateView, content: InodeId): boolean {
  return view.get(contentReferencesKey(content)) !== undefined;
}

/** A file leaves a content that others have, too. */
export function unshareContent(state: State, content: InodeId): void {
  const wasShared = lower(state, contentReferencesKey(content));
  invariant(wasShared, "a content that is left is shared", { content });
}

/** One record less refers to an inode. The last one takes it along. */
export function releaseInode(state: State, id: InodeId, now: Moment): void {
  if (lower(state, referencesKey(id))) return;
  const inode = mustGetInode(state, id);
  if (inode.kind === "file") {
    deleteInode(state, id);
    releaseContent(state, contentOf(id, inode), inode, now);
  } else if (inode.childCount === 0 && inode.historyCount === 0 && inode.snapshotCount === 0) {
    deleteInode(state, id);
  } else {
    putGone(state, id, inode);
    putOrphan(state, id, { kind: "directory" });
  }
}

export function countOf(record: Uint8Array): number {
  return readWhole("count of references", record, (r) => r.u53());
}

function releaseContent(state: State, content: InodeId, file: FileInode, now: Moment): void {
  if (lower(state, contentReferencesKey(content))) return;
  const { inline, chunkCount } = file;
  if (inline.length < chunkCount) putOrphan(state, content, { kind: "file", chunks: chunkCount });
  else releaseChunks(state, inline, now.at);
}

/** Takes one reference away; whether there was one beyond the first. */
function lower(state: State, key: Uint8Array): boolean {
  if (state.get(key) === undefined) return false;
  change(state, key, -1);
  return true;
}

function change(state: State, key: Uint8Array, more: 1 | -1): void {
  const record = state.get(key);
  const count = (record === undefined ? 0 : countOf(record)) + more;
  invariant(0 <= count, "a count of references is not negative", { count });
  if (count === 0) state.delete(key);
  else
    state.put(
      key,
      encodeWhole((writer) => writer.u53(count)),
    );
}
