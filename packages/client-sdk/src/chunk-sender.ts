// One chunk to its replicas, and again to others if a server fails.
//
// W1. A chunk is sent under a new handle each time, so that a repetition can never mix with what an
//     earlier attempt left behind.
// W2. A server that failed is avoided at the next attempt.
// W3. A chunk for whose code there are too few servers is kept as copies, if its file allows it.
// W4. A source that pauses for too long gives its connections back (source-frames.ts): the rest of
//     the chunk is gathered here first.
// W5. A chunk of copies of at most JOINT_CHUNK_BYTES_MAX bytes shares a frame with others
//     (small-sender.ts).
// W6. A handle whose chunk is not handed to the caller is abandoned.

import {
  type Code,
  type ErrorCode,
  LumeoError,
  type MonotonicMs,
  type ServerId,
  serverId,
  unitCount,
} from "@lumeofs/base";
import type { AbandonedChunks } from "./abandoned-chunks.js";
import type { Allocations } from "./allocations.js";
import { type Call, UNLIMITED } from "./call.js";
import type { ChunkBody } from "./chunk-body.js";
import { Codecs } from "./coding/codecs.js";
import { CodedWriter } from "./coding/coded-writer.js";
import { CopiesWriter } from "./copies-writer.js";
import type { Allocation } from "./grant-book.js";
import type { ChunkRef } from "./operations.js";
import type { Ports } from "./ports.js";
import type { Redundancy } from "./redundancy.js";
import type { ChunkserverPool, WrittenChunk } from "./rpc/chunkserver-pool.js";
import { JOINT_CHUNK_BYTES_MAX, SmallSender } from "./small-sender.js";
import { isTokenRefusal } from "./token-refusal.js";

/** A confirmation waits for the disks of all replicas: so many times a call's timeout. */
const PATIENCE = 3;
/** Each attempt has a handle of its own (W1). */
const STEP = { idempotent: true, limitMs: UNLIMITED };
/** How often a chunk is sent whose grant ran out while it was on its way. */
const LATE_MAX = 3;

/** Failures after which the same bytes may well arrive elsewhere (beside the retryable ones). */
const OTHER_SERVERS_MAY_DO: ReadonlySet<ErrorCode> = new Set([
  "NO_SPACE",
  "CONFLICT",
  "PROTOCOL",
  "CORRUPT",
  "NOT_FOUND",
  "INTERNAL",
]);

/** What the masters answer when there are not enough servers for a code. */
const TOO_FEW: ReadonlySet<ErrorCode> = new Set(["TOO_FEW_SERVERS", "NO_SPACE"]);

/** A chunk that every server of it has durably, until when its grant can be committed. */
export interface StoredChunk extends ChunkRef {
  readonly usableUntil: MonotonicMs;
}

/** What the chunks of one file have in common. */
export interface SendOptions extends Redundancy {
  /** Told of bytes that left for the first time. */
  readonly onSent: (bytes: number) => void;
}

/** Where a chunk goes, and as what. */
interface Target {
  readonly allocation: Allocation;
  readonly code: Code | undefined;
}

export class ChunkSender {
  readonly #allocations: Allocations;
  readonly #abandoned: Pick<AbandonedChunks, "add" | "follow">;
  readonly #ports: Ports;
  readonly #copies: CopiesWriter;
  readonly #coded: CodedWriter;
  readonly #small: SmallSender;

  constructor(
    chunkservers: ChunkserverPool,
    allocations: Allocations,
    abandoned: Pick<AbandonedChunks, "add" | "follow">,
    ports: Ports,
  ) {
    const { timers } = ports;
    this.#allocations = allocations;
    this.#abandoned = abandoned;
    this.#ports = ports;
    this.#copies = new CopiesWriter(chunkservers, timers);
    this.#coded = new CodedWriter({ chunkservers, codecs: new Codecs(), timers });
    const blame = (thrown: unknown, target: Allocation) => this.#blame(thrown, target);
    this.#small = new SmallSender({ chunkservers, allocations, abandoned, blame });
  }

  /** Stores a chunk that is not empty. */
  async send(call: Call, body: ChunkBody, options: SendOptions): Promise<StoredChunk> {
    let reported = 0;
    const onSent = (upTo: number): void => {
      if (upTo <= reported) return; // sent again
      options.onSent(upTo - reported);
      reported = upTo;
    };
    const all = { ...options, onSent };
    const isOfCopies = options.code === undefined;
    const whole = isOfCopies ? await body.whole(JOINT_CHUNK_BYTES_MAX) : undefined; // W5
    if (whole === undefined) return this.#sendAlone(call, body, all);
    const stored = await call.run(STEP, () => this.#attemptSmall(call, whole, all));
    body.release();
    return stored;
  }

  async #sendAlone(call: Call, body: ChunkBody, options: SendOptions): Promise<StoredChunk> {
    let last: Promise<StoredChunk> | undefined;
    const attempt = (): Promise<StoredChunk> => {
      last = this.#attempt(call, body, options);
      return last;
    };
    return call.run(STEP, attempt).catch((error: unknown) => {
      if (last !== undefined) this.leave([last]); // an abort does not wait for it
      throw error;
    });
  }

