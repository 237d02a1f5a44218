// Removing files whose time is over: expiry.ts says where to look for them.

import { wallMs } from "@lumeofs/base";
import type { DueFile } from "./command.js";
import { cancelExpiry, DETACHED_RETRY_MS, scheduleExpiry } from "./expiry.js";
import { getEntry, getInode, type Moment } from "./inodes.js";
import { expiryKey } from "./keys.js";
import type { State } from "./state.js";
import { livePath, removeFound } from "./tree.js";

/** Removes those of the files that are due. Repeating is harmless. */
export function expireFiles(state: State, files: readonly DueFile[], now: Moment): void {
  for (const file of files) expireFile(state, file, now);
}

function expireFile(state: State, due: DueFile, now: Moment): void {
  const { at, parent, name } = due;
  const place = { parent, name };
  if (now.at < at || state.get(expiryKey(at, parent, name)) === undefined) return;
  cancelExpiry(state, place, at);
  const entry = getEntry(state, parent, name);
  const inode = entry === undefined ? undefined : getInode(state, entry.inode);
  // A file that has got more time since, or that took this one's place, has a record of its own.
  if (entry === undefined || inode?.kind !== "file") return;
  if (inode.expiresAt === 0 || now.at < inode.expiresAt) return;
  const directory = livePath(state, parent);
  if (directory === undefined) {
    scheduleExpiry(state, place, entry.inode, wallMs(now.at + DETACHED_RETRY_MS));
    return;
  }
  const path = directory === "/" ? `/${name}` : `${directory}/${name}`;
  const found = { kind: "file", id: entry.inode, inode, place, since: entry.since } as const;
  removeFound(state, found, path, now);
}
