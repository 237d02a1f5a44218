// What users do to names: commit a file, make a directory, rename, remove. Each is one command and
// takes effect as a whole. Here is what is refused; how the tree changes is in tree.ts.

import { CHUNK_BYTES_DEFAULT, type InodeId, inodeId, invariant } from "@lumeofs/base";
import { refuseAttributes } from "./attributes.js";
import { emit } from "./changes.js";
import { appendToPages, sealChunks } from "./chunk-table.js";
import {
  type Command,
  DONE,
  quoted,
  type Refused,
  type Reply,
  refuse,
  type SealedChunk,
} from "./command.js";
import { type Content, extendContent, mismatch, NO_CONTENT } from "./content.js";
import { takeNumber } from "./counters.js";
import { NO_POLICY } from "./directory-record.js";
import { expiryOfFile } from "./expiry.js";
import { REPLICAS_MAX } from "./grants.js";
import { INLINE_CHUNKS_MAX } from "./growth.js";
import { keepInline } from "./inline-chunks.js";
import type { FileInode } from "./inode-record.js";
import type { Moment } from "./inodes.js";
import { refuseFence } from "./locks.js";
import { isWithin, type Path, parsePath } from "./path.js";
import { effectivePolicy, refusePolicy } from "./policy.js";
import type { State, StateView } from "./state.js";
import { throwAway } from "./trash.js";
import {
  directoryOf,
  lastName,
  moveFound,
  placeDirectory,
  placeFile,
  removeFound,
  type Target,
} from "./tree.js";
import { finishUpload } from "./uploads.js";
import {
  type Found,
  refuseExisting,
  refusePrecondition,
  refuseUnreached,
  type Walk,
  walk,
} from "./walk.js";

type CommandOf<Kind extends Command["kind"]> = Extract<Command, { kind: Kind }>;
type FoundDirectory = Extract<Found, { kind: "directory" }>;

/** Makes a file visible, or puts it in the place of another, with all its content at once. */
export function commitFile(state: State, command: CommandOf<"commit">, now: Moment): Reply {
  const target = targetOf(state, command, now);
  if (target.kind === "refused") return target;
  const unfit = refuseAttributes(command) ?? refusePolicy({ ...NO_POLICY, ttlMs: command.ttlMs });
  if (unfit !== undefined) return unfit;
  const made = makeContent(state, command); // touches no names: the walk stays true
  if (made.kind === "refused") return made;
  const { walked } = target;
  const { id, content, inline } = made;
  const ttlMs = command.ttlMs ?? effectivePolicy(state, directoryOf(target)).ttlMs;
  const file: FileInode = {
    kind: "file",
    sizeBytes: content.sizeBytes,
    crc32c: content.crc32c,
    chunkSizeBytes: command.chunkSizeBytes,
    replicas: command.replicas,
    code: command.code,
    revision: now.index,
    createdAt: walked.kind === "file" ? walked.inode.createdAt : now.at,
    modifiedAt: now.at,
    chunkCount: content.count,
    inline,
    content: undefined,
    isUneven: false,
    grownSince: undefined,
    tail: undefined,
    expiresAt: expiryOfFile(now.at, ttlMs),
    contentType: command.contentType,
    metadata: command.metadata,
    tags: command.tags,
  };
  return placeFile(state, target, { id, file }, now) ?? replyOf(id, file);
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
      placeDirectory(state, path, walked, now);
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
  const what = `Cannot rename ${quoted(source.text)} to ${quoted(target.text)}`;
  const unfenced = refuseFence(state, () => what, command.fence, now.at);
  if (unfenced !== undefined) return unfenced;
  const from = walk(state, source);
  if (from.kind === "missing" || from.kind === "blocked") {
    return refuseUnreached("rename", source, from);
  }
  if (from.kind === "root") return refuse("INVALID_ARGUMENT", "Cannot rename the root directory");
  if (source.text === target.text) return DONE;
  if (from.kind === "directory" && isWithin(target, source)) {
    return refuse("INVALID_ARGUMENT", `${what}: a directory cannot move into itself`);
  }
  const to = placeOf(state, from, target, command.overwrite);
  if (to.kind === "refused") return to;
  const refused = moveFound(state, from, { what, ...to }, now);
  if (refused !== undefined) return refused;
  const sizeBytes = from.inode.kind === "file" ? from.inode.sizeBytes : 0;
  const change = { file: from.kind, path: target.text, from: source.text, sizeBytes };
  emit(state, now, { kind: "rename", ...change });
  return DONE;
}

export function remove(state: State, command: CommandOf<"remove">, now: Moment): Reply {
  const path = parsePath(command.path);
  if (path.kind === "refused") return path;
  const what = (): string => `Cannot remove ${quoted(path.text)}`;
  const unfenced = refuseFence(state, what, command.fence, now.at);
  if (unfenced !== undefined) return unfenced;
  const walked = walk(state, path);
  switch (walked.kind) {
    case "missing":
    case "blocked":
      return refuseUnreached("remove", path, walked);
    case "root":
      return refuse("INVALID_ARGUMENT", "Cannot remove the root directory");
    case "file":
    case "directory": {
      const failed =
        walked.kind === "file"
          ? refusePrecondition("remove", path, command.precondition, walked.inode)
          : refuseDirectory(path, walked, command);
      if (failed !== undefined) return failed;
      const { trashMs } = effectivePolicy(state, walked.place.parent);
      if (trashMs === 0 || command.skipTrash) removeFound(state, walked, path.text, now);
      else throwAway(state, { found: walked, path: path.text, keepMs: trashMs }, now);
      return DONE;
    }
  }
}

