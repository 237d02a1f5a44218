// The bytes of one span, from whichever replicas have them.
//
// X1. Only checked bytes count. A replica that fails, or falls silent, is followed by the next one,
//     from the block where it stopped (read-race.ts).
// X2. A span that is a whole chunk is also checked against the chunk's checksum in the metadata,
//     and every replica that sends the last of a span against it by its record.
// X3. Copies that are damaged, missing or other ones are reported to the masters.
// X4. DATA_LOSS is said only when every copy that the masters know of has been found bad, after
//     they were asked once more where the copies are.
// X5. A token that is not taken is replaced by a new one of the masters, and the reading goes on at
//     its byte. Only a new one that is refused too is a failure.
// X6. A small chunk of copies that is wanted as a whole is first asked for together with others
//     (small-reader.ts). What does not come that way is read as if nothing had been asked.
// X7. What the masters keep has come with its place (inline-reader.ts).

import { BLOCK_BYTES, LumeoError } from "@lumeofs/base";
import { cutOut } from "./byte-row.js";
import { type Call, UNLIMITED } from "./call.js";
import type { ChunkMap } from "./chunk-map.js";
import { ChunkTarget, type SpanWish } from "./chunk-target.js";
import { CodedSpanReader } from "./coding/coded-span-reader.js";
import { InlineReader, type InlineReaderParts } from "./inline-reader.js";
import type { LocatedChunk, ReplicaState } from "./operations.js";
import { inOrderOfHope } from "./replica-order.js";
import {
  isBadCopy,
  knownDamage,
  ReplicaOutlook,
  type ReplicaOutlookParts,
} from "./replica-outlook.js";
import { JOINT_READ_BYTES_MAX, SmallReader, type SmallReaderParts } from "./small-reader.js";
import type { Span } from "./span.js";
import { type Failure, type Progress, raceForSpan, type SpanRaceParts } from "./span-race.js";

/** How often a chunk may be found to be kept in another way while one span of it is read. */
const CONVERSIONS_MAX = 4;

/** What the span's reader works with. */
export type SpanReaderParts = SpanRaceParts &
  ReplicaOutlookParts &
  InlineReaderParts &
  Pick<SmallReaderParts, "chunkservers">;

/** Exactly the bytes of a span, in pieces. */
export interface SpanBytes {
  readonly pieces: readonly Uint8Array[];
  /** Of all blocks that the span touches. */
  readonly crc32c: number;
}

export class SpanReader {
  readonly #parts: SpanReaderParts;
  readonly #outlook: ReplicaOutlook;
  readonly #small: SmallReader;
  readonly #coded: CodedSpanReader;
  readonly #inline: InlineReader;

  constructor(parts: SpanReaderParts) {
    this.#parts = parts;
    this.#outlook = new ReplicaOutlook(parts);
    this.#small = new SmallReader({ ...parts, outlook: this.#outlook });
    this.#coded = new CodedSpanReader(parts, this.#outlook);
    this.#inline = new InlineReader(parts);
  }

