// What users do to names: commit a file, make a directory, rename, remove. Each is one command and
// takes effect as a whole. What it frees that could be large (a directory with all in it, a long
// file) is only detached here and freed later, piece by piece: reap.ts.

import { CHUNK_BYTES_DEFAULT, type InodeId, inodeId, invariant } from "@lumeofs/base";
import { emit } from "./changes.js";
import { appendToPages, sealChunks } from "./chunk-table.js";
import {
  type Command,
  DONE,
  type Precondition,
  quoted,
  type Refused,
  type Reply,
  refuse,
  type SealedChunk,
} from "./command.js";
import { type Content, extendContent, mismatch, NO_CONTENT } from "./content.js";
import { takeNumber } from "./counters.js";
import { REPLICAS_MAX } from "./grants.js";
import { type DirectoryEntry, type FileInode, NEVER } from "./inode-record.js";
import {
  emptyDirectory,
  link,
  type Moment,
  type Place,
  putInode,
  relink,
  unlink,
} from "./inodes.js";
import { ancestor, isWithin, type Path, parsePath } from "./path.js";
import { detachDirectory, freeFile } from "./reap.js";
import type { State } from "./state.js";
import { finishUpload } from "./uploads.js";
import { refuseUnreached, type Walk, walk } from "./walk.js";

/** A file with more chunks keeps their handles in pages instead of its inode. */
export const INLINE_CHUNKS_MAX = 8;

type CommandOf<Kind extends Command["kind"]> = Extract<Command, { kind: Kind }>;
type Missing = Extract<Walk, { kind: "missing" }>;

/** Makes a file visible, or puts it in the place of another, with all its content at once. */
export function commitFile(state: State, command: CommandOf<"commit">, now: Moment): Reply {
  const path = parsePath(command.path);
  if (path.kind === "refused") return path;
  const walked = walk(state, path);
  const refusedTarget = refuseTarget(path, walked, command);
  if (refusedTarget !== undefined) return refusedTarget;
  const made = makeContent(state, command); // touches no names: the walk stays true
  if (made.kind === "refused") return made;
  const old = walked.kind === "file" ? walked : undefined;
  const { content } = made;
  const file: FileInode = {
    kind: "file",
    sizeBytes: content.sizeBytes,
    crc32c: content.crc32c,
    chunkSizeBytes: command.chunkSizeBytes,
    replicas: command.replicas,
    revision: now.index,
    createdAt: old?.inode.createdAt ?? now.at,
    modifiedAt: now.at,
    chunkCount: content.count,
    inline: made.inline,
    content: undefined,
    expiresAt: NEVER,
    contentType: command.contentType,
    metadata: command.metadata,
    tags: command.tags,
  };
  putInode(state, made.id, file);
  const entry = { inode: made.id, kind: "file", since: now.index } as const;
  if (old !== undefined) {
    relink(state, old.place, entry, now);
    freeFile(state, old.id, old.inode, now);
  } else {
    invariant(walked.kind === "missing", "a commit's target is a file or missing");
    link(state, makeParents(state, path, walked, now), entry, now);
  }
  const kind = old === undefined ? "create" : "write";
  emit(state, now, { kind, file: "file", path: path.text, sizeBytes: file.sizeBytes });
  return replyOf(made.id, file);
}

export function makeDirectory(
  state: State,
  command: CommandOf<"makeDirectory">,
  now: Moment,
): Reply {
  const path = parsePath(command.path);
  if (path.kind === "refused") return path;
  const walked = walk(state, path);
  switch (walked.kind) {
    case "root":
    case "directory":
      return command.parents ? DONE : refuseExisting("make directory", path, "directory");
    case "file":
      return refuseExisting("make directory", path, "file");
    case "missing":
      if (!command.parents && walked.known < path.names.length - 1) break;
      addDirectory(state, makeParents(state, path, walked, now), path.text, now);
      return DONE;
    case "blocked":
      break;
  }
  return refuseUnreached("make directory", path, walked);
}

