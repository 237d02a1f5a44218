// get(): the bytes of a range in order, fetched ahead in parallel.
//
// G1. At most READ_AHEAD_SPANS spans of one reading are fetched or held at once, and all readings
//     of a client together hold at most READ_AHEAD_BYTES beyond one span each. What is held does
//     not depend on how fast the consumer is, and a slow consumer blocks no connection.
// G2. A chunk that is read whole is checked against its checksum in the metadata before its last
//     bytes are given out; a file that is read whole, against the file's checksum too.
// G3. A reading shows one revision of the file. If that is gone, it starts anew only as long as
//     nothing was given out.

import { Budget, crc32cCombine, KiB, LumeoError, MiB, type Permit } from "@lumeofs/base";
import type { Call } from "./call.js";
import { ChunkMap } from "./chunk-map.js";
import type { Metadata } from "./metadata.js";
import { type ByteRange, resolveRange, type Span, spansOf } from "./span.js";
import type { SpanBytes, SpanReader } from "./span-reader.js";

/** What one data request asks for. */
const SPAN_BYTES = 2 * MiB;
const READ_AHEAD_SPANS = 12;
const READ_AHEAD_BYTES = 64 * MiB;
/** Chunks that are asked for together with the file's info: enough for most files. */
const CHUNKS_WITH_INFO = 16;
/** Where the first chunk of a range probably is, before the file's chunk size is known. */
const CHUNK_BYTES_GUESS = 64 * MiB;
const RESTARTS_MAX = 3;
/** Pieces smaller than this are joined before they are given out. */
const PIECE_BYTES_MIN = 64 * KiB;

/** One revision of a file and the part of it to read. */
export interface ReadPlan {
  readonly file: ChunkMap;
  readonly range: ByteRange;
  /** Name of the only chunkserver that may be asked; undefined for any. */
  readonly onlyReplica: string | undefined;
}

/** Which content is to be read, and how. */
export interface ReadWish {
  readonly range: Partial<ByteRange>;
  /** 0 for the current one. */
  readonly version: number;
  readonly onlyReplica: string | undefined;
}

interface Fetch {
  readonly span: Span;
  readonly bytes: Promise<SpanBytes>;
  readonly permit: Permit | undefined;
}

export class Reader {
  readonly #metadata: Metadata;
  readonly #spans: SpanReader;
  readonly #readAhead = new Budget(READ_AHEAD_BYTES);
  readonly #withLabels: boolean;

  /** @param withLabels  Near replicas are looked for by the labels of their servers. */
  constructor(metadata: Metadata, spans: SpanReader, withLabels: boolean) {
    this.#metadata = metadata;
    this.#spans = spans;
    this.#withLabels = withLabels;
  }

  /** Looks a file up. @throws LumeoError IS_DIRECTORY; INVALID_ARGUMENT for a wrong range. */
  async plan(call: Call, path: string, wish: ReadWish): Promise<ReadPlan> {
    const { range: asked, version, onlyReplica } = wish;
    const withLabels = this.#withLabels;
    const position = Math.floor((asked.start ?? 0) / CHUNK_BYTES_GUESS);
    const firstChunk = Number.isSafeInteger(position) && 0 <= position ? position : 0;
    const window = { firstChunk, chunkCountMax: CHUNKS_WITH_INFO, withLabels };
    const ask = { path, revision: 0, version, ...window };
    const { info, chunks } = await this.#metadata.query(call, "stat", ask);
    if (info.kind === "dir") {
      throw new LumeoError("IS_DIRECTORY", `Cannot read "${path}": it is a directory`);
    }
    const range = resolveRange(asked, info.sizeBytes);
    const first = { position: firstChunk, chunks, version, withLabels };
    return { file: new ChunkMap(this.#metadata, info, first), range, onlyReplica };
  }

  /**
   * The bytes of a plan, in order.
   *
   * @param replan  Looks the file up again, if it was replaced before anything was given out (G3).
   */
  async *read(
    call: Call,
    first: ReadPlan,
    replan: () => Promise<ReadPlan>,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let plan = first;
    let isDelivered = false;
    for (let restarts = 0; ; restarts++) {
      try {
        for await (const piece of this.#inOrder(call, plan)) {
          isDelivered = true;
          yield piece;
        }
        return;
      } catch (error) {
        if (!(error instanceof LumeoError) || error.code !== "CONFLICT") throw error;
        if (isDelivered || RESTARTS_MAX <= restarts) throw error;
        plan = await replan();
      }
    }
  }

  async *#inOrder(call: Call, plan: ReadPlan): AsyncGenerator<Uint8Array, void, undefined> {
    const { file, range } = plan;
    if (range.start === range.end) return;
    const spans = spansOf(range, file.info.chunkBytes, SPAN_BYTES);
    const fetches: Fetch[] = [];
    const sums = new ContentSums(file);
    try {
      for (;;) {
        this.#fetchAhead(call, plan, spans, fetches);
        const next = fetches[0];
        if (next === undefined) return;
        const { pieces, crc32c } = await next.bytes;
        await sums.add(call, next.span, crc32c);
        call.bytes += next.span.length;
        yield* joined(pieces);
        fetches.shift();
        next.permit?.release();
      }
    } finally {
      for (const { permit } of fetches) permit?.release();
    }
  }

  /** Keeps the window full (G1). Fetches that nobody waits for any more end with the call. */
  #fetchAhead(call: Call, plan: ReadPlan, spans: Iterator<Span>, fetches: Fetch[]): void {
    const { file, onlyReplica } = plan;
    while (fetches.length < READ_AHEAD_SPANS) {
      const permit = fetches.length === 0 ? undefined : this.#readAhead.tryTake(SPAN_BYTES);
      if (permit === undefined && 0 < fetches.length) return;
      const { done, value: span } = spans.next();
      if (done === true) return permit?.release();
      const bytes = this.#spans.read(call, file, { span, onlyReplica });
      bytes.catch(() => undefined); // awaited in its turn
      fetches.push({ span, bytes, permit });
    }
  }
}

