// Walking the tables of a state from their first record to the last, a page at a time, and saying
// where something is.

import { type InodeId, ROOT_INODE } from "@lumeofs/base";
import { getInode } from "../metadata/inodes.js";
import type { KeyRange } from "../metadata/keys.js";
import type { StateReader, StateView } from "../metadata/state.js";

/** Records read at once. */
export const PAGE = 500;
/** Directories above each other that a path is followed through. */
const DEPTH_MAX = 10_000;

export type Pair = readonly [key: Uint8Array, value: Uint8Array];

/** The records of a table, in the order of their keys. */
export async function* pagesOf(
  reader: StateReader,
  { from, to }: KeyRange,
): AsyncGenerator<readonly Pair[], void, undefined> {
  for (let next = from; ; ) {
    const page = await reader.range(next, to, PAGE);
    if (0 < page.length) yield page;
    const last = page.at(-1);
    if (page.length < PAGE || last === undefined) return;
    next = new Uint8Array([...last[0], 0]);
  }
}

/** The path of a name; of what no path leads to any more, as much as is known of it. */
export function pathOf(view: StateView, parent: InodeId, name: string): string {
  const names = [name];
  for (let id = parent, depth = 0; id !== ROOT_INODE; depth++) {
    const inode = getInode(view, id);
    const isLost = inode === undefined || inode.kind === "file" || DEPTH_MAX < depth;
    if (isLost) return `(directory ${id})/${names.toReversed().join("/")}`;
    if (inode.parent === undefined) return `(removed)/${names.toReversed().join("/")}`;
    names.push(inode.name);
    id = inode.parent;
  }
  return `/${names.toReversed().join("/")}`;
}

/** The path of a directory, as far as one leads there. */
export function pathOfDirectory(view: StateView, id: InodeId): string {
  if (id === ROOT_INODE) return "/";
  const inode = getInode(view, id);
  if (inode === undefined || inode.kind === "file" || inode.parent === undefined) return "";
  return pathOf(view, inode.parent, inode.name);
}
