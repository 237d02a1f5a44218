// Conversion: a chunk that is kept as copies becomes one that is kept as units, or back. A server
// makes the new one under a handle of a grant; then one command lets it take the place of the old.
//
// V1. Lists of chunks do not change: the handle in them leads to the new chunk from then on (C6 in
//     chunk-table.ts). So all who share a content, a beginning of it, or a single chunk (copies,
//     versions, snapshots, forks) have the new chunk at once, and nobody has to be found.
// V2. Data is what it was: length and checksum are compared. A file's revision, times and
//     attributes stay, and the feed says nothing.
// V3. A conversion has no record of its own while it is under way: until the command, its chunk is
//     one of a grant, which ends by itself.

import type { ChunkHandle, Code, InodeId } from "@lumeofs/base";
import { type ChunkRecord, convertChunk, getChunk, refuseLayout } from "./chunk-table.js";
import { COMMAND_ITEMS_MAX, DONE, type Reply, refuse, type SealedChunk } from "./command.js";
import { consume, FRESH_EPOCH } from "./grants.js";
import { getEntered, getEntry, type Moment, putInode, rewriteEntry } from "./inodes.js";
import { countConverted, getJob, isOpen, type JobId } from "./jobs.js";
import type { State } from "./state.js";

/** A chunk and what it is to become. */
export interface Replacement {
  readonly job: JobId;
  /** On the servers: the one of `getChunk`. */
  readonly handle: ChunkHandle;
  /** Of a grant that is still good. */
  readonly chunk: SealedChunk;
}

/** What a file is meant to be coded as; undefined for copies. */
export interface FileCode {
  readonly parent: InodeId;
  readonly name: string;
  /** Nothing happens if the name leads elsewhere by now. */
  readonly inode: InodeId;
  readonly code: Code | undefined;
  /** Copies that it is to have; absent: as many as it says. */
  readonly replicas?: number | undefined;
}

/**
 * Lets a chunk take the place of another one with the same data.
 *
 * @returns PRECONDITION if the job has ended, CONFLICT if the old chunk is not what it was, and
 *          as `consume`: the new one is garbage then.
 */
export function replaceChunk(
  state: State,
  { job, handle, chunk }: Replacement,
  now: Moment,
): Reply {
  const what = `Cannot convert chunk ${handle}`;
  const opened = getJob(state, job);
  if (opened?.kind !== "convert" || !isOpen(opened)) {
    return refuse("PRECONDITION", `${what}: job ${job} has ended`);
  }
  const old = getChunk(state, handle);
  if (old === undefined || old.releasedAt !== undefined) {
    return refuse("CONFLICT", `${what}: no file has it any more`);
  }
  if (old.isInline) return refuse("CONFLICT", `${what}: the masters keep its bytes themselves`);
  if (!isSameData(old, chunk)) return refuse("CONFLICT", `${what}: its data is not what was read`);
  if (chunk.epoch !== FRESH_EPOCH) {
    return refuse("STALE_EPOCH", `${what}: epoch of ${chunk.handle} is ${chunk.epoch}, expected 1`);
  }
  const use = consume(state, chunk.handle);
  if (use.kind === "refused") return use;
  const { coding, epoch } = chunk;
  const { members } = use;
  const unfit = refuseLayout(chunk.handle, coding, members);
  if (unfit !== undefined) return unfit;
  convertChunk(state, { handle, chunk: old }, { ...chunk, epoch, members, coding }, now.at);
  countConverted(state, job, { chunks: 1, bytes: old.lengthBytes });
  return DONE;
}

/** Says of files what they are meant to be; in place, because it is no content of theirs. */
export function setFileCodes(state: State, files: readonly FileCode[]): Reply {
  if (COMMAND_ITEMS_MAX < files.length) {
    return refuse("INVALID_ARGUMENT", `Cannot set codes of ${files.length} files at once`);
  }
  for (const { parent, name, inode: id, code, replicas } of files) {
    const entry = getEntry(state, parent, name);
    if (entry?.inode !== id) continue;
    const inode = getEntered(state, entry);
    if (inode?.kind !== "file") continue;
    const meant = { ...inode, code, replicas: replicas ?? inode.replicas };
    const record = putInode(state, id, meant);
    rewriteEntry(state, { parent, name }, { ...entry, record });
  }
  return DONE;
}

function isSameData(old: ChunkRecord, chunk: SealedChunk): boolean {
  return old.lengthBytes === chunk.lengthBytes && old.crc32c === chunk.crc32c;
}
