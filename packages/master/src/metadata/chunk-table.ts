// Every chunk that belongs, or lately belonged, to a file.
//
// C1. A consumed handle has a record here from its consumption until it is forgotten.
// C2. A record is marked released exactly if the released table names it at that time.
// C3. A handle with neither record nor live grant is garbage: no file will ever need it.

import {
  type ChunkHandle,
  chunkHandle,
  type Epoch,
  epoch,
  type InodeId,
  inodeId,
  invariant,
  type ServerId,
  serverId,
  type WallMs,
  wallMs,
} from "@lumeofs/base";
import { type Refused, refuse, type SealedChunk } from "./command.js";
import {
  encodeWhole,
  readFlag,
  readIds,
  readWhole,
  writeFlag,
  writeList,
  writeNumber,
} from "./fields.js";
import { consume, FRESH_EPOCH, isLive } from "./grants.js";
import { chunkKey, pageKey, releasedKey } from "./keys.js";
import { isOfLostTime } from "./restoration.js";
import type { State, StateView } from "./state.js";

/** Handles in a page of a long file. */
export const PAGE_CHUNKS = 256;

export interface ChunkRecord {
  readonly epoch: Epoch;
  readonly lengthBytes: number;
  readonly crc32c: number;
  /** The file, or the upload that will become it. */
  readonly inode: InodeId;
  /** Since when no file has it; undefined while one has. */
  readonly releasedAt: WallMs | undefined;
  /** The primary first. */
  readonly members: readonly ServerId[];
}

/** Turns granted handles into chunks of an inode; all of them, or a refusal. */
export function sealChunks(
  state: State,
  chunks: readonly SealedChunk[],
  inode: InodeId,
): Refused | undefined {
  for (const { handle, epoch: sealedAt, lengthBytes, crc32c } of chunks) {
    if (sealedAt !== FRESH_EPOCH) {
      return refuse("STALE_EPOCH", `Cannot use chunk ${handle}: epoch is ${sealedAt}, expected 1`);
    }
    const use = consume(state, handle);
    if (use.kind === "refused") return use;
    const { members } = use;
    const record = { epoch: sealedAt, lengthBytes, crc32c, inode, releasedAt: undefined, members };
    state.put(chunkKey(handle), encodeChunk(record));
  }
  return undefined;
}

/** Takes chunks from their file; they wait until `forget`, because somebody may be reading them. */
export function releaseChunks(state: State, handles: readonly ChunkHandle[], at: WallMs): void {
  for (const handle of handles) {
    const record = getChunk(state, handle);
    invariant(record !== undefined, "a file's chunk is in the table", { handle });
    invariant(record.releasedAt === undefined, "a file's chunk is not released", { handle });
    state.put(chunkKey(handle), encodeChunk({ ...record, releasedAt: at }));
    state.put(releasedKey(at, handle), new Uint8Array());
  }
}

/** Forgets those of the chunks that are released. */
export function forgetChunks(state: State, handles: readonly ChunkHandle[]): void {
  for (const handle of handles) {
    const record = getChunk(state, handle);
    if (record?.releasedAt === undefined) continue;
    state.delete(releasedKey(record.releasedAt, handle));
    state.delete(chunkKey(handle));
  }
}

/** The copies are with these servers now, the primary first. */
export function putMembers(state: State, handle: ChunkHandle, members: readonly ServerId[]): void {
  const record = getChunk(state, handle);
  invariant(record !== undefined, "a chunk with members is in the table", { handle });
  state.put(chunkKey(handle), encodeChunk({ ...record, members }));
}

/** Whether no file has, had lately, or may still get this chunk, nor a backup may know it. */
export function isGarbage(view: StateView, handle: ChunkHandle): boolean {
  if (view.get(chunkKey(handle)) !== undefined) return false;
  return !isLive(view, handle) && !isOfLostTime(view, handle);
}

export function getChunk(view: StateView, handle: ChunkHandle): ChunkRecord | undefined {
  const bytes = view.get(chunkKey(handle));
  return bytes === undefined ? undefined : decodeChunk(bytes);
}

/** Handles behind the `count` that a long file has already. */
export function appendToPages(
  state: State,
  inode: InodeId,
  count: number,
  handles: readonly ChunkHandle[],
): void {
  for (let done = 0; done < handles.length; ) {
    const page = Math.floor((count + done) / PAGE_CHUNKS);
    const room = PAGE_CHUNKS - ((count + done) % PAGE_CHUNKS);
    const more = handles.slice(done, done + room);
    putPage(state, inode, page, [...getPage(state, inode, page), ...more]);
    done += more.length;
  }
}

/** One page of a long file; empty behind its end. */
export function getPage(view: StateView, inode: InodeId, page: number): readonly ChunkHandle[] {
  const bytes = view.get(pageKey(inode, page));
  return bytes === undefined ? [] : decodePage(bytes);
}

export function deletePage(state: State, inode: InodeId, page: number): void {
  state.delete(pageKey(inode, page));
}

export function encodeChunk(chunk: ChunkRecord): Uint8Array {
  return encodeWhole((writer) => {
    writer.u53(chunk.epoch).u32(chunk.lengthBytes).u32(chunk.crc32c).u53(chunk.inode);
    writeFlag(writer, chunk.releasedAt !== undefined);
    writer.u53(chunk.releasedAt ?? 0);
    writeList(writer, chunk.members, writeNumber);
  });
}

export function decodeChunk(bytes: Uint8Array): ChunkRecord {
  return readWhole("chunk record", bytes, (r) => {
    const sealedAt = epoch(r.u53());
    const lengthBytes = r.u32();
    const crc32c = r.u32();
    const inode = inodeId(r.u53());
    const isReleased = readFlag(r);
    const time = wallMs(r.u53());
    const members = readIds(r, serverId);
    const releasedAt = isReleased ? time : undefined;
    return { epoch: sealedAt, lengthBytes, crc32c, inode, releasedAt, members };
  });
}

export function encodePage(handles: readonly ChunkHandle[]): Uint8Array {
  return encodeWhole((writer) => writeList(writer, handles, writeNumber));
}

export function decodePage(bytes: Uint8Array): readonly ChunkHandle[] {
  return readWhole("chunk page", bytes, (r) => readIds(r, chunkHandle));
}

function putPage(
  state: State,
  inode: InodeId,
  page: number,
  handles: readonly ChunkHandle[],
): void {
  invariant(handles.length <= PAGE_CHUNKS, "a page is not overfull", { inode, page });
  state.put(pageKey(inode, page), encodePage(handles));
}