/** Checks chunks, and the file, that are read from their first byte to their last (G2). */
class ContentSums {
  readonly #file: ChunkMap;
  /** Undefined when the reading did not begin at the file's first byte. */
  #fileUpTo: number | undefined = undefined;
  #fileCrc32c = 0;
  #isBegun = false;
  #chunk = -1;
  #upTo = 0;
  #crc32c = 0;

  constructor(file: ChunkMap) {
    this.#file = file;
  }

  async add(call: Call, span: Span, crc32c: number): Promise<void> {
    await this.#addToChunk(call, span, crc32c);
    this.#addToFile(span, crc32c);
  }

  async #addToChunk(call: Call, span: Span, crc32c: number): Promise<void> {
    if (span.offset === 0) {
      this.#chunk = span.chunk;
      this.#upTo = 0;
      this.#crc32c = 0;
    }
    if (span.chunk !== this.#chunk || span.offset !== this.#upTo) return;
    this.#crc32c = crc32cCombine(this.#crc32c, crc32c, span.length);
    this.#upTo += span.length;
    const chunk = await this.#file.locate(call, span.chunk);
    if (this.#upTo < chunk.lengthBytes || this.#crc32c === chunk.crc32c) return;
    throw new LumeoError(
      "DATA_LOSS",
      `Cannot read chunk ${chunk.handle} of "${this.#file.info.path}": ` +
        "each block is intact, but together they are not what was written",
    );
  }

  /** Spans come in order and without gaps. */
  #addToFile(span: Span, crc32c: number): void {
    const { info } = this.#file;
    if (!this.#isBegun && span.chunk === 0 && span.offset === 0) this.#fileUpTo = 0;
    this.#isBegun = true;
    if (this.#fileUpTo === undefined) return;
    this.#fileCrc32c = crc32cCombine(this.#fileCrc32c, crc32c, span.length);
    this.#fileUpTo += span.length;
    if (this.#fileUpTo < info.sizeBytes || this.#fileCrc32c === info.crc32c) return;
    throw new LumeoError(
      "DATA_LOSS",
      `Cannot read "${info.path}": each chunk is intact, but together they are not what was written`,
    );
  }
}

/** The same bytes in pieces that are worth a step of the consumer. */
function* joined(pieces: readonly Uint8Array[]): Generator<Uint8Array, void, undefined> {
  let small: Uint8Array[] = [];
  let smallBytes = 0;
  for (const piece of pieces) {
    if (small.length === 0 && PIECE_BYTES_MIN <= piece.byteLength) {
      yield piece;
      continue;
    }
    small.push(piece);
    smallBytes += piece.byteLength;
    if (smallBytes < PIECE_BYTES_MIN) continue;
    yield Buffer.concat(small, smallBytes);
    small = [];
    smallBytes = 0;
  }
  if (0 < smallBytes) yield small.length === 1 ? (small[0] as Uint8Array) : Buffer.concat(small);
}
