// The bytes of one span, from whichever replica has them.
//
// X1. Only checked bytes count. A replica that fails in the middle is followed by the next one,
//     from the block where it stopped.
// X2. A span that is a whole chunk is also checked against the chunk's checksum in the metadata.
// X3. Copies that are damaged or missing are reported to the masters.
// X4. DATA_LOSS is said only when every copy that the masters know of has been found bad, after
//     they were asked once more where the copies are.

import {
  BLOCK_BYTES,
  crc32cCombine,
  type ErrorCode,
  LumeoError,
  type MonotonicMs,
} from "@lumeofs/base";
import { type Call, UNLIMITED } from "./call.js";
import type { ChunkMap } from "./chunk-map.js";
import type { LocatedChunk, ReplicaState } from "./operations.js";
import type { Ports } from "./ports.js";
import type { AdminClient } from "./rpc/admin-client.js";
import type { ChunkserverPool } from "./rpc/chunkserver-pool.js";
import type { ServerHealth } from "./server-health.js";
import type { Span } from "./span.js";

/** The copy itself is bad: no use asking it again. */
const BAD_COPY: ReadonlySet<ErrorCode> = new Set(["CHECKSUM", "CORRUPT", "REPLICA_MISSING"]);
/** The call itself is over. */
const CALL_IS_OVER: ReadonlySet<ErrorCode> = new Set(["ABORTED", "CLOSED"]);

const REPORT_TIMEOUT_MS = 5_000;

/** What the span's reader works with. */
export interface SpanReaderParts {
  readonly chunkservers: ChunkserverPool;
  readonly admin: AdminClient;
  readonly health: ServerHealth;
  readonly ports: Ports;
}

/** Exactly the bytes of a span, in pieces. */
export interface SpanBytes {
  readonly pieces: readonly Uint8Array[];
  /** Of all blocks that the span touches. */
  readonly crc32c: number;
}

/** What has been read of a span so far: whole blocks from its first one on. */
interface Progress {
  readonly begin: number;
  readonly end: number;
  pieces: Uint8Array[];
  at: number;
  crc32c: number;
}

interface Failure {
  readonly replica: ReplicaState;
  readonly error: LumeoError;
}

export class SpanReader {
  readonly #parts: SpanReaderParts;

  constructor(parts: SpanReaderParts) {
    this.#parts = parts;
  }

  /**
   * @throws LumeoError DATA_LOSS (X4); CONFLICT if the file was replaced and its old chunks are
   *         gone; the last failure if no replica could be reached.
   */
  async read(call: Call, file: ChunkMap, span: Span): Promise<SpanBytes> {
    let chunk = await file.locate(call, span.chunk);
    const progress = begin(chunk, span);
    const step = { idempotent: true, limitMs: UNLIMITED };
    await call.run(step, async (attempt) => {
      if (1 < attempt) chunk = await this.#locate(call, file, chunk);
      const failures = await this.#tryAll(call, chunk, progress);
      if (failures === undefined) return;
      if (!failures.every(({ error }) => BAD_COPY.has(error.code))) throw worst(failures);
      chunk = await this.#locate(call, file, chunk);
      const again = await this.#tryAll(call, chunk, progress);
      if (again === undefined) return;
      if (!again.every(({ error }) => BAD_COPY.has(error.code))) throw worst(again);
      await file.checkUnchanged(call);
      throw dataLoss(file, span, chunk, again);
    });
    return { pieces: cut(progress, span), crc32c: progress.crc32c };
  }

