// One look at all files of a conversion: which chunks are still to be converted, and which files
// are to be marked as what they are meant to be. A job is done when a whole look has found nothing.
//
// P1. A file is marked as coded when a look finds none of its chunks left, and as copies before the
//     first is converted: so what was begun and called off is never gone on with by the policy of
//     files that are meant to be coded.
// P2. What waits is bounded: a look goes on when there is room.
// P3. What was written after the job began is converted when a look meets it, but not waited for:
//     a tree that changes all the time would keep its job for ever. Files that were made after the
//     look began are left to the next one: where writers are faster than conversions, and their
//     names rise, the look would never come to its end.
// P4. A file of which the masters keep all bytes stays as it is, and is not marked: it is counted.

import type { ChunkHandle, Code, InodeId, WallMs } from "@lumeofs/base";
import { isSameCode, ROOT_INODE } from "@lumeofs/base";
import { PAGE_CHUNKS } from "../../metadata/chunk-table.js";
import { COMMAND_ITEMS_MAX } from "../../metadata/command.js";
import type { FileCode } from "../../metadata/conversions.js";
import { REPLICAS_MAX } from "../../metadata/grants.js";
import { contentOf } from "../../metadata/inode-record.js";
import type { Amount, Conversion } from "../../metadata/jobs.js";
import { fileChunks } from "../../metadata/queries.js";
import { isContentShared } from "../../metadata/references.js";
import type { StateReader } from "../../metadata/state.js";
import { type FoundFile, lookAtTree } from "./tree-look.js";
import { needsConversion, type WantedLayout, wantedLayout } from "./wanted-layout.js";

/** Chunks that wait to be converted. */
const WAITING_MAX = 256;
/** Files and chunks looked at in one piece of work. */
const LOOKED_MAX = 500;
/** Where nobody says how many copies a file is to have. */
const COPIES_DEFAULT = 3;

/** A chunk to be converted. */
export interface ChunkTask {
  readonly handle: ChunkHandle;
  /** Undefined: copies. */
  readonly to: Code | undefined;
  /** How many of these. */
  readonly copies: number;
}

export interface PassTerms {
  readonly conversion: Conversion;
  /** It is only counted what is left. */
  readonly isMeasure: boolean;
  /** When the job began; undefined while there is none. (P3) */
  readonly since: WallMs | undefined;
  /** When this look began. (P3) */
  readonly begunAt: WallMs;
  readonly restMs: number;
  /** See `LookFrom`. */
  readonly except: ReadonlySet<InodeId>;
}

/** A file whose chunks are being looked at. */
interface Under {
  readonly file: FoundFile;
  readonly wanted: WantedLayout;
  /** It was written after the job began. (P3) */
  readonly isLate: boolean;
  /** Other files have its content. */
  readonly isShared: boolean;
  position: number;
  left: number;
  /** Chunks that the masters keep. */
  inline: number;
}

/** See the head of this file. */
export class JobPass {
  readonly terms: PassTerms;
  readonly waiting: ChunkTask[] = [];
  /** Marks to be set. */
  readonly codes: FileCode[] = [];
  /** Everything was looked at. */
  isAtEnd = false;
  /** Chunks that are not as they are wanted, those included that cannot be converted now. (P3) */
  left: Amount = { chunks: 0, bytes: 0 };
  /** Files that were not marked as they are meant to be. */
  unmarked = 0;
  /** Files that stay with the masters. (P4) */
  small = 0;
  readonly #files: AsyncGenerator<FoundFile | undefined, void, undefined>;
  #under: Under | undefined;

  constructor(reader: StateReader, terms: PassTerms) {
    this.terms = terms;
    const { conversion, except } = terms;
    const root = conversion.kind === "tree" ? conversion.root : ROOT_INODE;
    const path = conversion.kind === "tree" ? conversion.path : "/";
    this.#files = lookAtTree(reader, { root, path, except });
  }

  /** Nothing was found that is not as it is wanted. */
  get isClean(): boolean {
    return this.left.chunks === 0 && this.unmarked === 0;
  }

  /** One bounded piece of work. @param nowMs  By the leader's clock, for the age of files. */
  async look(state: StateReader, nowMs: number): Promise<void> {
    for (let looked = 0; looked < LOOKED_MAX && !this.isAtEnd; looked++) {
      if (WAITING_MAX <= this.waiting.length || COMMAND_ITEMS_MAX <= this.codes.length) return;
      if (this.#under !== undefined) {
        looked += this.#lookAtChunks(state, this.#under);
        continue;
      }
      const next = await this.#files.next();
      if (next.done === true) this.isAtEnd = true;
      else if (next.value !== undefined) this.#begin(state, next.value, nowMs);
    }
  }

  #begin(state: StateReader, file: FoundFile, nowMs: number): void {
    const { conversion, restMs, since, begunAt } = this.terms;
    const { inode, policy } = file;
    const wanted = wantedLayout(inode, conversion, { policy, nowMs, restMs });
    if (wanted === undefined) return;
    const isLate = since !== undefined && since < inode.modifiedAt;
    if (isLate && begunAt < inode.createdAt) return; // (P3)
    const isShared = isContentShared(state, contentOf(file.id, file.inode));
    const under = { file, wanted, isLate, isShared, position: 0, left: 0, inline: 0 };
    if (wanted.code === undefined) this.#mark(under, undefined); // (P1)
    this.#under = under;
  }

  /** The next page of a file's chunks. @returns How many there are. */
  #lookAtChunks(state: StateReader, under: Under): number {
    const { file, wanted, isLate, isShared } = under;
    const window = { first: under.position, countMax: PAGE_CHUNKS };
    const chunks = fileChunks(state, file, window);
    for (const { handle, chunk } of chunks) {
      if (chunk.isInline) under.inline++;
      const isOthers = isShared || 0 < chunk.sharers;
      if (chunk.releasedAt !== undefined || !needsConversion(chunk, wanted, isOthers)) continue;
      under.left++;
      const { chunks: count, bytes } = this.left;
      if (!isLate) this.left = { chunks: count + 1, bytes: bytes + chunk.lengthBytes };
      if (this.terms.isMeasure) continue;
      this.waiting.push({ handle, to: wanted.code, copies: wanted.copies ?? copiesOf(file) });
    }
    under.position += chunks.length;
    if (chunks.length < PAGE_CHUNKS) {
      this.#under = undefined;
      const isSmall = 0 < under.inline && under.inline === file.inode.chunkCount;
      if (isSmall) this.small++;
      else if (under.left === 0 && !wanted.onlyFull) this.#mark(under, wanted.copies);
    }
    return chunks.length;
  }

  #mark({ file, wanted: { code }, isLate }: Under, replicas: number | undefined): void {
    const { parent, name, id, inode } = file;
    const isSame = replicas === undefined || replicas === inode.replicas;
    if (isSameCode(inode.code, code) && isSame) return;
    if (!isLate) this.unmarked++;
    if (!this.terms.isMeasure) this.codes.push({ parent, name, inode: id, code, replicas });
  }
}

/** What the policy says, else what the file was written with. */
function copiesOf({ inode, policy }: FoundFile): number {
  const wanted = policy.replicas ?? inode.replicas;
  return 1 <= wanted && wanted <= REPLICAS_MAX ? wanted : COPIES_DEFAULT;
}
