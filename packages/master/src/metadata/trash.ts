// The trash: what was removed where a policy keeps removed things for a while. It leaves the tree
// at once, with all in it, and comes back as it was, or goes for good when its time is over.
//
// T1. A record of the trash is one reference to its inode.
// T2. A directory in the trash has no parent: nothing changes in it, nothing above counts it.

import { type InodeId, inodeId, type WallMs, wallMs } from "@lumeofs/base";
import { COMMAND_ITEMS_MAX, DONE, quoted, type Refused, type Reply, refuse } from "./command.js";
import type { Usage } from "./directory-record.js";
import { encodeWhole, readText, readWhole, writeText } from "./fields.js";
import { type Inode, readKind, writeKind } from "./inode-record.js";
import { type Moment, mustGetInode, putGone } from "./inodes.js";
import { trashKey } from "./keys.js";
import { type Path, parsePath } from "./path.js";
import { releaseInode } from "./references.js";
import type { State, StateView } from "./state.js";
import { linkAgain, makeParents, takeFound } from "./tree.js";
import { usageOf } from "./usage.js";
import { type Found, refuseExisting, refuseUnreached, walk } from "./walk.js";

/** Something that was removed; its id is the log index of the removal. */
export interface TrashItem {
  readonly inode: InodeId;
  readonly kind: Inode["kind"];
  /** Where it was. */
  readonly path: string;
  readonly at: WallMs;
  readonly expiresAt: WallMs;
  /** What its removal took out of the directories above. */
  readonly usage: Usage;
}

/** Takes a name away and keeps what it led to for `keepMs`. */
export function throwAway(
  state: State,
  thing: { readonly found: Found; readonly path: string; readonly keepMs: number },
  now: Moment,
): void {
  const { found, path, keepMs } = thing;
  takeFound(state, found, path, now);
  const { id: inode, kind } = found;
  const usage = usageOf(found.inode);
  const item = { inode, kind, path, at: now.at, expiresAt: wallMs(now.at + keepMs), usage };
  state.put(trashKey(now.index), encodeTrashItem(item));
}

/** Puts something back to where it was, or elsewhere. Directories on the way are made. */
export function restoreTrash(
  state: State,
  command: { readonly id: number; readonly target: string | undefined },
  now: Moment,
): Reply {
  const { id } = command;
  const item = getTrashItem(state, id);
  if (item === undefined) {
    return refuse("NOT_FOUND", `Cannot restore ${id}: it is not in the trash; list what is`);
  }
  const path = parsePath(command.target ?? item.path);
  if (path.kind === "refused") return path;
  state.delete(trashKey(id));
  return restoreTo(state, item, path, now) ?? DONE;
}

/** Frees things in the trash; those that are not there any more are no error. */
export function purgeTrash(state: State, ids: readonly number[], now: Moment): Reply {
  if (COMMAND_ITEMS_MAX < ids.length) {
    const limit = `at most ${COMMAND_ITEMS_MAX} at once`;
    return refuse("INVALID_ARGUMENT", `Cannot free ${ids.length} things in the trash: ${limit}`);
  }
  for (const id of ids) {
    const item = getTrashItem(state, id);
    if (item === undefined) continue;
    state.delete(trashKey(id));
    const inode = mustGetInode(state, item.inode);
    if (inode.kind === "directory") putGone(state, item.inode, inode);
    releaseInode(state, item.inode, now);
  }
  return DONE;
}

export function getTrashItem(view: StateView, id: number): TrashItem | undefined {
  const bytes = view.get(trashKey(id));
  return bytes === undefined ? undefined : decodeTrashItem(bytes);
}

export function encodeTrashItem(item: TrashItem): Uint8Array {
  const { usage } = item;
  return encodeWhole((w) => {
    writeText(writeKind(w.u53(item.inode), item.kind), item.path);
    w.u53(item.at).u53(item.expiresAt);
    w.u53(usage.sizeBytes).u53(usage.files).u53(usage.directories);
  });
}

export function decodeTrashItem(bytes: Uint8Array): TrashItem {
  return readWhole("trash record", bytes, (r) => ({
    inode: inodeId(r.u53()),
    kind: readKind(r),
    path: readText(r),
    at: wallMs(r.u53()),
    expiresAt: wallMs(r.u53()),
    usage: { sizeBytes: r.u53(), files: r.u53(), directories: r.u53() },
  }));
}

function restoreTo(state: State, item: TrashItem, path: Path, now: Moment): Refused | undefined {
  const walked = walk(state, path);
  switch (walked.kind) {
    case "root":
      return refuseExisting("restore to", path, "directory");
    case "file":
    case "directory":
      return refuseExisting("restore to", path, walked.kind);
    case "blocked":
      return refuseUnreached("restore to", path, walked);
    case "missing": {
      const what = `Cannot restore ${quoted(path.text)}`;
      const place = makeParents(state, path, walked, now);
      return linkAgain(state, item.inode, { what, place, path: path.text }, now);
    }
  }
}
