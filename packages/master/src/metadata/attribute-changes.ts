// Changes of attributes: what users say about a file or directory that is there. None of it is
// content, so a file's revision stays.

import { type Attributes, changeAttributes } from "./attributes.js";
import { emit } from "./changes.js";
import { type Command, quoted, type Reply, refuse } from "./command.js";
import { NO_POLICY } from "./directory-record.js";
import { expiryOfFile } from "./expiry.js";
import type { Moment } from "./inodes.js";
import { type Path, parsePath } from "./path.js";
import { refusePolicy } from "./policy.js";
import { putSettings } from "./settings.js";
import type { State } from "./state.js";
import { editFile } from "./tree.js";
import { refusePrecondition, refuseUnreached, type Walk, walk } from "./walk.js";

type CommandOf<Kind extends Command["kind"]> = Extract<Command, { kind: Kind }>;

/** Changes metadata, tags, content type and end of a file, or metadata and tags of a directory. */
export function setAttributes(
  state: State,
  command: CommandOf<"setAttributes">,
  now: Moment,
): Reply {
  const path = parsePath(command.path);
  if (path.kind === "refused") return path;
  const walked = walk(state, path);
  switch (walked.kind) {
    case "missing":
    case "blocked":
      return refuseUnreached("set attributes of", path, walked);
    case "root":
    case "directory":
      return setOfDirectory(state, { path, walked, command }, now);
    case "file":
      return setOfFile(state, { path, walked, command }, now);
  }
}

interface Target<Kind extends Walk["kind"]> {
  readonly path: Path;
  readonly walked: Extract<Walk, { kind: Kind }>;
  readonly command: CommandOf<"setAttributes">;
}

function setOfFile(state: State, target: Target<"file">, now: Moment): Reply {
  const { path, walked, command } = target;
  const failed = refusePrecondition("set attributes of", path, command.precondition, walked.inode);
  if (failed !== undefined) return failed;
  const changed = changeAttributes(walked.inode, command);
  if (changed.kind === "refused") return changed;
  const { metadata, tags, contentType } = changed;
  const { ttlMs } = command;
  const unfit = refusePolicy({ ...NO_POLICY, ttlMs });
  if (unfit !== undefined) return unfit;
  const expiresAt = ttlMs === undefined ? walked.inode.expiresAt : expiryOfFile(now.at, ttlMs);
  const node = { ...walked.inode, metadata, tags, contentType, expiresAt };
  const inode = editFile(state, walked, node, now);
  const { sizeBytes } = node;
  emit(state, now, { kind: "attributes", file: "file", path: path.text, sizeBytes });
  return { kind: "inode", inode, node };
}

function setOfDirectory(state: State, target: Target<"root" | "directory">, now: Moment): Reply {
  const { path, walked, command } = target;
  const what = `Cannot set attributes of directory ${quoted(path.text)}`;
  if (command.precondition.kind !== "none") {
    return refuse("IS_DIRECTORY", `${what}: a precondition is for files`);
  }
  if (command.contentType !== undefined) {
    return refuse("IS_DIRECTORY", `${what}: only a file has a content type`);
  }
  if (command.ttlMs !== undefined) {
    return refuse("IS_DIRECTORY", `${what}: only a file expires; set the directory's policy`);
  }
  const before: Attributes = { ...walked.inode, contentType: "" };
  const changed = changeAttributes(before, command);
  if (changed.kind === "refused") return changed;
  const { metadata, tags } = changed;
  return putSettings(state, { path, walked }, { ...walked.inode, metadata, tags }, now);
}
