// Every chunk that belongs, or lately belonged, to a file.
//
// C1. A consumed handle has a record here from its consumption until it is forgotten.
// C2. A record is marked released exactly if the released table names it at that time.
// C3. A handle with neither record nor live grant is garbage: no file will ever need it. A growing
//     chunk has a record elsewhere (tail-table.ts), and gets one here when it is sealed.
// C4. A chunk is in several contents only where one was forked from another (growth.ts): its record
//     counts them, beyond the first.
// C5. A coded chunk has as many members as its code has units, and the position of a member is the
//     number of its unit: members are replaced in place, and never put in another order.
// C6. A chunk that was converted (conversions.ts) has another handle than the lists that have it:
//     the converted table leads from theirs to it, and its record names theirs. So whoever comes
//     from a list asks `listedChunk`, and whoever comes from chunkservers `getChunk`. No list ever
//     has the handle that a chunk was converted to.
// C7. An inline chunk (inline-table.ts) has no members, no code, and is never converted: the
//     masters keep its bytes until it is forgotten.

import {
  type ChunkCoding,
  type ChunkHandle,
  chunkHandle,
  type Epoch,
  epoch,
  formatCode,
  type InodeId,
  inodeId,
  invariant,
  type ServerId,
  serverId,
  unitCount,
  type WallMs,
  wallMs,
} from "@lumeofs/base";
import { readCoding, writeCoding } from "./coding-codec.js";
import { type Refused, refuse, type SealedChunk } from "./command.js";
import { corrupt, encodeWhole, readIds, readWhole, writeList, writeNumber } from "./fields.js";
import { consume, FRESH_EPOCH, isLive, REPLICAS_MAX } from "./grants.js";
import { dropInlineBytes } from "./inline-table.js";
import { chunkKey, convertedKey, pageKey, releasedKey } from "./keys.js";
import { isOfLostTime } from "./restoration.js";
import type { State, StateView } from "./state.js";

/** Handles in a page of a long file. */
export const PAGE_CHUNKS = 256;

/** Consecutive chunks of a long file. */
export interface ChunkPage {
  readonly handles: readonly ChunkHandle[];
  /** Where the first one begins in the file; undefined where all chunks before it are full. */
  readonly offset: number | undefined;
}

export interface ChunkRecord {
  readonly epoch: Epoch;
  readonly lengthBytes: number;
  readonly crc32c: number;
  /** The content that it was made for: of a file, or of the upload that will become it. */
  readonly inode: InodeId;
  /** Since when no file has it; undefined while one has. */
  readonly releasedAt: WallMs | undefined;
  /** The primary first; of a coded chunk the holder of each unit (C5). */
  readonly members: readonly ServerId[];
  /** Undefined for a chunk that is kept as copies. */
  readonly coding: ChunkCoding | undefined;
  /** Contents that have it, beyond the first. */
  readonly sharers: number;
  /** It was in several contents once: `inode` may have gone. */
  readonly isForked: boolean;
  /** The handle that lists have of it; undefined for its own (C6). */
  readonly listedAs: ChunkHandle | undefined;
  /** The masters keep its bytes themselves (C7). */
  readonly isInline: boolean;
}

/** A chunk that a list has, under the handle that it has on its servers. */
export interface ListedChunk {
  readonly handle: ChunkHandle;
  readonly chunk: ChunkRecord;
}

/** Bits of a record's byte of flags. */
const HAS = { released: 1, sharers: 2, forked: 4, coding: 8, listedAs: 16, inline: 32 } as const;
const HAS_ALL = 63;

const NOBODY: readonly ServerId[] = [];

/** Turns granted handles into chunks of an inode; all of them, or a refusal. */
export function sealChunks(
  state: State,
  chunks: readonly SealedChunk[],
  inode: InodeId,
): Refused | undefined {
  for (const { handle, epoch: sealedAt, lengthBytes, crc32c, coding } of chunks) {
    if (sealedAt !== FRESH_EPOCH) {
      return refuse("STALE_EPOCH", `Cannot use chunk ${handle}: epoch is ${sealedAt}, expected 1`);
    }
    const use = consume(state, handle);
    if (use.kind === "refused") return use;
    const { members } = use;
    const unfit = refuseLayout(handle, coding, members);
    if (unfit !== undefined) return unfit;
    putChunk(state, handle, { epoch: sealedAt, lengthBytes, crc32c, inode, members, coding });
  }
  return undefined;
}

/** Why a chunk cannot be kept so by these members; undefined if it can. (C5) */
export function refuseLayout(
  handle: ChunkHandle,
  coding: ChunkCoding | undefined,
  members: readonly ServerId[],
): Refused | undefined {
  if (coding === undefined) {
    if (members.length <= REPLICAS_MAX) return undefined;
    const why = `its grant is for the ${members.length} units of a coded chunk, and it has copies`;
    return refuse("INVALID_ARGUMENT", `Cannot use chunk ${handle}: ${why}`);
  }
  const units = unitCount(coding);
  const what = `Cannot use chunk ${handle} coded ${formatCode(coding)}`;
  if (members.length === units) return undefined;
  const why = `its grant is for ${members.length} servers, and it has ${units} units`;
  return refuse("INVALID_ARGUMENT", `${what}: ${why}`);
}

