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

import { BLOCK_BYTES, type ErrorCode, LumeoError, type MonotonicMs } from "@lumeofs/base";
import { type Call, UNLIMITED } from "./call.js";
import type { ChunkMap } from "./chunk-map.js";
import type { LocatedChunk, ReplicaState } from "./operations.js";
import { distanceOf, inOrderOfHope, type Prospect, type Standpoint } from "./replica-order.js";
import type { AdminClient } from "./rpc/admin-client.js";
import type { ServerHealth } from "./server-health.js";
import type { Span } from "./span.js";
import { type Failure, type Progress, raceForSpan, type SpanRaceParts } from "./span-race.js";

/** The copy itself is bad: no use asking it again. */
const BAD_COPY: ReadonlySet<ErrorCode> = new Set(["CHECKSUM", "CORRUPT", "REPLICA_MISSING"]);

const REPORT_TIMEOUT_MS = 5_000;

/** What the span's reader works with. */
export interface SpanReaderParts extends SpanRaceParts {
  readonly admin: AdminClient;
  readonly health: ServerHealth;
  /** Where this client stands, for near replicas. */
  readonly standpoint: Standpoint;
}

/** What is to be read. */
export interface SpanWish {
  readonly span: Span;
  /** Name of the only chunkserver that may be asked; undefined for any. */
  readonly onlyReplica: string | undefined;
}

/** A span's chunk as it is known now. */
interface Target {
  readonly file: ChunkMap;
  readonly wish: SpanWish;
  chunk: LocatedChunk;
  /** The masters have just given it. */
  isTokenNew: boolean;
}

/** Exactly the bytes of a span, in pieces. */
export interface SpanBytes {
  readonly pieces: readonly Uint8Array[];
  /** Of all blocks that the span touches. */
  readonly crc32c: number;
}

export class SpanReader {
  readonly #parts: SpanReaderParts;

  constructor(parts: SpanReaderParts) {
    this.#parts = parts;
  }

  /**
   * @throws LumeoError DATA_LOSS (X4); CONFLICT if the file was replaced and its old chunks are
   *         gone; NOT_FOUND if the only server that may be asked has no replica; the last failure
   *         if no replica could be reached.
   */
  async read(call: Call, file: ChunkMap, wish: SpanWish): Promise<SpanBytes> {
    const { span } = wish;
    const chunk = only(await file.locate(call, span.chunk), wish);
    const target: Target = { file, wish, chunk, isTokenNew: false };
    const progress = begin(chunk, span);
    const step = { idempotent: true, limitMs: UNLIMITED };
    await call.run(step, async (attempt) => {
      if (1 < attempt) await this.#relocate(call, target);
      const failures = await this.#tryAll(call, target, progress);
      if (failures === undefined) return;
      if (!failures.every(isBadCopy)) throw worst(failures);
      await this.#relocate(call, target);
      const again = await this.#tryAll(call, target, progress);
      if (again === undefined) return;
      if (!again.every(isBadCopy)) throw worst(again);
      await file.checkUnchanged(call);
      throw dataLoss(target, again);
    });
    return { pieces: cut(progress, span), crc32c: progress.crc32c };
  }

