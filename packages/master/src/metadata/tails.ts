// The life of a tail: opened under a file, written by one primary after another, sealed. Then it is
// the last chunk of its file like any other. The rules are those of docs/design/0019.
//
// What was acknowledged cannot be refused afterwards: a tail is opened only while quotas have room,
// and its seal may go beyond them.

import {
  type AuthorityAnswer,
  activateEpoch,
  CHUNK_BYTES_DEFAULT,
  type ChunkAuthority,
  type ChunkHandle,
  createAuthority,
  grantEpoch,
  grantId,
  handleIn,
  inodeId,
  sealChunk,
} from "@lumeofs/base";
import { emit } from "./changes.js";
import { listedChunk, putChunk } from "./chunk-table.js";
import { DONE, quoted, type Refused, type Reply, refuse, type TailCommand } from "./command.js";
import { takeNumber } from "./counters.js";
import { expiryOfFile } from "./expiry.js";
import { REPLICAS_MAX } from "./grants.js";
import { FORK_CHUNKS_MAX, growFile } from "./growth.js";
import { contentOf, type FileInode } from "./inode-record.js";
import { getEntry, getInode, type Moment, putInode, rewriteEntry } from "./inodes.js";
import { type Path, parsePath } from "./path.js";
import { effectivePolicy } from "./policy.js";
import { isContentShared } from "./references.js";
import type { State, StateView } from "./state.js";
import { addTail, deleteTail, getTail, putTail, releaseTail, type Tail } from "./tail-table.js";
import { directoryOf, editFile, livePath, placeFile } from "./tree.js";
import { addRegardless, fullQuotaOf } from "./usage.js";
import { refuseUnreached, type Walk, walk } from "./walk.js";

type CommandOf<Kind extends TailCommand["kind"]> = Extract<TailCommand, { kind: Kind }>;
type FoundFile = Extract<Walk, { kind: "file" }>;
type Missing = Extract<Walk, { kind: "missing" }>;

/** Begins a tail of the file at a path, unless it has one; makes the file if that is wanted. */
export function openTail(state: State, command: CommandOf<"openTail">, now: Moment): Reply {
  const path = parsePath(command.path);
  if (path.kind === "refused") return path;
  const { members, replicas } = command;
  if (replicas < 1 || REPLICAS_MAX < replicas || members.length < 1) {
    return refuse("INVALID_ARGUMENT", `Cannot keep ${replicas} replicas: 1 to ${REPLICAS_MAX} do`);
  }
  const walked = walk(state, path);
  switch (walked.kind) {
    case "root":
    case "directory":
      return refuse("IS_DIRECTORY", `Cannot append to ${quoted(path.text)}: it is a directory`);
    case "blocked":
      return refuseUnreached("append to", path, walked);
    case "missing":
      return makeWithTail(state, { path, walked, command }, now);
    case "file":
      return openOfFile(state, { path, walked, command }, now);
  }
}

/** Grants the next epoch, if nobody was faster. */
export function grantTailEpoch(state: State, command: CommandOf<"grantTailEpoch">): Reply {
  const { handle, expectedNewest } = command;
  const tail = getTail(state, handle);
  if (tail === undefined) return refuseGone("grant an epoch of", handle);
  const { newest } = tail.authority;
  if (newest.epoch !== expectedNewest) {
    const what = `Cannot grant an epoch of chunk ${handle}`;
    return refuse("STALE_EPOCH", `${what}: epoch ${newest.epoch} is the newest already`);
  }
  return record(state, handle, tail, grantEpoch(tail.authority, command));
}

/**
 * What the survivors have is all there ever was: a new epoch, for which they alone are fenced. Or
 * there are none, and the file goes on without what was appended.
 */
export function salvageTail(state: State, command: CommandOf<"salvageTail">, now: Moment): Reply {
  const { handle, expectedNewest, survivors, members } = command;
  const tail = getTail(state, handle);
  if (tail === undefined) return refuseGone("salvage", handle);
  const { authority } = tail;
  const { newest, lastActive } = authority;
  if (newest.epoch !== expectedNewest) return refuseStale(handle, authority);
  if (!survivors.every((server) => lastActive.members.includes(server))) {
    const what = `Cannot salvage chunk ${handle}`;
    return refuse("INVALID_ARGUMENT", `${what}: not all survivors were members of the active set`);
  }
  const [primary] = members;
  if (survivors.length === 0 || primary === undefined) {
    const file = fileOf(state, handle, tail);
    releaseTail(state, handle, now.at);
    if (file !== undefined) editFile(state, file, { ...file.inode, tail: undefined }, now);
    return DONE;
  }
  const decided = { ...authority, lastActive: { epoch: lastActive.epoch, members: survivors } };
  return record(state, handle, tail, grantEpoch(decided, { primary, members }));
}

