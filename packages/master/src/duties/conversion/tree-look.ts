// A look at the files below a directory, or at one file, while the tree goes on changing. What is
// moved meanwhile may be met twice or not at all: whoever looks, looks again.

import type { InodeId } from "@lumeofs/base";
import type { FileInode } from "../../metadata/inode-record.js";
import { decodeEntry } from "../../metadata/inode-record.js";
import { getEntered, getInode } from "../../metadata/inodes.js";
import { entriesAfter, nameOf } from "../../metadata/keys.js";
import { parsePath } from "../../metadata/path.js";
import { type EffectivePolicy, effectivePolicy } from "../../metadata/policy.js";
import type { StateReader } from "../../metadata/state.js";
import { walk } from "../../metadata/walk.js";

/** Names read at once. */
const PAGE = 500;

export interface FoundFile {
  readonly parent: InodeId;
  readonly name: string;
  readonly id: InodeId;
  readonly inode: FileInode;
  readonly policy: EffectivePolicy;
}

/** Where a look begins. */
export interface LookFrom {
  readonly root: InodeId;
  /** Of a file: where it was. One that is there no more is not looked at. */
  readonly path: string;
  /** Files, and directories with all below them, that are left out. */
  readonly except: ReadonlySet<InodeId>;
}

/**
 * Files, each as it is when it is given out. Undefined comes after every piece of work that has
 * found none: so that nobody waits for long.
 */
export async function* lookAtTree(
  reader: StateReader,
  { root, path, except }: LookFrom,
): AsyncGenerator<FoundFile | undefined, void, undefined> {
  const node = getInode(reader, root);
  if (node?.kind === "file") {
    const file = fileAt(reader, path);
    if (file?.id === root) yield file;
    return;
  }
  const waiting: InodeId[] = [root];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for (let after = ""; ; ) {
      const { from, to } = entriesAfter(directory, after);
      const pairs = await reader.range(from, to, PAGE);
      for (const [key] of pairs) {
        after = nameOf(key);
        const found = atPlace(reader, directory, { key, name: after });
        if (found === undefined) continue;
        const isDirectory = typeof found === "number";
        if (except.has(isDirectory ? found : found.id)) continue;
        if (isDirectory) waiting.push(found);
        else yield found;
      }
      if (pairs.length < PAGE) break;
      yield undefined;
    }
    yield undefined;
  }
}

/** What a name leads to now: a file, or the number of a directory. */
function atPlace(
  reader: StateReader,
  parent: InodeId,
  { key, name }: { readonly key: Uint8Array; readonly name: string },
): FoundFile | InodeId | undefined {
  const value = reader.get(key);
  if (value === undefined || getInode(reader, parent) === undefined) return undefined;
  const entry = decodeEntry(value);
  if (entry.kind === "directory") return entry.inode;
  const inode = getEntered(reader, entry);
  if (inode?.kind !== "file") return undefined;
  const policy = effectivePolicy(reader, parent);
  return { parent, name, id: entry.inode, inode, policy };
}

function fileAt(reader: StateReader, text: string): FoundFile | undefined {
  const path = parsePath(text);
  if (path.kind === "refused") return undefined;
  const walked = walk(reader, path);
  if (walked.kind !== "file") return undefined;
  const { parent, name } = walked.place;
  const policy = effectivePolicy(reader, parent);
  return { parent, name, id: walked.id, inode: walked.inode, policy };
}