/** Where a commit or a copy puts its file, or why it cannot. */
export function targetOf(
  view: StateView,
  command: Pick<CommandOf<"commit">, "path" | "precondition" | "makeParents" | "fence">,
  now: Moment,
): ({ readonly kind: "target" } & Target) | Refused {
  const path = parsePath(command.path);
  if (path.kind === "refused") return path;
  const what = (): string => `Cannot write ${quoted(path.text)}`;
  const unfenced = refuseFence(view, what, command.fence, now.at);
  if (unfenced !== undefined) return unfenced;
  const walked = walk(view, path);
  const refused = refuseTarget(path, walked, command);
  if (refused !== undefined) return refused;
  invariant(walked.kind === "file" || walked.kind === "missing", "only a file can be replaced");
  return { kind: "target", what, path, walked };
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

/** Where a rename goes, and what it replaces there. */
function placeOf(
  view: StateView,
  from: Found,
  target: Path,
  overwrite: boolean,
):
  | {
      readonly kind: "place";
      readonly place: Found["place"];
      readonly replaced: Found | undefined;
    }
  | Refused {
  const to = walk(view, target);
  switch (to.kind) {
    case "blocked":
      return refuseUnreached("rename to", target, to);
    case "missing": {
      if (to.known < target.names.length - 1) return refuseUnreached("rename to", target, to);
      const place = { parent: to.parent, name: lastName(target) };
      return { kind: "place", place, replaced: undefined };
    }
    case "root":
      return refuseExisting("rename to", target, "directory");
    case "directory":
    case "file":
      if (!overwrite || from.kind !== to.kind) return refuseExisting("rename to", target, to.kind);
      if (to.kind === "directory") {
        const refused = refuseFull("replace", target, to);
        if (refused !== undefined) return refused;
      }
      return { kind: "place", place: to.place, replaced: to };
  }
}

function refuseDirectory(
  path: Path,
  found: FoundDirectory,
  command: CommandOf<"remove">,
): Refused | undefined {
  if (command.precondition.kind !== "none") {
    const what = `Cannot remove ${quoted(path.text)}`;
    return refuse("IS_DIRECTORY", `${what}: a precondition is for files, it is a directory`);
  }
  if (!command.recursive) return refuseFull("remove", path, found);
  return refuseSnapshots("remove", path, found);
}

/** Why a directory is not as good as nothing, if it is not. */
function refuseFull(action: string, path: Path, found: FoundDirectory): Refused | undefined {
  const { childCount } = found.inode;
  if (childCount === 0) return refuseSnapshots(action, path, found);
  const what = `Cannot ${action} directory ${quoted(path.text)}`;
  const count = childCount === 1 ? "1 entry is" : `${childCount} entries are`;
  return refuse("NOT_EMPTY", `${what}: ${count} in it; remove it recursively`);
}

/** A snapshot was asked for by name, and does not go by the way. */
function refuseSnapshots(action: string, path: Path, found: FoundDirectory): Refused | undefined {
  const { snapshotCount } = found.inode;
  if (snapshotCount === 0) return undefined;
  const what = `Cannot ${action} directory ${quoted(path.text)}`;
  const count = snapshotCount === 1 ? "1 snapshot" : `${snapshotCount} snapshots`;
  return refuse("NOT_EMPTY", `${what}: it has ${count}; remove snapshots first`);
}

interface MadeContent {
  readonly kind: "made";
  readonly id: InodeId;
  readonly content: Content;
  readonly inline: FileInode["inline"];
}

/** Seals the chunks of a commit under the inode that it makes. */
function makeContent(state: State, command: CommandOf<"commit">): MadeContent | Refused {
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
  if (command.inline !== undefined) return makeInline(state, id, command);
  const content =
    upload === undefined ? sealWhole(state, id, chunks) : finishUpload(state, upload, chunks);
  if (content.kind === "refused") return content;
  const wrong = mismatch(content, command);
  if (wrong !== undefined) return wrong;
  const isInline = upload === undefined && content.count <= INLINE_CHUNKS_MAX;
  return { kind: "made", id, content, inline: isInline ? chunks.map((c) => c.handle) : [] };
}

/** The same of a commit that brings the bytes themselves. */
function makeInline(
  state: State,
  id: InodeId,
  command: CommandOf<"commit">,
): MadeContent | Refused {
  const kept = keepInline(state, id, command);
  if (kept.kind === "refused") return kept;
  const content = extendContent(NO_CONTENT, [kept.chunk]);
  if (content.kind === "refused") return content;
  const wrong = mismatch(content, command);
  if (wrong !== undefined) return wrong;
  return { kind: "made", id, content, inline: [kept.chunk.handle] };
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

function replyOf(id: InodeId, file: FileInode): Reply {
  const { revision, sizeBytes, createdAt, modifiedAt, chunkCount, expiresAt } = file;
  const times = { createdAt, modifiedAt, expiresAt };
  return { kind: "file", inode: id, revision, sizeBytes, chunkCount, ...times };
}