/** (rule 8) */
export function activateTailEpoch(state: State, command: CommandOf<"activateTailEpoch">): Reply {
  const { handle, epoch } = command;
  const tail = getTail(state, handle);
  if (tail === undefined) return refuseGone("activate an epoch of", handle);
  return record(state, handle, tail, activateEpoch(tail.authority, epoch));
}

/** The tail becomes the last chunk of its file; one that is empty leaves nothing. (rule 17) */
export function sealTail(state: State, command: CommandOf<"sealTail">, now: Moment): Reply {
  const { handle, epoch, chunkEpoch, lengthBytes, crc32c } = command;
  if (CHUNK_BYTES_DEFAULT < lengthBytes) {
    const limit = `${lengthBytes} bytes, at most ${CHUNK_BYTES_DEFAULT} do`;
    return refuse("INVALID_ARGUMENT", `Cannot seal chunk ${handle}: it has ${limit}`);
  }
  const tail = getTail(state, handle);
  if (tail === undefined) return answerOfSealed(state, command);
  const { authority } = tail;
  const answer = sealChunk(authority, epoch, { lengthBytes, crc32c });
  if (answer.kind === "refused") return refuseStale(handle, authority);
  const file = fileOf(state, handle, tail);
  if (file === undefined) {
    releaseTail(state, handle, now.at);
    return refuseGone("seal", handle);
  }
  deleteTail(state, handle);
  const id = editFile(state, file, { ...file.inode, tail: undefined }, now);
  if (lengthBytes === 0) return DONE;
  const grown = growSealed(state, { ...file, id }, command, now);
  const members = orderedMembers(authority);
  const inode = contentOf(id, grown);
  const content = { lengthBytes, crc32c, coding: undefined };
  putChunk(state, handle, { epoch: chunkEpoch, ...content, inode, members });
  return DONE;
}

function growSealed(
  state: State,
  file: Pick<FoundFile, "id" | "place">,
  chunk: CommandOf<"sealTail">,
  now: Moment,
): FileInode {
  const { id, place } = file;
  const inode = getInode(state, id) as FileInode; // just written
  const grown = growFile(state, { id, inode }, chunk, now);
  const since = getEntry(state, place.parent, place.name)?.since ?? now.index;
  const record = putInode(state, id, grown);
  rewriteEntry(state, place, { inode: id, kind: "file", since, record });
  addRegardless(state, place.parent, chunk.lengthBytes);
  const directory = livePath(state, place.parent);
  if (directory !== undefined) {
    const path = directory === "/" ? `/${place.name}` : `${directory}/${place.name}`;
    emit(state, now, { kind: "write", file: "file", path, sizeBytes: grown.sizeBytes });
  }
  return grown;
}

/** The live file of a tail; undefined if both do not know of each other (L1). */
export function fileOf(view: StateView, handle: ChunkHandle, tail: Tail): FoundFile | undefined {
  const { place, inode: id } = tail;
  const entry = getEntry(view, place.parent, place.name);
  const inode = entry?.inode === id ? getInode(view, id) : undefined;
  if (entry === undefined || inode?.kind !== "file" || inode.tail !== handle) return undefined;
  return { kind: "file", id, inode, place, since: entry.since };
}