/** Moves a file or a directory with all in it; the content and its revision stay. */
export function rename(state: State, command: CommandOf<"rename">, now: Moment): Reply {
  const source = parsePath(command.source);
  if (source.kind === "refused") return source;
  const target = parsePath(command.target);
  if (target.kind === "refused") return target;
  const from = walk(state, source);
  if (from.kind === "missing" || from.kind === "blocked") {
    return refuseUnreached("rename", source, from);
  }
  if (from.kind === "root") return refuse("INVALID_ARGUMENT", "Cannot rename the root directory");
  if (source.text === target.text) return DONE;
  if (from.kind === "directory" && isWithin(target, source)) {
    const what = `Cannot rename ${quoted(source.text)} to ${quoted(target.text)}`;
    return refuse("INVALID_ARGUMENT", `${what}: a directory cannot move into itself`);
  }
  const to = walk(state, target);
  const entry = { inode: from.id, kind: from.kind, since: now.index };
  const sizeBytes = from.inode.kind === "file" ? from.inode.sizeBytes : 0;
  const moved = { file: from.kind, path: target.text, from: source.text, sizeBytes };
  switch (to.kind) {
    case "blocked":
      return refuseUnreached("rename to", target, to);
    case "missing":
      if (to.known < target.names.length - 1) return refuseUnreached("rename to", target, to);
      move(state, from, { parent: to.parent, name: lastName(target) }, now);
      emit(state, now, { kind: "rename", ...moved });
      return DONE;
    case "root":
    case "directory":
      return refuseExisting("rename to", target, "directory");
    case "file":
      if (from.kind === "directory" || !command.overwrite) {
        return refuseExisting("rename to", target, "file");
      }
      unlink(state, from.place, now);
      relink(state, to.place, entry, now);
      freeFile(state, to.id, to.inode, now);
      emit(state, now, { kind: "rename", ...moved });
      return DONE;
  }
}

/** Takes something from its place to one that is free. */
function move(
  state: State,
  from: Extract<Walk, { kind: "file" | "directory" }>,
  place: Place,
  now: Moment,
): void {
  unlink(state, from.place, now);
  const entry: DirectoryEntry = { inode: from.id, kind: from.kind, since: now.index };
  link(state, place, entry, now);
  if (from.kind === "directory") {
    putInode(state, from.id, { ...from.inode, ...place, since: now.index });
  }
}

export function remove(state: State, command: CommandOf<"remove">, now: Moment): Reply {
  const path = parsePath(command.path);
  if (path.kind === "refused") return path;
  const walked = walk(state, path);
  const { precondition } = command;
  switch (walked.kind) {
    case "missing":
    case "blocked":
      return refuseUnreached("remove", path, walked);
    case "root":
      return refuse("INVALID_ARGUMENT", "Cannot remove the root directory");
    case "file": {
      const failed = refusePrecondition("remove", path, precondition, walked.inode);
      if (failed !== undefined) return failed;
      unlink(state, walked.place, now);
      freeFile(state, walked.id, walked.inode, now);
      emitDelete(state, path, walked.kind, now);
      return DONE;
    }
    case "directory":
      if (precondition.kind !== "none") {
        const what = `Cannot remove ${quoted(path.text)}`;
        return refuse("IS_DIRECTORY", `${what}: a precondition is for files, it is a directory`);
      }
      if (0 < walked.inode.childCount && !command.recursive) {
        const what = `Cannot remove directory ${quoted(path.text)}`;
        const count = walked.inode.childCount;
        return refuse("NOT_EMPTY", `${what}: ${count} entries are in it; remove it recursively`);
      }
      unlink(state, walked.place, now);
      detachDirectory(state, walked.id, walked.inode);
      emitDelete(state, path, walked.kind, now);
      return DONE;
  }
}

/** One change for a whole directory: what was in it is gone with it. */
function emitDelete(state: State, path: Path, file: "file" | "directory", now: Moment): void {
  emit(state, now, { kind: "delete", file, path: path.text, sizeBytes: 0 });
}

/** Why an upload or commit to this path is refused before its chunks are looked at, if it is. */
export function refuseTarget(
  path: Path,
  walked: Walk,
  command: Pick<CommandOf<"commit">, "precondition" | "makeParents">,
): Refused | undefined {
  switch (walked.kind) {
    case "blocked":
      return refuseUnreached("write", path, walked);
    case "root":
    case "directory":
      return refuse("IS_DIRECTORY", `Cannot write ${quoted(path.text)}: it is a directory`);
    case "missing":
      if (!command.makeParents && walked.known < path.names.length - 1) {
        return refuseUnreached("write", path, walked);
      }
      return refusePrecondition("write", path, command.precondition, undefined);
    case "file":
      return refusePrecondition("write", path, command.precondition, walked.inode);
  }
}