  /** Asks one replica after the other. @returns The failures if none had it all. */
  async #tryAll(
    call: Call,
    chunk: LocatedChunk,
    progress: Progress,
  ): Promise<readonly Failure[] | undefined> {
    const failures: Failure[] = [];
    for (const replica of this.#inOrder(chunk, progress)) {
      if (replica.damaged) {
        failures.push({ replica, error: new LumeoError("CHECKSUM", "known to be damaged") });
        continue;
      }
      try {
        await this.#readFrom(call, replica, chunk, progress);
        this.#parts.health.worked(replica.server);
        return undefined;
      } catch (thrown) {
        call.cancellation.throwIfAborted();
        if (!(thrown instanceof LumeoError) || CALL_IS_OVER.has(thrown.code)) throw thrown;
        failures.push({ replica, error: thrown });
        this.#note(chunk, replica, thrown);
      }
    }
    return failures;
  }

  async #readFrom(
    call: Call,
    replica: ReplicaState,
    chunk: LocatedChunk,
    progress: Progress,
  ): Promise<void> {
    const startedAt = progress.at;
    const part = { chunk, offset: progress.at, end: progress.end };
    for await (const bytes of this.#parts.chunkservers.read(replica, part, call)) {
      progress.pieces.push(...bytes.pieces);
      progress.crc32c = crc32cCombine(progress.crc32c, bytes.crc32c, bytes.lengthBytes);
      progress.at += bytes.lengthBytes;
    }
    const isWhole = progress.begin === 0 && progress.end === chunk.lengthBytes;
    if (!isWhole || progress.crc32c === chunk.crc32c) return;
    Object.assign(progress, { pieces: [], at: progress.begin, crc32c: 0 });
    const what = startedAt === 0 ? "its content has another checksum" : "the copies differ";
    throw new LumeoError("CHECKSUM", `Chunk ${chunk.handle} on "${replica.name}": ${what}`);
  }

  /**
   * Healthy servers first. Which of these comes first changes from span to span, so that all of
   * them work for one reader.
   */
  #inOrder(chunk: LocatedChunk, { begin: offset }: Progress): readonly ReplicaState[] {
    const { replicas } = chunk;
    const now = this.#parts.ports.clock.monotonicMs();
    const turn = (chunk.handle + Math.floor(offset / BLOCK_BYTES)) % Math.max(replicas.length, 1);
    const rotated = [...replicas.slice(turn), ...replicas.slice(0, turn)];
    return rotated.sort((a, b) => this.#rank(a, now) - this.#rank(b, now));
  }

  #rank(replica: ReplicaState, now: MonotonicMs): number {
    const state = { alive: 0, suspect: 2, dead: 3 }[replica.state];
    return this.#parts.health.isSuspect(replica.server, now) ? Math.max(state, 1) : state;
  }

  /** Remembers a failure, and reports a bad copy (X3). */
  #note(chunk: LocatedChunk, replica: ReplicaState, error: LumeoError): void {
    if (!BAD_COPY.has(error.code)) {
      this.#parts.health.failed([replica.server], this.#parts.ports.clock.monotonicMs());
      return;
    }
    const damage = { handle: chunk.handle, serverId: replica.server, reason: error.message };
    const options = { timeoutMs: REPORT_TIMEOUT_MS, signal: new AbortController().signal };
    // The report is a courtesy: the next reader who meets this copy makes it again.
    this.#parts.admin.reportDamage(damage, options).catch(() => undefined);
  }

  /** Where the copies are now. A chunk that is gone belongs to a file that changed. */
  async #locate(call: Call, file: ChunkMap, chunk: LocatedChunk): Promise<LocatedChunk> {
    try {
      return await this.#parts.admin.locate(chunk.handle, call);
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      if (error.code === "NOT_FOUND") await file.checkUnchanged(call);
      return chunk; // what is known must do
    }
  }
}

function begin(chunk: LocatedChunk, span: Span): Progress {
  const spanEnd = span.offset + span.length;
  if (chunk.lengthBytes < spanEnd) {
    throw new LumeoError(
      "CORRUPT",
      `Cannot read chunk ${chunk.handle}: it has ${chunk.lengthBytes} bytes, expected ${spanEnd}`,
    );
  }
  const first = Math.floor(span.offset / BLOCK_BYTES) * BLOCK_BYTES;
  const end = Math.min(Math.ceil(spanEnd / BLOCK_BYTES) * BLOCK_BYTES, chunk.lengthBytes);
  return { begin: first, end, pieces: [], at: first, crc32c: 0 };
}

/** The span's own bytes out of the blocks that hold them. */
function cut(progress: Progress, span: Span): readonly Uint8Array[] {
  let skip = span.offset - progress.begin;
  let rest = span.length;
  const pieces: Uint8Array[] = [];
  for (const piece of progress.pieces) {
    const part = piece.subarray(skip, skip + rest);
    skip = Math.max(0, skip - piece.byteLength);
    rest -= part.byteLength;
    if (0 < part.byteLength) pieces.push(part);
  }
  return pieces;
}

/** The failure that says most: one that may pass. */
function worst(failures: readonly Failure[]): LumeoError {
  const passing = failures.find(({ error }) => error.retryable && !BAD_COPY.has(error.code));
  const { error } = passing ?? (failures[0] as Failure);
  return error;
}

function dataLoss(
  file: ChunkMap,
  span: Span,
  chunk: LocatedChunk,
  failures: readonly Failure[],
): LumeoError {
  const copies = failures.map(({ replica, error }) => `"${replica.name}": ${error.message}`);
  const found = copies.length === 0 ? "no copy is known" : copies.join("; ");
  return new LumeoError(
    "DATA_LOSS",
    `Cannot read chunk ${chunk.handle} (number ${span.chunk} of "${file.info.path}"): ${found}`,
  );
}