  /** Asks the replicas as the race wants. @returns The failures if none had it all. */
  async #tryAll(
    call: Call,
    target: Target,
    progress: Progress,
  ): Promise<readonly Failure[] | undefined> {
    const failures: Failure[] = [];
    for (const replica of target.chunk.replicas) {
      if (!replica.damaged) continue;
      failures.push({ replica, error: new LumeoError("CHECKSUM", "known to be damaged") });
    }
    const onFailure = (failure: Failure): void => {
      failures.push(failure);
      this.#note(target.chunk, failure);
      if (failure.error.code === "CORRUPT") startAnew(progress);
    };
    for (;;) {
      const { chunk, isTokenNew } = target;
      const failed = new Set(failures.map(({ replica }) => replica.server));
      const replicas = this.#inOrder(chunk.replicas.filter(({ server }) => !failed.has(server)));
      if (replicas.length === 0) return failures;
      const task = { chunk, replicas, progress, isTokenNew, onFailure };
      const end = await raceForSpan(this.#parts, call, task);
      if (end.kind === "failed") return failures;
      if (end.kind === "refused") {
        await this.#relocate(call, target);
        continue;
      }
      if (isIntact(progress, chunk)) {
        this.#parts.health.worked(end.last.server);
        return undefined;
      }
      onFailure({ replica: end.last, error: otherContent(chunk, progress, end) });
      startAnew(progress);
    }
  }

  #inOrder(replicas: readonly ReplicaState[]): readonly ReplicaState[] {
    const { ports } = this.#parts;
    const now = ports.clock.monotonicMs();
    return inOrderOfHope(replicas, (replica) => this.#prospect(replica, now), ports.random);
  }

  #prospect(replica: ReplicaState, now: MonotonicMs): Prospect {
    const { health, scores, standpoint } = this.#parts;
    const { server } = replica;
    const state = { alive: 0, suspect: 2, dead: 3 }[replica.state];
    const isDoubtful = health.isSuspect(server, now) || scores.isLagging(server, now);
    return {
      doubt: isDoubtful ? Math.max(state, 1) : state,
      distance: distanceOf(standpoint, replica),
      expectedMs: scores.expectedMs(server, now),
      isPrimary: replica.role === "primary",
    };
  }

  /** Remembers a failure, and reports a bad copy (X3). */
  #note(chunk: LocatedChunk, { replica, error }: Failure): void {
    const { health, ports, admin } = this.#parts;
    if (!BAD_COPY.has(error.code)) {
      health.failed([replica.server], ports.clock.monotonicMs());
      return;
    }
    const damage = { handle: chunk.handle, serverId: replica.server, reason: error.message };
    const options = { timeoutMs: REPORT_TIMEOUT_MS, signal: new AbortController().signal };
    // The report is a courtesy: the next reader who meets this copy makes it again.
    admin.reportDamage(damage, options).catch(() => undefined);
  }

  /** Where the copies are now, with a new token (X5). */
  async #relocate(call: Call, target: Target): Promise<void> {
    const { file, wish, chunk } = target;
    target.isTokenNew = true;
    try {
      const asked = { handle: chunk.handle, withLabels: file.withLabels };
      const located = await this.#parts.admin.locate(asked, call);
      file.relocated(wish.span.chunk, located);
      target.chunk = only(located, wish);
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      if (error.code !== "NOT_FOUND") return; // what is known must do
      await file.checkUnchanged(call); // a chunk that is gone belongs to a file that changed
      if (wish.onlyReplica !== undefined) throw error;
    }
  }
}

/** The chunk with the replicas that may be asked. */
function only(chunk: LocatedChunk, { onlyReplica }: SpanWish): LocatedChunk {
  if (onlyReplica === undefined) return chunk;
  const replicas = chunk.replicas.filter(({ name }) => name === onlyReplica);
  if (0 < replicas.length) return { ...chunk, replicas };
  const what = `Cannot read chunk ${chunk.handle} from "${onlyReplica}"`;
  throw new LumeoError("NOT_FOUND", `${what}: it has no replica there`);
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

function isBadCopy({ error }: Failure): boolean {
  return BAD_COPY.has(error.code);
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
  const passing = failures.find((failure) => failure.error.retryable && !isBadCopy(failure));
  const { error } = passing ?? (failures[0] as Failure);
  return error;
}

function dataLoss({ file, wish, chunk }: Target, failures: readonly Failure[]): LumeoError {
  const copies = failures.map(({ replica, error }) => `"${replica.name}": ${error.message}`);
  const found = copies.length === 0 ? "no copy is known" : copies.join("; ");
  const which = `number ${wish.span.chunk} of "${file.info.path}"`;
  return new LumeoError("DATA_LOSS", `Cannot read chunk ${chunk.handle} (${which}): ${found}`);
}