function refusePrecondition(
  action: string,
  path: Path,
  precondition: Precondition,
  file: FileInode | undefined,
): Refused | undefined {
  const what = `Cannot ${action} ${quoted(path.text)}`;
  if (precondition.kind === "none") return undefined;
  if (precondition.kind === "absent") {
    if (file === undefined) return undefined;
    return refuse("PRECONDITION", `${what}: it exists, with revision ${file.revision}`);
  }
  const { revision } = precondition;
  if (file?.revision === revision) return undefined;
  const is = file === undefined ? "it does not exist" : `its revision is ${file.revision}`;
  return refuse("PRECONDITION", `${what}: ${is}, expected revision ${revision}`);
}

/** Seals the chunks of a commit under the inode that it makes. */
function makeContent(
  state: State,
  command: CommandOf<"commit">,
):
  | {
      readonly kind: "made";
      readonly id: InodeId;
      readonly content: Content;
      readonly inline: FileInode["inline"];
    }
  | Refused {
  const { chunks, upload, chunkSizeBytes, replicas } = command;
  if (chunkSizeBytes < 1 || CHUNK_BYTES_DEFAULT < chunkSizeBytes) {
    const limits = `1 to ${CHUNK_BYTES_DEFAULT} bytes`;
    return refuse(
      "INVALID_ARGUMENT",
      `Cannot use chunk size ${chunkSizeBytes}: expected ${limits}`,
    );
  }
  if (replicas < 1 || REPLICAS_MAX < replicas) {
    return refuse("INVALID_ARGUMENT", `Cannot keep ${replicas} replicas: 1 to ${REPLICAS_MAX} do`);
  }
  const id = upload ?? inodeId(takeNumber(state, "inode"));
  const content =
    upload === undefined ? sealWhole(state, id, chunks) : finishUpload(state, upload, chunks);
  if (content.kind === "refused") return content;
  const wrong = mismatch(content, command);
  if (wrong !== undefined) return wrong;
  const isInline = upload === undefined && content.count <= INLINE_CHUNKS_MAX;
  return { kind: "made", id, content, inline: isInline ? chunks.map((c) => c.handle) : [] };
}

function sealWhole(state: State, id: InodeId, chunks: readonly SealedChunk[]): Content | Refused {
  const content = extendContent(NO_CONTENT, chunks);
  if (content.kind === "refused") return content;
  const refused = sealChunks(state, chunks, id);
  if (refused !== undefined) return refused;
  if (INLINE_CHUNKS_MAX < chunks.length) {
    appendToPages(
      state,
      id,
      0,
      chunks.map((chunk) => chunk.handle),
    );
  }
  return content;
}

/** Makes the directories between what is there and the last name; where that name will be. */
function makeParents(state: State, path: Path, from: Missing, now: Moment): Place {
  let { parent } = from;
  for (const [i, name] of path.names.slice(from.known, -1).entries()) {
    parent = addDirectory(state, { parent, name }, ancestor(path, from.known + i + 1), now);
  }
  return { parent, name: lastName(path) };
}

function addDirectory(state: State, place: Place, path: string, now: Moment): InodeId {
  const id = inodeId(takeNumber(state, "inode"));
  putInode(state, id, emptyDirectory(now, place));
  link(state, place, { inode: id, kind: "directory", since: now.index }, now);
  emit(state, now, { kind: "create", file: "directory", path, sizeBytes: 0 });
  return id;
}

function lastName(path: Path): string {
  const name = path.names.at(-1);
  invariant(name !== undefined, "only the root has no name");
  return name;
}

function replyOf(id: InodeId, file: FileInode): Reply {
  const { revision, sizeBytes, createdAt, modifiedAt, chunkCount, expiresAt } = file;
  const times = { createdAt, modifiedAt, expiresAt };
  return { kind: "file", inode: id, revision, sizeBytes, chunkCount, ...times };
}

function refuseExisting(action: string, path: Path, kind: "file" | "directory"): Refused {
  return refuse("EXISTS", `Cannot ${action} ${quoted(path.text)}: a ${kind} is there`);
}
