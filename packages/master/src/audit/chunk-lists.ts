// One file against the records of its chunks.

import { crc32cCombine, formatCode, type InodeId, unitCount } from "@lumeofs/base";
import {
  type ChunkPage,
  type ChunkRecord,
  getPageRecord,
  listedChunk,
  PAGE_CHUNKS,
} from "../metadata/chunk-table.js";
import { contentOf, type FileInode } from "../metadata/inode-record.js";
import type { StateView } from "../metadata/state.js";
import type { NameFault, NameFinding } from "./finding.js";

export interface NamedFile {
  readonly path: string;
  readonly id: InodeId;
  readonly file: FileInode;
}

/** The chunks of a file in their order, a page at a time. */
export function* pagesOfFile(
  view: StateView,
  id: InodeId,
  file: FileInode,
): Generator<ChunkPage, void, void> {
  const { inline, chunkCount } = file;
  if (chunkCount <= inline.length) {
    yield { handles: inline, offset: undefined };
    return;
  }
  for (let first = 0; first < chunkCount; first += PAGE_CHUNKS) {
    const page = getPageRecord(view, contentOf(id, file), first / PAGE_CHUNKS);
    const handles = page?.handles.slice(0, chunkCount - first) ?? [];
    yield { handles, offset: page?.offset };
  }
}

/**
 * Follows a file to its chunks. Between two yields are at most PAGE_CHUNKS chunks; the last value
 * says what is wrong with the file as a whole.
 */
export function* checkFile(
  view: StateView,
  named: NamedFile,
): Generator<{ readonly chunks: number; readonly findings: readonly NameFinding[] }, void, void> {
  const { id, file } = named;
  const sums = new Sums();
  for (const { handles, offset } of pagesOfFile(view, id, file)) {
    const findings = sums.misplaced(offset).map((what) => found(named, "chunkList", what));
    for (const handle of handles) {
      const chunk = listedChunk(view, handle)?.chunk;
      const fault = chunk === undefined ? "it is not known" : faultOf(chunk, contentOf(id, file));
      if (fault !== undefined) findings.push(found(named, "chunkRecord", fault, handle));
      const uneven = chunk === undefined ? undefined : sums.add(chunk, file);
      if (uneven !== undefined) findings.push(found(named, "chunkList", uneven, handle));
    }
    yield { chunks: handles.length, findings };
  }
  const findings = sums.against(file).map((what) => found(named, "chunkList", what));
  if (0 < findings.length) yield { chunks: 0, findings };
}

function faultOf(chunk: ChunkRecord, content: InodeId): string | undefined {
  const { releasedAt, inode, isForked } = chunk;
  if (releasedAt !== undefined) return "it is released, and will be deleted";
  const unfit = layoutFault(chunk);
  if (unfit !== undefined) return unfit;
  if (isForked) return undefined; // others have it, too: it is not said who
  return inode === content ? undefined : `it is recorded for content ${inode}, expected ${content}`;
}

/** Members are different servers, and of a coded chunk as many as its code has units. */
function layoutFault({ members, coding }: ChunkRecord): string | undefined {
  if (new Set(members).size < members.length) return "a server is twice among its members";
  if (coding === undefined) return undefined;
  const units = unitCount(coding);
  if (members.length === units) return undefined;
  return `it is coded ${formatCode(coding)}, and has ${members.length} members, expected ${units}`;
}

function found({ path, id }: NamedFile, fault: NameFault, what: string, handle = 0): NameFinding {
  return { fault, path, inode: id, handle, what };
}

/** What the chunks of a file add up to: offsets follow from lengths, and pages may say them too. */
class Sums {
  #count = 0;
  #bytes = 0;
  #crc32c = 0;
  /** A chunk came that is shorter than the others: it must be the last. */
  #isClosed = false;

  /** What is wrong with the offset that a page says it begins at, where it says one. */
  misplaced(offset: number | undefined): string[] {
    if (offset === undefined || offset === this.#bytes) return [];
    return [`a page of its chunks says that it begins at ${offset}, expected ${this.#bytes}`];
  }

  /** @returns What is wrong with the place of this chunk. */
  add({ lengthBytes, crc32c }: ChunkRecord, file: FileInode): string | undefined {
    this.#crc32c = crc32cCombine(this.#crc32c, crc32c, lengthBytes);
    this.#count++;
    this.#bytes += lengthBytes;
    if (file.isUneven) return undefined;
    const wasClosed = this.#isClosed;
    this.#isClosed = lengthBytes < file.chunkSizeBytes;
    const most = file.chunkSizeBytes;
    if (most < lengthBytes) return `it has ${lengthBytes} bytes, expected at most ${most}`;
    return wasClosed ? `it follows a chunk that is shorter than ${most} bytes` : undefined;
  }

  /** What is wrong with the whole, if its chunks are known. */
  against(file: FileInode): readonly string[] {
    const { chunkCount, sizeBytes } = file;
    if (this.#count !== chunkCount) {
      return [`it has ${this.#count} known chunks, expected ${chunkCount}`];
    }
    const wrong: string[] = [];
    if (this.#bytes !== sizeBytes) {
      wrong.push(`its chunks have ${this.#bytes} bytes, expected ${sizeBytes}`);
    }
    if (this.#crc32c !== file.crc32c) {
      const [is, said] = [this.#crc32c, file.crc32c].map((crc) => crc.toString(16));
      wrong.push(`the checksum of its chunks is ${is}, expected ${said}`);
    }
    return wrong;
  }
}
