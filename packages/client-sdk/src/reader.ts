// get(): the bytes of a range in order, fetched ahead in parallel.
//
// G1. At most READING_BYTES, or two spans, of one reading are fetched or held at once, and all
//     readings of a client together hold at most READ_AHEAD_BYTES beyond one span each. What is
//     held does not depend on how fast the consumer is, and a slow consumer blocks no connection.
// G2. A chunk that is read whole is checked against its checksum in the metadata before its last
//     bytes are given out; a file that is read whole, against the file's checksum too.
// G3. A reading shows one revision of the file. If that is gone, it starts anew only as long as
//     nothing was given out.
// G4. A file that the masters keep has come with its info: nothing is fetched.

import {
  Budget,
  type Crc32c,
  crc32cCombine,
  KiB,
  LumeoError,
  MiB,
  type Permit,
} from "@lumeofs/base";
import type { Call } from "./call.js";
import { ChunkMap } from "./chunk-map.js";
import { inlineRange } from "./inline-reader.js";
import type { Metadata } from "./metadata.js";
import { type Answer, type InodeInfo, LATEST, type TailLocation } from "./operations.js";
import { type ByteRange, resolveRange, type Span } from "./span.js";
import type { SpanBytes, SpanReader } from "./span-reader.js";
import type { KnownTail, TailReader } from "./tail-reader.js";

/** What one data request asks for, of a file of copies. */
const SPAN_BYTES = 2 * MiB;
/** Wider stripes are read in parts. */
const CODED_SPAN_BYTES_MAX = 16 * MiB;
/**
 * V8 looks for memory that is free again whenever 32 MiB have been taken. What is in use then at
 * two such moments costs a look at the whole heap, so it has to be well below half of that.
 */
const READING_BYTES = 8 * MiB;
const READ_AHEAD_BYTES = 64 * MiB;
/** Chunks that are asked for together with the file's info: enough for most files. */
const CHUNKS_WITH_INFO = 16;
/** How long a file is looked up again while the primary of its tail changes. */
const MEASURE_MS_MAX = 60_000;
const RESTARTS_MAX = 3;
/** Pieces smaller than this are joined before they are given out. */
const PIECE_BYTES_MIN = 64 * KiB;

/** One revision of a file and the part of it to read. */
export interface ReadPlan {
  readonly path: string;
  /** The sealed part. */
  readonly file: ChunkMap;
  /** What is being appended, behind it; undefined if nothing is. */
  readonly tail: KnownTail | undefined;
  /** Of both together. */
  readonly sizeBytes: number;
  readonly range: ByteRange;
  /** 0 for the current one. */
  readonly version: number;
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
  readonly #tails: TailReader;
  readonly #withLabels: boolean;
  readonly #crc32c: Crc32c;

  /** @param parts.withLabels  Near replicas are looked for by the labels of their servers. */
  constructor(parts: {
    readonly metadata: Metadata;
    readonly spans: SpanReader;
    readonly tails: TailReader;
    readonly withLabels: boolean;
    readonly crc32c: Crc32c;
  }) {
    this.#metadata = parts.metadata;
    this.#spans = parts.spans;
    this.#tails = parts.tails;
    this.#withLabels = parts.withLabels;
    this.#crc32c = parts.crc32c;
  }

  /** Looks a file up. @throws LumeoError IS_DIRECTORY; INVALID_ARGUMENT for a wrong range. */
  plan(call: Call, path: string, wish: ReadWish): Promise<ReadPlan> {
    return this.#planFrom(call, path, wish, 0);
  }

  /** The same of a file that had a revision, and was only appended to since: else CONFLICT. */
  planAt(call: Call, path: string, range: ByteRange, revision: number): Promise<ReadPlan> {
    return this.#planFrom(call, path, { range, version: 0, onlyReplica: undefined }, revision);
  }

