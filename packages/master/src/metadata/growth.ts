// Contents that grow: what was appended to a file comes behind its chunks, one sealed chunk at a
// time. Such chunks have any length, so the way from an offset to a chunk goes over the running
// offsets that pages keep, and the lengths of the chunks in one page.
//
// G1. What other files share never changes: a content that is shared is forked first. The fork has
//     the same chunks, and each of them counts who has it (C4 in chunk-table.ts).
// G2. A file is even while every chunk but the last is `chunkSizeBytes` long: then no offset is
//     kept. A page that begins behind an uneven chunk keeps its own.

import {
  type ChunkHandle,
  crc32cCombine,
  type InodeId,
  inodeId,
  invariant,
  type WallMs,
} from "@lumeofs/base";
import {
  appendToPages,
  getPage,
  getPageRecord,
  listedChunk,
  PAGE_CHUNKS,
  putPage,
  shareChunks,
} from "./chunk-table.js";
import { takeNumber } from "./counters.js";
import { contentOf, type FileInode } from "./inode-record.js";
import { isContentShared, unshareContent } from "./references.js";
import type { State, StateView } from "./state.js";

/** A file with more chunks keeps their handles in pages instead of its inode. */
export const INLINE_CHUNKS_MAX = 8;
/** A shared content with more chunks is not forked: a command's work is bounded. */
export const FORK_CHUNKS_MAX = 16_384;

/** A sealed chunk that comes behind all others. */
export interface GrownChunk {
  readonly handle: ChunkHandle;
  readonly lengthBytes: number;
  readonly crc32c: number;
}

/** A place in a file's list of chunks. */
export interface ChunkPlace {
  readonly position: number;
  /** Where that chunk begins in the file. */
  readonly offset: number;
}

/** The file with one more chunk. The list is changed in the state; the inode is the caller's. */
export function growFile(
  state: State,
  file: { readonly id: InodeId; readonly inode: FileInode },
  chunk: GrownChunk,
  now: { readonly index: number; readonly at: WallMs },
): FileInode {
  const own = isContentShared(state, contentOf(file.id, file.inode))
    ? fork(state, file.id, file.inode)
    : file.inode;
  const { sizeBytes, chunkCount, crc32c } = own;
  return {
    ...own,
    inline: withHandle(state, contentOf(file.id, own), own, chunk.handle),
    sizeBytes: sizeBytes + chunk.lengthBytes,
    chunkCount: chunkCount + 1,
    crc32c:
      chunkCount === 0 ? chunk.crc32c : crc32cCombine(crc32c, chunk.crc32c, chunk.lengthBytes),
    isUneven: own.isUneven || !staysEven(own, chunk),
    revision: now.index,
    grownSince: own.grownSince ?? own.revision,
    modifiedAt: now.at,
  };
}

/** The chunk that holds a byte; behind the end, the place behind the last chunk. */
export function placeOfOffset(
  view: StateView,
  file: { readonly id: InodeId; readonly inode: FileInode },
  offset: number,
): ChunkPlace {
  const { inode } = file;
  const end = { position: inode.chunkCount, offset: inode.sizeBytes };
  if (inode.sizeBytes <= offset) return end;
  if (!inode.isUneven) {
    const position = Math.floor(offset / inode.chunkSizeBytes);
    return { position, offset: position * inode.chunkSizeBytes };
  }
  const page = isPaged(inode) ? pageOfOffset(view, file, offset) : 0;
  return walkPage(view, file, page, (place, lengthBytes) => offset < place.offset + lengthBytes);
}

/** Where a chunk begins in its file. */
export function offsetOfPosition(
  view: StateView,
  file: { readonly id: InodeId; readonly inode: FileInode },
  position: number,
): number {
  const { inode } = file;
  if (inode.chunkCount <= position) return inode.sizeBytes;
  if (!inode.isUneven) return position * inode.chunkSizeBytes;
  const page = isPaged(inode) ? Math.floor(position / PAGE_CHUNKS) : 0;
  return walkPage(view, file, page, (place) => place.position === position).offset;
}

function isPaged({ inline, chunkCount }: FileInode): boolean {
  return inline.length < chunkCount;
}

/** (G2) */
function staysEven({ chunkCount, sizeBytes, chunkSizeBytes }: FileInode, chunk: GrownChunk) {
  return sizeBytes === chunkCount * chunkSizeBytes && chunk.lengthBytes <= chunkSizeBytes;
}

/** Adds to the list; what the inode itself keeps of it afterwards. */
function withHandle(
  state: State,
  content: InodeId,
  file: FileInode,
  handle: ChunkHandle,
): readonly ChunkHandle[] {
  const { inline, chunkCount, sizeBytes } = file;
  if (!isPaged(file)) {
    if (chunkCount < INLINE_CHUNKS_MAX) return [...inline, handle];
    appendToPages(state, content, 0, [...inline, handle]);
    return [];
  }
  const isFirstOfPage = chunkCount % PAGE_CHUNKS === 0;
  const isFull = sizeBytes === chunkCount * file.chunkSizeBytes;
  if (isFirstOfPage && (file.isUneven || !isFull)) {
    putPage(state, content, chunkCount / PAGE_CHUNKS, { handles: [handle], offset: sizeBytes });
  } else {
    appendToPages(state, content, chunkCount, [handle]);
  }
  return [];
}

/** Gives the file a list of its own, with the chunks that it shares with others. (G1) */
function fork(state: State, id: InodeId, file: FileInode): FileInode {
  const shared = contentOf(id, file);
  const own = inodeId(takeNumber(state, "inode"));
  if (!isPaged(file)) {
    shareChunks(state, file.inline);
  } else {
    for (let page = 0; page * PAGE_CHUNKS < file.chunkCount; page++) {
      const record = getPageRecord(state, shared, page);
      invariant(record !== undefined, "a long file has its pages", { shared, page });
      const handles = record.handles.slice(0, file.chunkCount - page * PAGE_CHUNKS);
      shareChunks(state, handles);
      putPage(state, own, page, { ...record, handles });
    }
  }
  unshareContent(state, shared);
  return { ...file, content: own };
}

/** The last page that begins at or before an offset. */
function pageOfOffset(
  view: StateView,
  file: { readonly id: InodeId; readonly inode: FileInode },
  offset: number,
): number {
  let low = 0;
  let high = Math.ceil(file.inode.chunkCount / PAGE_CHUNKS) - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (startOfPage(view, file, middle) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

function startOfPage(
  view: StateView,
  { id, inode }: { readonly id: InodeId; readonly inode: FileInode },
  page: number,
): number {
  const offset = getPageRecord(view, contentOf(id, inode), page)?.offset;
  return offset ?? page * PAGE_CHUNKS * inode.chunkSizeBytes;
}

/** The first chunk of a page that is the one; the place behind the page if none is. */
function walkPage(
  view: StateView,
  file: { readonly id: InodeId; readonly inode: FileInode },
  page: number,
  isIt: (place: ChunkPlace, lengthBytes: number) => boolean,
): ChunkPlace {
  const { id, inode } = file;
  const handles = isPaged(inode) ? getPage(view, contentOf(id, inode), page) : inode.inline;
  let place = {
    position: page * PAGE_CHUNKS,
    offset: page === 0 ? 0 : startOfPage(view, file, page),
  };
  for (const handle of handles) {
    const lengthBytes = listedChunk(view, handle)?.chunk.lengthBytes ?? 0;
    if (isIt(place, lengthBytes)) return place;
    place = { position: place.position + 1, offset: place.offset + lengthBytes };
  }
  return place;
}