/** A chunk of one content. */
export function putChunk(
  state: State,
  handle: ChunkHandle,
  chunk: Omit<ChunkRecord, "releasedAt" | "sharers" | "isForked" | "listedAs" | "isInline">,
): void {
  const { epoch: sealedAt, lengthBytes, crc32c, inode, members, coding } = chunk;
  // Written out: spreading objects costs more than all else that a commit does with its chunk.
  const record: ChunkRecord = {
    epoch: sealedAt,
    lengthBytes,
    crc32c,
    inode,
    releasedAt: undefined,
    members,
    coding,
    sharers: 0,
    isForked: false,
    listedAs: undefined,
    isInline: false,
  };
  state.put(chunkKey(handle), encodeChunk(record));
}

/** A chunk of one content whose bytes the masters keep. They are the caller's to put (C7). */
export function putInlineChunk(
  state: State,
  handle: ChunkHandle,
  { lengthBytes, crc32c, inode }: Pick<ChunkRecord, "lengthBytes" | "crc32c" | "inode">,
): void {
  const record: ChunkRecord = {
    epoch: FRESH_EPOCH,
    lengthBytes,
    crc32c,
    inode,
    releasedAt: undefined,
    members: NOBODY,
    coding: undefined,
    sharers: 0,
    isForked: false,
    listedAs: undefined,
    isInline: true,
  };
  state.put(chunkKey(handle), encodeChunk(record));
}

/** One more content has these chunks. */
export function shareChunks(state: State, handles: readonly ChunkHandle[]): void {
  for (const listed of handles) {
    const { handle, chunk } = mustGetListed(state, listed);
    const sharers = chunk.sharers + 1;
    state.put(chunkKey(handle), encodeChunk({ ...chunk, sharers, isForked: true }));
  }
}

/**
 * Takes chunks from a content. Those that no other has wait until `forget`, because somebody may be
 * reading them.
 */
export function releaseChunks(state: State, handles: readonly ChunkHandle[], at: WallMs): void {
  for (const listed of handles) {
    const { handle, chunk } = mustGetListed(state, listed);
    invariant(chunk.releasedAt === undefined, "a file's chunk is not released", { handle });
    if (0 < chunk.sharers) {
      state.put(chunkKey(handle), encodeChunk({ ...chunk, sharers: chunk.sharers - 1 }));
      continue;
    }
    releaseRecord(state, handle, chunk, at);
    if (chunk.listedAs !== undefined) state.delete(convertedKey(chunk.listedAs));
  }
}

/** No file has this chunk from now on. The way from a list to it is the caller's. */
function releaseRecord(
  state: State,
  handle: ChunkHandle,
  chunk: ChunkRecord,
  releasedAt: WallMs,
): void {
  const alone = { sharers: 0, listedAs: undefined };
  state.put(chunkKey(handle), encodeChunk({ ...chunk, ...alone, releasedAt }));
  state.put(releasedKey(releasedAt, handle), new Uint8Array());
}

/**
 * Lets another chunk take the place of one in all contents that have that: the lists stay as they
 * are (C6). The old one waits until `forget`, as any that is released.
 *
 * @param to  Has the same bytes; its record is not there yet.
 */
export function convertChunk(
  state: State,
  from: { readonly handle: ChunkHandle; readonly chunk: ChunkRecord },
  to: { readonly handle: ChunkHandle } & Pick<ChunkRecord, "epoch" | "members" | "coding">,
  at: WallMs,
): void {
  const { chunk } = from;
  const { handle, epoch: sealedAt, members, coding } = to;
  const listedAs = chunk.listedAs ?? from.handle;
  const record = { ...chunk, epoch: sealedAt, members, coding, listedAs };
  state.put(chunkKey(handle), encodeChunk(record));
  const bytes = encodeWhole((writer) => writer.u53(handle));
  state.put(convertedKey(listedAs), bytes);
  releaseRecord(state, from.handle, chunk, at);
}

/** Forgets those of the chunks that are released. */
export function forgetChunks(state: State, handles: readonly ChunkHandle[]): void {
  for (const handle of handles) {
    const record = getChunk(state, handle);
    if (record?.releasedAt === undefined) continue;
    state.delete(releasedKey(record.releasedAt, handle));
    state.delete(chunkKey(handle));
    if (record.isInline) dropInlineBytes(state, handle, record.lengthBytes);
  }
}

/** The copies are with these servers now, the primary first. */
export function putMembers(state: State, handle: ChunkHandle, members: readonly ServerId[]): void {
  const record = getChunk(state, handle);
  invariant(record !== undefined, "a chunk with members is in the table", { handle });
  state.put(chunkKey(handle), encodeChunk({ ...record, members }));
}

/**
 * Whether no file has, had lately, or may still get this chunk, nor a backup may know it. Of
 * growing chunks nothing is known here: `standingOfReplica`.
 */
