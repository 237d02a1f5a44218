// Copies of files. A copy shares the content of its source: no bytes move, and a chunk is released
// when the last file that has it is gone. The source may be an earlier version, or lie in a
// snapshot: finding those takes a walk through history, so the leader has looked up its inode, and
// apply only sees whether it is still there.

import { inodeId } from "@lumeofs/base";
import { type Command, quoted, type Refused, type Reply, refuse } from "./command.js";
import { takeNumber } from "./counters.js";
import { expiryOfFile } from "./expiry.js";
import { contentOf, type FileInode } from "./inode-record.js";
import { getInode, type Moment } from "./inodes.js";
import { targetOf } from "./namespace.js";
import { parsePath } from "./path.js";
import { effectivePolicy } from "./policy.js";
import { shareContent } from "./references.js";
import type { State, StateView } from "./state.js";
import { directoryOf, placeFile } from "./tree.js";
import { refuseExisting, refuseUnreached, walk } from "./walk.js";

type Copy = Extract<Command, { kind: "copy" }>;
type Source = { readonly kind: "source"; readonly id: number; readonly file: FileInode } | Refused;

/** Makes a file with the content and the attributes of another one, or replaces a file by it. */
export function copyFile(state: State, command: Copy, now: Moment): Reply {
  const source = sourceOf(state, command);
  if (source.kind === "refused") return source;
  const target = targetOf(state, { ...command, path: command.target }, now);
  if (target.kind === "refused") return target;
  const { walked } = target;
  if (walked.kind === "file") {
    if (walked.id === source.id) {
      const what = `Cannot copy ${quoted(command.source)} to ${quoted(command.target)}`;
      return refuse("INVALID_ARGUMENT", `${what}: they are the same file`);
    }
    if (!command.overwrite) return refuseExisting("copy to", target.path, "file");
  }
  const content = contentOf(inodeId(source.id), source.file);
  shareContent(state, content);
  const id = inodeId(takeNumber(state, "inode"));
  const file: FileInode = {
    ...source.file,
    content,
    tail: undefined,
    grownSince: undefined,
    revision: now.index,
    createdAt: walked.kind === "file" ? walked.inode.createdAt : now.at,
    modifiedAt: now.at,
    expiresAt: expiryOfFile(now.at, effectivePolicy(state, directoryOf(target)).ttlMs),
  };
  const refused = placeFile(state, target, { id, file }, now);
  return refused ?? { kind: "inode", inode: id, node: file };
}

function sourceOf(view: StateView, command: Copy): Source {
  const { source, sourceInode } = command;
  if (sourceInode !== undefined) {
    const file = getInode(view, sourceInode);
    if (file?.kind === "file") return { kind: "source", id: sourceInode, file };
    const why = "it was removed in the meantime";
    return refuse("CONFLICT", `Cannot copy ${quoted(source)}: ${why}`);
  }
  const path = parsePath(source);
  if (path.kind === "refused") return path;
  const walked = walk(view, path);
  switch (walked.kind) {
    case "missing":
    case "blocked":
      return refuseUnreached("copy", path, walked);
    case "root":
    case "directory": {
      const why = "it is a directory; copy what is in it file by file";
      return refuse("IS_DIRECTORY", `Cannot copy ${quoted(source)}: ${why}`);
    }
    case "file":
      return { kind: "source", id: walked.id, file: walked.inode };
  }
}
