// Where the chunks of one revision of a file are, page by page as the reader gets there.
//
// A file that is appended to keeps all that it had: its readers go on. One that is replaced while
// it is read keeps its old chunks for a while, but the masters name only those of the current
// revision. A reader that needs more then asks for the revision that it reads as an earlier version
// of the file; where no policy keeps it, the reader stops with CONFLICT instead of mixing two
// contents.

import { LumeoError } from "@lumeofs/base";
import type { Call } from "./call.js";
import type { Metadata } from "./metadata.js";
import { type Ask, type InodeInfo, LATEST, type LocatedChunk } from "./operations.js";
import { type ByteRange, type Span, spansOf } from "./span.js";

/** Chunks in a page. */
export const CHUNK_PAGE = 256;
/** Pages kept: the one that is being read and its neighbours. */
const PAGES_MAX = 4;

/** Chunks whose location was asked for again are remembered; the oldest are asked for anew. */
const RELOCATED_MAX = 256;

/** A chunk, by its position, and where it begins in the file. */
export interface ChunkPlace {
  readonly position: number;
  readonly offset: number;
}

export class ChunkMap {
  readonly info: InodeInfo;
  /** Locations come with the labels of the servers. */
  readonly withLabels: boolean;
  readonly #metadata: Metadata;
  #version: number;
  /** A chunk of which it is known where it begins in the file. */
  readonly #place: ChunkPlace;
  /** Chunks that came with the file's info. */
  readonly #first: ReadonlyMap<number, LocatedChunk>;
  readonly #pages = new Map<number, Promise<readonly LocatedChunk[]>>();
  /** By position: newer than what came with the info or a page. */
  readonly #relocated = new Map<number, LocatedChunk>();

  constructor(
    metadata: Metadata,
    info: InodeInfo,
    first: ChunkPlace & {
      readonly chunks: readonly LocatedChunk[];
      /** The version that was asked for; 0 for the current one. */
      readonly version: number;
      readonly withLabels: boolean;
    },
  ) {
    this.#metadata = metadata;
    this.info = info;
    this.#version = first.version;
    this.withLabels = first.withLabels;
    this.#place = { position: first.position, offset: first.offset };
    this.#first = new Map(first.chunks.map((chunk, i) => [first.position + i, chunk]));
  }

  /**
   * The spans that make up a range. Of an uneven file, the range begins in the chunk that came
   * first with the file's info.
   */
  spans(
    call: Call,
    range: ByteRange,
    spanBytes: number,
  ): Iterator<Span, void> | AsyncIterator<Span, void> {
    return this.info.isUneven
      ? this.#unevenSpans(call, range, spanBytes)
      : spansOf(range, this.info.chunkBytes, spanBytes);
  }

  /** Chunk by chunk: each is as long as the masters say. */
  async *#unevenSpans(
    call: Call,
    range: ByteRange,
    spanBytes: number,
  ): AsyncGenerator<Span, void, undefined> {
    let { position, offset } = this.#place;
    while (offset < range.end) {
      const { lengthBytes } = await this.locate(call, position);
      const inChunk = {
        start: Math.max(0, range.start - offset),
        end: Math.min(lengthBytes, range.end - offset),
      };
      if (inChunk.start < inChunk.end) {
        for (const span of spansOf(inChunk, lengthBytes, spanBytes)) {
          yield { ...span, chunk: position };
        }
      }
      position += 1;
      offset += lengthBytes;
    }
  }

  /** A chunk that came with the file's info, if it did. */
  came(position: number): LocatedChunk | undefined {
    return this.#first.get(position);
  }

  /** The chunk at a position of the file. */
  async locate(call: Call, position: number): Promise<LocatedChunk> {
    const known = this.#relocated.get(position) ?? this.#first.get(position);
    if (known !== undefined) return known;
    const page = Math.floor(position / CHUNK_PAGE);
    const chunk = (await this.#page(call, page))[position - page * CHUNK_PAGE];
    if (chunk !== undefined) return chunk;
    const { path, chunkCount } = this.info;
    throw new LumeoError(
      "PROTOCOL",
      `Cannot read "${path}": the masters name no chunk ${position} of ${chunkCount}`,
    );
  }

  /**
   * The same, asked of the masters anew; undefined if they name none.
   *
   * @throws LumeoError CONFLICT if the file is not there any more, or another one is.
   */
  async locateAnew(call: Call, position: number): Promise<LocatedChunk | undefined> {
    return (await this.#stat(call, position, 1))[0];
  }

  /** What asks a master for a chunk of this very content. */
  askFor(position: number): Ask<"stat"> {
    return this.#askFor(this.#version, position, 1);
  }

  /** The masters have said again where a chunk is: its token is newer, perhaps its copies too. */
  relocated(position: number, chunk: LocatedChunk): void {
    this.#relocated.set(position, chunk);
    for (const oldest of this.#relocated.keys()) {
      if (this.#relocated.size <= RELOCATED_MAX) break;
      this.#relocated.delete(oldest);
    }
  }

  /** @throws LumeoError CONFLICT if the file is not there any more, or another one is. */
  async checkUnchanged(call: Call): Promise<void> {
    await this.#stat(call, 0, 0);
  }

  #page(call: Call, page: number): Promise<readonly LocatedChunk[]> {
    const known = this.#pages.get(page);
    if (known !== undefined) return known;
    const loading = this.#stat(call, page * CHUNK_PAGE, CHUNK_PAGE);
    this.#pages.set(page, loading);
    loading.catch(() => this.#pages.delete(page));
    for (const oldest of this.#pages.keys()) {
      if (this.#pages.size <= PAGES_MAX) break;
      this.#pages.delete(oldest);
    }
    return loading;
  }

  async #stat(call: Call, firstChunk: number, count: number): Promise<readonly LocatedChunk[]> {
    const { revision } = this.info;
    const ask = (version: number) => {
      // A master that is behind would know nothing of this revision, or only of the one before.
      const asked = this.#askFor(version, firstChunk, count);
      return this.#metadata.query(call, "stat", asked, LATEST);
    };
    const version = this.#version;
    const answer = await ask(version).catch((error) => {
      if (!isChange(error)) throw error;
      if (version !== 0) throw this.#changed(error);
      return ask(revision).then(
        (earlier) => {
          this.#version = revision; // it is one of the versions that are kept
          return earlier;
        },
        (second) => {
          throw isChange(second) ? this.#changed(error) : second;
        },
      );
    });
    if (answer.info.revision < revision) throw this.#changed(undefined);
    return answer.chunks;
  }

  #askFor(version: number, firstChunk: number, count: number): Ask<"stat"> {
    const { path, revision } = this.info;
    const page = { firstChunk, chunkCountMax: count, withLabels: this.withLabels };
    return { path, revision, version, ...page };
  }

  #changed(cause: unknown): LumeoError {
    return new LumeoError(
      "CONFLICT",
      `Cannot go on reading "${this.info.path}": it was replaced or removed; read it again`,
      { cause },
    );
  }
}

function isChange(error: unknown): boolean {
  if (!(error instanceof LumeoError)) return false;
  const { code } = error;
  return (
    code === "NOT_FOUND" ||
    code === "PRECONDITION" ||
    code === "CONFLICT" ||
    code === "IS_DIRECTORY" ||
    code === "NOT_DIRECTORY"
  );
}