  /** @param revision  The file must have had this one, and only been appended to since; 0: any. */
  async #planFrom(call: Call, path: string, wish: ReadWish, revision: number): Promise<ReadPlan> {
    const { range: asked, version, onlyReplica } = wish;
    const withLabels = this.#withLabels;
    const { start = 0 } = asked;
    const offset = Number.isSafeInteger(start) && 0 <= start ? start : 0;
    const window = { firstChunk: 0, offset, chunkCountMax: CHUNKS_WITH_INFO, withLabels };
    const ask = { path, revision, version, ...window };
    const found = await measured(call, this.#tails, () => this.#metadata.query(call, "stat", ask));
    const { info, chunks, firstChunk, firstChunkOffset, tail } = found;
    if (info.kind === "dir") {
      throw new LumeoError("IS_DIRECTORY", `Cannot read "${path}": it is a directory`);
    }
    const sizeBytes = sizeWith(info, tail);
    const place = { position: firstChunk, offset: firstChunkOffset };
    const file = new ChunkMap(this.#metadata, info, { ...place, chunks, version, withLabels });
    const range = resolveRange(asked, sizeBytes);
    return { path, file, tail, sizeBytes, range, version, onlyReplica };
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
    const come = this.#come(first);
    if (come !== undefined) {
      call.bytes += come.byteLength;
      if (0 < come.byteLength) yield come;
      return;
    }
    let plan = first;
    let isDelivered = false;
    for (let restarts = 0; ; restarts++) {
      try {
        for await (const piece of this.#all(call, plan)) {
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

  /** All of it, if that has come with the plan. (G4) */
  #come({ file, range, tail, onlyReplica }: ReadPlan): Uint8Array | undefined {
    if (tail !== undefined || onlyReplica !== undefined) return undefined;
    return inlineRange(file, range, this.#crc32c);
  }

  /** The sealed part, then what is being appended. */
  async *#all(call: Call, plan: ReadPlan): AsyncGenerator<Uint8Array, void, undefined> {
    const { file, range, tail } = plan;
    const { sizeBytes } = file.info;
    yield* this.#inOrder(call, plan, { ...range, end: Math.min(range.end, sizeBytes) });
    if (tail === undefined) return;
    for (let at = Math.max(range.start, sizeBytes); at < range.end; ) {
      const wish = { offset: at - tail.location.offset, length: range.end - at };
      const pieces = await this.#tails.read(call, tail, wish, () => this.#tailOf(call, plan));
      if (pieces === undefined) return yield* this.#sealedRest(call, plan, at);
      for (const piece of pieces) {
        call.bytes += piece.byteLength;
        at += piece.byteLength;
        yield piece;
      }
    }
  }

  /** What was being appended is a chunk by now. */
  async *#sealedRest(
    call: Call,
    { path, file, range, version, onlyReplica }: ReadPlan,
    start: number,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const wish = { range: { start, end: range.end }, version, onlyReplica };
    const plan = await this.#planFrom(call, path, wish, file.info.revision);
    yield* this.#all(call, plan);
  }

  /** Where the tail is now, of a file that was only appended to since. */
  async #tailOf(call: Call, { path, file }: ReadPlan): Promise<TailLocation | undefined> {
    const { revision } = file.info;
    const ask = { path, revision, version: 0, firstChunk: 0, chunkCountMax: 0 };
    return (await this.#metadata.query(call, "stat", ask, LATEST)).tail;
  }

  async *#inOrder(
    call: Call,
    plan: ReadPlan,
    range: ByteRange,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { file } = plan;
    if (range.end <= range.start) return;
    const spanBytes = spanBytesOf(file.info);
    const spans = file.spans(call, range, spanBytes);
    const fetches: Fetch[] = [];
    const sums = new ContentSums(file);
    try {
      for (;;) {
        await this.#fetchAhead(call, plan, { spans, spanBytes }, fetches);
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
  async #fetchAhead(
    call: Call,
    plan: ReadPlan,
    { spans, spanBytes }: { spans: ReturnType<ChunkMap["spans"]>; spanBytes: number },
    fetches: Fetch[],
  ): Promise<void> {
    const { file, onlyReplica } = plan;
    while (fetches.length < Math.max(2, READING_BYTES / spanBytes)) {
      const permit = fetches.length === 0 ? undefined : this.#readAhead.tryTake(spanBytes);
      if (permit === undefined && 0 < fetches.length) return;
      try {
        const step = spans.next();
        const { done, value: span } = step instanceof Promise ? await step : step;
        if (done === true) return permit?.release();
        const bytes = this.#spans.read(call, file, { span, onlyReplica });
        bytes.catch(() => undefined); // awaited in its turn
        fetches.push({ span, bytes, permit });
      } catch (error) {
        permit?.release(); // of no fetch yet
        throw error;
      }
    }
  }
}

/**
 * Of a coded file whole stripes, or as many small ones as fit: what is read to rebuild a cell is
 * then what is wanted anyway.
 */
function spanBytesOf({ code }: InodeInfo): number {
  if (code === undefined) return SPAN_BYTES;
  const stripeBytes = code.data * code.cellBytes;
  if (CODED_SPAN_BYTES_MAX < stripeBytes) return SPAN_BYTES;
  return Math.max(1, Math.floor(SPAN_BYTES / stripeBytes)) * stripeBytes;
}

/**
 * A file with how long its tail is: asked of its primary, unless the caller takes old answers.
 *
 * @throws LumeoError as the masters refuse; UNAVAILABLE if nobody knows how long it is.
 */
export function measured(
  call: Call,
  tails: TailReader,
  look: () => Promise<Answer<"stat">>,
): Promise<Omit<Answer<"stat">, "tail"> & { readonly tail: KnownTail | undefined }> {
  return call.run({ idempotent: true, limitMs: () => MEASURE_MS_MAX }, async () => {
    const { tail: location, ...found } = await look();
    if (location === undefined) return { ...found, tail: undefined };
    if (call.wish.consistency === "stale") {
      const state = { committedBytes: location.committedBytes, epoch: location.epoch, seq: 0 };
      return { ...found, tail: { location, state } };
    }
    return { ...found, tail: await tails.measure(call, location) };
  });
}

/** Bytes of a file with what is being appended to it. */
export function sizeWith(info: InodeInfo, tail: KnownTail | undefined): number {
  return info.sizeBytes + (tail?.state.committedBytes ?? 0);
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
      `Cannot read "${info.path}": each chunk is intact, but together they are not the file`,
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