  /**
   * @throws LumeoError DATA_LOSS (X4); CONFLICT if the file was replaced and its old chunks are
   *         gone; NOT_FOUND if the only server that may be asked has no replica; the last failure
   *         if no replica could be reached; of a coded chunk as CodedSpanReader says.
   */
  async read(call: Call, file: ChunkMap, wish: SpanWish): Promise<SpanBytes> {
    for (let conversions = 0; conversions < CONVERSIONS_MAX; conversions++) {
      const target = await ChunkTarget.find(call, file, wish, this.#parts.admin);
      checkLength(target);
      if (target.chunk.isInline) return this.#inline.read(call, target);
      const whole = await this.#readTogether(call, target);
      if (whole !== undefined) return whole;
      const isCoded = target.chunk.coding !== undefined;
      const found = isCoded
        ? await this.#coded.read(call, target)
        : await this.#readCopies(call, target);
      if (found !== undefined) return found;
    }
    const what = `Cannot read chunk ${wish.span.chunk} of "${file.info.path}"`;
    throw new LumeoError("CONFLICT", `${what}: it is converted again and again; read it later`);
  }

  /** The short way of small chunks (X6); undefined if it is none here. */
  async #readTogether(
    call: Call,
    { chunk, wish: { span, onlyReplica } }: ChunkTarget,
  ): Promise<SpanBytes | undefined> {
    const { lengthBytes, crc32c, coding, replicas } = chunk;
    const isWhole = span.offset === 0 && span.length === lengthBytes;
    if (!isWhole || JOINT_READ_BYTES_MAX < lengthBytes || !this.#small.isOpen) return undefined;
    if (coding !== undefined || onlyReplica !== undefined) return undefined;
    const [first] = this.#inOrder(replicas.filter(({ damaged }) => !damaged));
    if (first === undefined) return undefined;
    const bytes = await call.unlessAborted(this.#small.read(chunk, first));
    return bytes && { pieces: [bytes], crc32c };
  }

  /** @returns Undefined if the chunk has no copies any more. */
  async #readCopies(call: Call, target: ChunkTarget): Promise<SpanBytes | undefined> {
    const { span } = target.wish;
    const progress = begin(target.chunk, span);
    const step = { idempotent: true, limitMs: UNLIMITED };
    const isRead = await call.run(step, async (attempt) => {
      if (1 < attempt) await target.relocate(call);
      const failures = await this.#tryAll(call, target, progress);
      if (failures === undefined || target.isOtherwiseKept) return failures === undefined;
      if (!failures.every(isBad)) throw worst(failures);
      await target.relocate(call);
      const again = await this.#tryAll(call, target, progress);
      if (again === undefined || target.isOtherwiseKept) return again === undefined;
      if (!again.every(isBad)) throw worst(again);
      await target.file.checkUnchanged(call);
      throw dataLoss(target, again);
    });
    if (!isRead) return undefined;
    const pieces = cutOut(progress.pieces, span.offset - progress.begin, span.length);
    return { pieces, crc32c: progress.crc32c };
  }

  /** Asks the replicas as the race wants. @returns The failures if none had it all. */
  async #tryAll(
    call: Call,
    target: ChunkTarget,
    progress: Progress,
  ): Promise<readonly Failure[] | undefined> {
    const failures: Failure[] = [];
    for (const replica of target.chunk.replicas) {
      if (replica.damaged) failures.push({ replica, error: knownDamage() });
    }
    const onFailure = (failure: Failure): void => {
      const { replica, error } = failure;
      failures.push(failure);
      this.#outlook.failed(target.chunk.handle, replica, error);
      if (error.code === "CORRUPT") startAnew(progress);
    };
    for (;;) {
      if (target.isOtherwiseKept) return failures;
      const { chunk, isTokenNew } = target;
      const failed = new Set(failures.map(({ replica }) => replica.server));
      const replicas = this.#inOrder(chunk.replicas.filter(({ server }) => !failed.has(server)));
      if (replicas.length === 0) return failures;
      const fromServer = target.wish.onlyReplica !== undefined; // what it answers is wanted
      const task = { chunk, replicas, progress, isTokenNew, fromServer, onFailure };
      const end = await raceForSpan(this.#parts, call, task);
      if (end.kind === "failed") return failures;
      if (end.kind === "refused") {
        await target.relocate(call);
        continue;
      }
      if (isIntact(progress, chunk)) {
        this.#outlook.worked(end.last);
        return undefined;
      }
      onFailure({ replica: end.last, error: otherContent(chunk, progress, end) });
      startAnew(progress);
    }
  }

  #inOrder(replicas: readonly ReplicaState[]): readonly ReplicaState[] {
    const { ports } = this.#parts;
    const now = ports.clock.monotonicMs();
    const prospectOf = (replica: ReplicaState) => this.#outlook.prospect(replica, now);
    return inOrderOfHope(replicas, prospectOf, ports.random);
  }
}

/** @throws LumeoError CORRUPT if the chunk is shorter than its file says. */
function checkLength({ chunk, wish: { span } }: ChunkTarget): void {
  const spanEnd = span.offset + span.length;
  if (spanEnd <= chunk.lengthBytes) return;
  const has = `it has ${chunk.lengthBytes} bytes, expected ${spanEnd}`;
  throw new LumeoError("CORRUPT", `Cannot read chunk ${chunk.handle}: ${has}`);
}

function begin(chunk: LocatedChunk, span: Span): Progress {
  const spanEnd = span.offset + span.length;
  const first = Math.floor(span.offset / BLOCK_BYTES) * BLOCK_BYTES;
  const end = Math.min(Math.ceil(spanEnd / BLOCK_BYTES) * BLOCK_BYTES, chunk.lengthBytes);
  return { begin: first, end, pieces: [], at: first, crc32c: 0 };
}

function startAnew(progress: Progress): void {
  progress.pieces = [];
  progress.at = progress.begin;
  progress.crc32c = 0;
}

/** X2. */
function isIntact(progress: Progress, chunk: LocatedChunk): boolean {
  const isWhole = progress.begin === 0 && progress.end === chunk.lengthBytes;
  return !isWhole || progress.crc32c === chunk.crc32c;
}

function isBad({ error }: Failure): boolean {
  return isBadCopy(error);
}

function otherContent(
  chunk: LocatedChunk,
  progress: Progress,
  { last, startedAt }: { readonly last: ReplicaState; readonly startedAt: number },
): LumeoError {
  const isAllItsOwn = startedAt === progress.begin;
  const what = isAllItsOwn ? "its content has another checksum" : "the copies differ";
  return new LumeoError("CHECKSUM", `Chunk ${chunk.handle} on "${last.name}": ${what}`);
}

/** The failure that says most: one that may pass. */
function worst(failures: readonly Failure[]): LumeoError {
  const passing = failures.find((failure) => failure.error.retryable && !isBad(failure));
  const { error } = passing ?? (failures[0] as Failure);
  return error;
}

function dataLoss({ file, wish, chunk }: ChunkTarget, failures: readonly Failure[]): LumeoError {
  const copies = failures.map(({ replica, error }) => `"${replica.name}": ${error.message}`);
  const found = copies.length === 0 ? "no copy is known" : copies.join("; ");
  const which = `number ${wish.span.chunk} of "${file.info.path}"`;
  return new LumeoError("DATA_LOSS", `Cannot read chunk ${chunk.handle} (${which}): ${found}`);
}