function makeWithTail(
  state: State,
  target: {
    readonly path: Path;
    readonly walked: Missing;
    readonly command: CommandOf<"openTail">;
  },
  now: Moment,
): Reply {
  const { path, walked, command } = target;
  const isNear = walked.known === path.names.length - 1;
  if (!command.create || !(command.makeParents || isNear)) {
    return refuseUnreached("append to", path, walked);
  }
  const what = () => `Cannot append to ${quoted(path.text)}`;
  const full = fullQuotaOf(state, what, walked.parent);
  if (full !== undefined) return full;
  const handle = freshHandle(state);
  const id = inodeId(takeNumber(state, "inode"));
  const { ttlMs, code } = effectivePolicy(state, directoryOf(target));
  const file: FileInode = {
    kind: "file",
    sizeBytes: 0,
    crc32c: 0,
    chunkSizeBytes: CHUNK_BYTES_DEFAULT,
    replicas: command.replicas,
    // What is appended to grows: a policy that looks at sizes means it, too.
    code: code === undefined || code.kind === "replicated" ? undefined : code.code,
    revision: now.index,
    createdAt: now.at,
    modifiedAt: now.at,
    chunkCount: 0,
    inline: [],
    content: undefined,
    isUneven: false,
    grownSince: undefined,
    tail: handle,
    expiresAt: expiryOfFile(now.at, ttlMs),
    contentType: "",
    metadata: {},
    tags: {},
  };
  const refused = placeFile(state, { what, path, walked }, { id, file }, now);
  if (refused !== undefined) return refused;
  const made = walk(state, path);
  if (made.kind !== "file") return refuseUnreached("append to", path, walked);
  const authority = createAuthority(command.members);
  addTail(state, handle, { inode: id, place: made.place, openedAt: now.at, authority });
  return { kind: "tailOpened", handle };
}

function openOfFile(
  state: State,
  target: {
    readonly path: Path;
    readonly walked: FoundFile;
    readonly command: CommandOf<"openTail">;
  },
  now: Moment,
): Reply {
  const { path, walked, command } = target;
  const { tail, chunkCount } = walked.inode;
  if (tail !== undefined && getTail(state, tail) !== undefined) {
    return { kind: "tailOpened", handle: tail };
  }
  const what = () => `Cannot append to ${quoted(path.text)}`;
  const full = fullQuotaOf(state, what, walked.place.parent);
  if (full !== undefined) return full;
  const isShared = isContentShared(state, contentOf(walked.id, walked.inode));
  if (isShared && FORK_CHUNKS_MAX < chunkCount) {
    const why = `it shares ${chunkCount} chunks with copies or snapshots`;
    return refuse("CONFLICT", `${what()}: ${why}; put it anew or remove those`);
  }
  const handle = freshHandle(state);
  const inode = editFile(state, walked, { ...walked.inode, tail: handle }, now);
  const authority = createAuthority(command.members);
  addTail(state, handle, { inode, place: walked.place, openedAt: now.at, authority });
  return { kind: "tailOpened", handle };
}

/** A grant of one handle that is used up at once. */
function freshHandle(state: State): ChunkHandle {
  return handleIn(grantId(takeNumber(state, "grant")), 0);
}

/** The primary first. */
function orderedMembers({ newest }: ChunkAuthority) {
  const { primary, members } = newest;
  return [primary, ...members.filter((member) => member !== primary)];
}

function record(state: State, handle: ChunkHandle, tail: Tail, answer: AuthorityAnswer): Reply {
  if (answer.kind === "refused") return refuseStale(handle, tail.authority);
  putTail(state, handle, { ...tail, authority: answer.authority });
  return DONE;
}

/** A seal that is repeated is done; one with another content is a bug somewhere. */
function answerOfSealed(state: State, command: CommandOf<"sealTail">): Reply {
  const { handle, chunkEpoch, lengthBytes, crc32c } = command;
  const found = listedChunk(state, handle);
  const chunk = found?.chunk;
  if (chunk === undefined || chunk.releasedAt !== undefined) return refuseGone("seal", handle);
  const isEpoch = found?.handle !== handle || chunk.epoch === chunkEpoch; // it was converted
  const isSame = isEpoch && chunk.lengthBytes === lengthBytes && chunk.crc32c === crc32c;
  if (isSame) return DONE;
  return refuse("CONFLICT", `Cannot seal chunk ${handle}: it is sealed with another content`);
}

function refuseStale(handle: ChunkHandle, { newest, lastActive }: ChunkAuthority): Refused {
  const is = `epoch ${newest.epoch} is the newest, and ${lastActive.epoch} was active last`;
  return refuse("STALE_EPOCH", `Cannot write chunk ${handle}: ${is}`);
}

function refuseGone(action: string, handle: ChunkHandle): Refused {
  return refuse("NOT_FOUND", `Cannot ${action} chunk ${handle}: nothing is appended to it`);
}