export function isGarbage(view: StateView, handle: ChunkHandle): boolean {
  if (view.get(chunkKey(handle)) !== undefined) return false;
  return !isLive(view, handle) && !isOfLostTime(view, handle);
}

/** The chunk that a handle in a list stands for (C6); undefined if there is none. */
export function listedChunk(view: StateView, listed: ChunkHandle): ListedChunk | undefined {
  const own = getChunk(view, listed);
  if (own !== undefined && own.releasedAt === undefined) return { handle: listed, chunk: own };
  const bytes = view.get(convertedKey(listed));
  if (bytes === undefined) return own === undefined ? undefined : { handle: listed, chunk: own };
  const handle = decodeConverted(bytes);
  const chunk = getChunk(view, handle);
  return chunk === undefined ? undefined : { handle, chunk };
}

export function decodeConverted(bytes: Uint8Array): ChunkHandle {
  return readWhole("converted record", bytes, (r) => chunkHandle(r.u53()));
}

function mustGetListed(view: StateView, listed: ChunkHandle): ListedChunk {
  const found = listedChunk(view, listed);
  invariant(found !== undefined, "a file's chunk is in the table", { handle: listed });
  return found;
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
    const before = getPageRecord(state, inode, page);
    putPage(state, inode, page, {
      handles: [...(before?.handles ?? []), ...more],
      offset: before?.offset,
    });
    done += more.length;
  }
}

/** One page of a long file; empty behind its end. */
export function getPage(view: StateView, inode: InodeId, page: number): readonly ChunkHandle[] {
  return getPageRecord(view, inode, page)?.handles ?? [];
}

/** A page with what it says of its place; undefined behind the end. */
export function getPageRecord(
  view: StateView,
  inode: InodeId,
  page: number,
): ChunkPage | undefined {
  const bytes = view.get(pageKey(inode, page));
  return bytes === undefined ? undefined : decodePage(bytes);
}

export function deletePage(state: State, inode: InodeId, page: number): void {
  state.delete(pageKey(inode, page));
}

export function encodeChunk(chunk: ChunkRecord): Uint8Array {
  return encodeWhole((writer) => {
    writer.u53(chunk.epoch).u32(chunk.lengthBytes).u32(chunk.crc32c).u53(chunk.inode);
    writer.u8(fieldsOf(chunk)).u53(chunk.releasedAt ?? 0);
    writeList(writer, chunk.members, writeNumber);
    if (0 < chunk.sharers) writer.u32(chunk.sharers);
    if (chunk.coding !== undefined) writeCoding(writer, chunk.coding);
    if (chunk.listedAs !== undefined) writer.u53(chunk.listedAs);
  });
}

export function decodeChunk(bytes: Uint8Array): ChunkRecord {
  return readWhole("chunk record", bytes, (r) => {
    const sealedAt = epoch(r.u53());
    const lengthBytes = r.u32();
    const crc32c = r.u32();
    const inode = inodeId(r.u53());
    const has = r.u8();
    if (HAS_ALL < has) throw corrupt("chunk record", `it has unknown fields (${has})`);
    const time = wallMs(r.u53());
    const members = readIds(r, serverId);
    const releasedAt = has & HAS.released ? time : undefined;
    const sharers = has & HAS.sharers ? r.u32() : 0;
    const isForked = (has & HAS.forked) !== 0;
    const coding = has & HAS.coding ? readCoding(r) : undefined;
    const listedAs = has & HAS.listedAs ? chunkHandle(r.u53()) : undefined;
    const isInline = (has & HAS.inline) !== 0;
    if (isInline && 0 < members.length) throw corrupt("chunk record", "it is inline, with members");
    const kept = { releasedAt, members, coding, sharers, isForked, listedAs, isInline };
    return { epoch: sealedAt, lengthBytes, crc32c, inode, ...kept };
  });
}

function fieldsOf(chunk: ChunkRecord): number {
  const { releasedAt, sharers, isForked, coding, listedAs, isInline } = chunk;
  return (
    (releasedAt === undefined ? 0 : HAS.released) |
    (0 < sharers ? HAS.sharers : 0) |
    (isForked ? HAS.forked : 0) |
    (coding === undefined ? 0 : HAS.coding) |
    (listedAs === undefined ? 0 : HAS.listedAs) |
    (isInline ? HAS.inline : 0)
  );
}

export function encodePage({ handles, offset }: ChunkPage): Uint8Array {
  return encodeWhole((writer) => {
    writeList(writer, handles, writeNumber);
    if (offset !== undefined) writer.u53(offset);
  });
}

export function decodePage(bytes: Uint8Array): ChunkPage {
  return readWhole("chunk page", bytes, (r) => {
    const handles = readIds(r, chunkHandle);
    return { handles, offset: 0 < r.remaining ? r.u53() : undefined };
  });
}

export function putPage(state: State, inode: InodeId, page: number, record: ChunkPage): void {
  invariant(record.handles.length <= PAGE_CHUNKS, "a page is not overfull", { inode, page });
  state.put(pageKey(inode, page), encodePage(record));
}
