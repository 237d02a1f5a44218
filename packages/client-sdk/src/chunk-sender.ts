// One chunk to its replicas, and again to others if a server fails.
//
// W1. A chunk is sent under a new handle each time, so that a repetition can never mix with what an
//     earlier attempt left behind.
// W2. A server that failed is avoided at the next attempt.
// W3. A chunk that fits one frame and the servers' small path goes as one frame.
// W4. A source that pauses longer than SOURCE_PAUSE_MS gives its connection back: the rest of the
//     chunk is gathered here first.

import {
  type ErrorCode,
  invariant,
  LumeoError,
  type MonotonicMs,
  type ServerId,
  SMALL_CHUNK_BYTES_MAX,
  serverId,
} from "@lumeofs/base";
import type { Allocations } from "./allocations.js";
import { type Call, UNLIMITED } from "./call.js";
import type { ChunkBody } from "./chunk-body.js";
import type { Allocation } from "./grant-book.js";
import type { ChunkRef } from "./operations.js";
import type { Ports } from "./ports.js";
import type { ChunkSink, ChunkserverPool, WrittenChunk } from "./rpc/chunkserver-pool.js";
import { isTokenRefusal } from "./token-refusal.js";

/** How long a connection waits for the caller's stream. */
const SOURCE_PAUSE_MS = 10_000;

/** A confirmation waits for the disks of all replicas: so many times a call's timeout. */
const PATIENCE = 3;
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

/** A chunk that every replica has durably, until when its grant can be committed. */
export interface StoredChunk extends ChunkRef {
  readonly usableUntil: MonotonicMs;
}

/** What the chunks of one file have in common. */
export interface SendOptions {
  readonly replicas: number;
  /** Told of bytes that left for the first time. */
  readonly onSent: (bytes: number) => void;
}

export class ChunkSender {
  readonly #chunkservers: ChunkserverPool;
  readonly #allocations: Allocations;
  readonly #ports: Ports;

  constructor(chunkservers: ChunkserverPool, allocations: Allocations, ports: Ports) {
    this.#chunkservers = chunkservers;
    this.#allocations = allocations;
    this.#ports = ports;
  }

  /** Stores a chunk that is not empty. */
  async send(call: Call, body: ChunkBody, options: SendOptions): Promise<StoredChunk> {
    let reported = 0;
    const onSent = (upTo: number): void => {
      if (upTo <= reported) return; // sent again
      options.onSent(upTo - reported);
      reported = upTo;
    };
    const step = { idempotent: true, limitMs: UNLIMITED };
    return call.run(step, () => this.#attempt(call, body, { ...options, onSent }));
  }

  /** The masters have ended grants early: chunks that are sent again get new ones. */
  forgetGrants(): void {
    this.#allocations.dropAll();
  }

  async #attempt(call: Call, body: ChunkBody, options: SendOptions): Promise<StoredChunk> {
    for (let late = 0; late < LATE_MAX; ) {
      const target = await this.#allocations.take(call, options.replicas);
      const written = await this.#write(call, body, { target, onSent: options.onSent });
      if (written === "paused") {
        await call.unlessAborted(body.gather());
        continue;
      }
      if (this.#ports.clock.monotonicMs() < target.usableUntil) {
        body.release();
        const { handle, epoch, usableUntil } = target;
        return { handle, epoch, usableUntil, ...written, coding: undefined };
      }
      late++; // nobody would accept its commit any more: once more, now that the bytes are here
    }
    throw new LumeoError(
      "TIMEOUT",
      `Cannot store a chunk: sending it outlasted ${LATE_MAX} grants`,
    );
  }

  /** Sends a chunk once; "paused" if the source kept the connection waiting for too long (W4). */
  async #write(
    call: Call,
    body: ChunkBody,
    { target, onSent }: { target: Allocation; onSent: SendOptions["onSent"] },
  ): Promise<WrittenChunk | "paused"> {
    const limits = { signal: call.signal, timeoutMs: PATIENCE * call.timeoutMs };
    const frames = body.frames()[Symbol.asyncIterator]();
    let sink: ChunkSink | undefined;
    let sentBytes = 0;
    try {
      for (;;) {
        const frame = await call.unlessAborted(this.#next(frames, sink !== undefined));
        if (frame === "paused") {
          sink?.abort();
          return frame;
        }
        if (frame === undefined) break;
        if (sink === undefined && frame.byteLength <= SMALL_CHUNK_BYTES_MAX) {
          const written = await this.#chunkservers.writeSmall(target, frame, limits); // W3
          onSent(frame.byteLength);
          return written;
        }
        sink ??= await this.#chunkservers.openWrite(target, limits);
        await sink.write(frame);
        sentBytes += frame.byteLength;
        onSent(sentBytes);
      }
      invariant(sink !== undefined, "an empty chunk is not sent");
      return await sink.finish();
    } catch (error) {
      sink?.abort();
      throw this.#blame(error, target);
    } finally {
      frames.return?.().catch(() => undefined);
    }
  }

  /** The next frame, or "paused" if the source keeps an open connection waiting (W4). */
  #next(
    frames: AsyncIterator<Uint8Array>,
    isConnected: boolean,
  ): Promise<Uint8Array | undefined | "paused"> {
    const next = frames.next().then(({ done, value }) => (done === true ? undefined : value));
    if (!isConnected) return next;
    return new Promise((resolve, reject) => {
      const alarm = this.#ports.timers.after(SOURCE_PAUSE_MS, () => resolve("paused"));
      next.then(resolve, reject).finally(() => alarm.cancel());
    });
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
