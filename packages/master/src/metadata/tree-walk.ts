// Everything in the namespace, directory by directory, out of a state that does not change.

import { type InodeId, invariant, ROOT_INODE } from "@lumeofs/base";
import { type DirectoryEntry, decodeEntry } from "./inode-record.js";
import { getEntered, mustGetInode } from "./inodes.js";
import { entriesAfter, nameOf } from "./keys.js";
import type { NamedInode } from "./queries.js";
import type { StateReader } from "./state.js";

/** Names read at once. */
const PAGE = 1_000;

/** A directory that is being walked: what is left of the page that was read. */
interface Level {
  readonly directory: InodeId;
  readonly path: string;
  names: readonly { readonly name: string; readonly entry: DirectoryEntry }[];
  next: number;
  after: string;
  isEnd: boolean;
}

/** The root first; each directory right before what is in it; names in byte order. */
export async function* walkTree(reader: StateReader): AsyncGenerator<NamedInode, void, undefined> {
  const root = mustGetInode(reader, ROOT_INODE);
  yield { kind: "found", path: "/", id: ROOT_INODE, inode: root };
  const levels: Level[] = [levelOf(ROOT_INODE, "")];
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const named = level.names[level.next++];
    if (named === undefined) {
      if (level.isEnd) levels.pop();
      else await load(reader, level);
      continue;
    }
    const path = `${level.path}/${named.name}`;
    const { inode: id } = named.entry;
    const inode = getEntered(reader, named.entry);
    invariant(inode !== undefined, "what an entry leads to is in the table", { id });
    yield { kind: "found", path, id, inode };
    if (inode.kind === "directory") levels.push(levelOf(id, path));
  }
}

function levelOf(directory: InodeId, path: string): Level {
  return { directory, path, names: [], next: 0, after: "", isEnd: false };
}

async function load(reader: StateReader, level: Level): Promise<void> {
  const { from, to } = entriesAfter(level.directory, level.after);
  const pairs = await reader.range(from, to, PAGE);
  level.names = pairs.map(([key, value]) => ({ name: nameOf(key), entry: decodeEntry(value) }));
  level.next = 0;
  level.after = level.names.at(-1)?.name ?? level.after;
  level.isEnd = pairs.length < PAGE;
}