  /** W5. */
  async #attemptSmall(call: Call, bytes: Uint8Array, options: SendOptions): Promise<StoredChunk> {
    const { replicas, onSent } = options;
    const wish = { replicas, timeoutMs: PATIENCE * call.timeoutMs };
    for (let late = 0; late < LATE_MAX; late++) {
      const { target, written } = await this.#small.send(call, bytes, wish);
      onSent(bytes.byteLength);
      const stored = this.#stored(target, written);
      if (stored !== undefined) return stored;
    }
    throw tooLate();
  }

  /** Chunks that were stored will not be committed. */
  abandon(handles: readonly number[]): void {
    this.#abandoned.add(handles);
  }

  /** Their call has failed: they are on their way to their own ends. */
  leave(sends: readonly Promise<unknown>[]): void {
    this.#abandoned.follow(sends);
  }

  /** The masters have ended grants early: chunks that are sent again get new ones. */
  forgetGrants(): void {
    this.#allocations.dropAll();
  }

  async #attempt(call: Call, body: ChunkBody, options: SendOptions): Promise<StoredChunk> {
    for (let late = 0; late < LATE_MAX; ) {
      const { allocation, code } = await this.#target(call, options);
      const limits = { signal: call.signal, timeoutMs: PATIENCE * call.timeoutMs };
      const task = { call, body, target: allocation, limits, onSent: options.onSent };
      const writing = code === undefined ? this.#copies.write(task) : this.#coded.write(code, task);
      const written = await writing.catch((error: unknown) => {
        this.abandon([allocation.handle]); // W6
        throw this.#blame(error, allocation);
      });
      if (written === "paused" || call.cancellation.aborted) this.abandon([allocation.handle]);
      call.cancellation.throwIfAborted();
      if (written === "paused") {
        await call.unlessAborted(body.gather());
        continue;
      }
      const stored = this.#stored(allocation, written);
      if (stored !== undefined) {
        body.release();
        return stored;
      }
      late++; // once more, now that the bytes are here
    }
    throw tooLate();
  }

  /** Undefined if nobody would accept its commit any more: then it is abandoned (W6). */
  #stored(
    target: Allocation,
    written: WrittenChunk & Pick<Partial<ChunkRef>, "coding">,
  ): StoredChunk | undefined {
    const { handle, epoch, usableUntil } = target;
    if (this.#ports.clock.monotonicMs() < usableUntil) {
      return { handle, epoch, usableUntil, coding: undefined, ...written };
    }
    this.abandon([handle]);
    return undefined;
  }

  async #target(call: Call, { replicas, code, fallback }: Redundancy): Promise<Target> {
    const copies = { servers: replicas, areUnits: false, isOptional: false };
    if (code === undefined) {
      return { allocation: await this.#allocations.take(call, copies), code };
    }
    const isOptional = fallback === "replicate";
    const units = { servers: unitCount(code), areUnits: true, isOptional };
    try {
      return { allocation: await this.#allocations.take(call, units), code };
    } catch (error) {
      if (!isOptional || !(error instanceof LumeoError) || !TOO_FEW.has(error.code)) throw error;
      return { allocation: await this.#allocations.take(call, copies), code: undefined }; // W3
    }
  }

  /** Who failed is avoided (W2); the error says whether another try makes sense. */
  #blame(thrown: unknown, target: Allocation): unknown {
    if (!(thrown instanceof LumeoError)) return thrown;
    if (isTokenRefusal(thrown)) {
      if (target.token !== undefined) this.#allocations.dropToken(target.token);
      return thrown; // the next attempt has another token; no server is to blame
    }
    const named = thrown.details.servers ?? [];
    const blamed: ServerId[] = named.map(serverId);
    const primary = target.replicas[0]?.server;
    if (blamed.length === 0 && primary !== undefined) blamed.push(primary);
    const isElsewhere = OTHER_SERVERS_MAY_DO.has(thrown.code);
    if (!thrown.retryable && !isElsewhere) return thrown;
    this.#allocations.avoid(blamed);
    if (!isElsewhere) return thrown;
    return new LumeoError("STORE_FAILED", thrown.message, { cause: thrown, servers: blamed });
  }
}

function tooLate(): LumeoError {
  const message = `Cannot store a chunk: sending it outlasted ${LATE_MAX} grants`;
  return new LumeoError("TIMEOUT", message);
}
