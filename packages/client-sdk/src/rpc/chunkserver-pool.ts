// Chunk bytes to and from chunkservers (docs/formats/data-plane.md).
//
// D1. Small chunks and reads share one connection to each server, apart from each other (lanes), so
//     that many are in flight on one socket; a large chunk streams on a connection of its own.
// D2. Every block that is read is checked against its checksum before it is handed on.
// D3. A write is done only if every replica of the grant confirms the length and checksum that were
//     sent: a store that was wiped has another number, and its copy would be nobody's.
// D4. A write through a server that has stopped is given up soon (FramePool.watch).
// D5. An answer that cannot be understood ends its connection: to a reader it is a lost one, for on
//     another connection it may come whole.
// D6. A request ends early by giving its exchange up; a write that ends so costs its connection.

import {
  BLOCK_BYTES,
  Budget,
  type Cancellation,
  type Closable,
  type Crc32c,
  chunkHandle,
  crc32cCombine,
  epoch,
  LumeoError,
  type ServerId,
  type Timers,
} from "@lumeofs/base";
import {
  blockCrcs,
  type ChainLink,
  crcOfBlocks,
  type Exchange,
  type ExclusiveConnection,
  type FileFound,
  FramePool,
  firstBadBlock,
  type Message,
  REQUESTS_PER_CONNECTION_MAX,
  type ReceivedFrame,
  type WatchedWrite,
} from "@lumeofs/node/frames";
import type { Allocation, HandleRow, Replica } from "../grant-book.js";
import type { ChunkRef, LocatedChunk } from "../operations.js";
import type { Ports } from "../ports.js";
import { within } from "./answer-wait.js";
import { findFile } from "./file-lookup.js";
import { type JointReadOptions, readTogether } from "./joint-read.js";
import { type JointWritePorts, writeTogether } from "./joint-writes.js";

/** Silence that ends a connection on which something is awaited. */
const STALL_MS = 30_000;
const CONNECT_TIMEOUT_MS = 3_000;
/** A chunk streams on its own connection; so many streams to one server at once. */
const STREAMS_PER_SERVER_MAX = 32;

const LANE_SMALL_WRITES = 0;
const LANE_READS = 1;
const LANE_STREAMS = 2;
const LANE_JOINT_WRITES = 3;
const LANE_JOINT_READS = 4;
const LANE_FILES = 5;

/** What bounds one request. */
export interface RequestOptions {
  /** Between two signs of life. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** The same for a read: there are many, and each may be given up alone. */
export interface ReadOptions {
  readonly timeoutMs: number;
  readonly signal: Cancellation;
  /** The server itself is to send it, also where its file could be read. */
  readonly fromServer?: boolean;
}

/** Where a chunk, or one unit of it, is written. */
export interface WriteTarget extends Pick<Allocation, "handle" | "epoch" | "replicas" | "token"> {
  /** Whose record the chunk's clock counts; without it the first of the replicas. */
  readonly author?: ServerId;
  /** Those that are given up together with it when they are silent (D4); default: the replicas. */
  readonly company?: readonly Replica[];
}

/** What the servers must confirm. */
export interface WrittenChunk {
  readonly lengthBytes: number;
  readonly crc32c: number;
}

/** A part of a chunk to read. */
export interface ChunkPart {
  /** As the server's record has it: of a coded chunk, one unit. */
  readonly chunk: Omit<ChunkRef, "coding">;
  readonly token: Uint8Array | undefined;
  /** From the start of the chunk, at a multiple of the block size. */
  readonly offset: number;
  /** Up to here, at a multiple of the block size or at the end of the chunk. */
  readonly end: number;
}

/** Checked bytes of a chunk: whole blocks. */
export interface CheckedBytes {
  readonly pieces: readonly Uint8Array[];
  readonly lengthBytes: number;
  readonly crc32c: number;
}

/** An open write of one large chunk. */
export interface ChunkSink {
  /** Why it cannot go on, as far as that is known; undefined while it can. */
  readonly failure: unknown;
  /**
   * Sends the next bytes: whole blocks, except in the last call. Waits while the queue is full.
   *
   * @param sent  Called when the bytes may change again; not if this rejects.
   * @returns     Their checksum.
   */
  write(bytes: Uint8Array, sent?: () => void): Promise<number>;
  /** Resolves when every replica has the chunk durably. */
  finish(): Promise<WrittenChunk>;
  /** Gives the write up. Harmless after `finish`. */
  abort(): void;
}

export class ChunkserverPool implements Closable {
  readonly #frames: FramePool;
  readonly #crc32c: Crc32c;
  readonly #timers: Timers;
  readonly #joint: JointWritePorts;
  /** Requests at one server on one lane; more wait. */
  readonly #slots = new Map<string, Budget>();

  constructor({ crc32c, timers, dataNetwork }: Ports) {
    this.#crc32c = crc32c;
    this.#timers = timers;
    this.#frames = new FramePool({
      hello: () => ({ type: "hello", role: "client", clusterId: "", name: "client" }),
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      exclusiveMax: STREAMS_PER_SERVER_MAX,
      stallMs: STALL_MS,
      network: dataNetwork,
    });
    this.#joint = { frames: this.#frames, crc32c, timers, lane: LANE_JOINT_WRITES };
  }

  /** Writes a chunk that fits one frame; resolves when every replica has it durably. */
  async writeSmall(
    target: WriteTarget,
    bytes: Uint8Array,
    options: RequestOptions,
  ): Promise<WrittenChunk> {
    const crcs = blockCrcs([bytes], this.#crc32c);
    const length = bytes.byteLength;
    const crc32c = crcOfBlocks(crcs, length);
    const first = { type: "writeSmall" as const, ...addressed(target), length, crc32c, crcs };
    const { address } = primaryOf(target);
    return this.#withSlot(address, LANE_SMALL_WRITES, options.signal, async () => {
      const route = { address, lane: LANE_SMALL_WRITES };
      const connection = await this.#frames.shared(route);
      options.signal.throwIfAborted();
      const exchange = connection.request(first, [bytes]);
      const unwatch = this.#frames.watch({
        servers: target.company ?? target.replicas,
        progress: () => 0,
        giveUp: (reason) => exchange.fail(reason),
      });
      try {
        const written = { lengthBytes: length, crc32c };
        checkDone(
          await within(this.#timers, exchange.receive(), exchange, options),
          written,
          target,
        );
        return written;
      } finally {
        unwatch();
        exchange.finish();
      }
    });
  }

  /** Writes small chunks to all replicas at once; see joint-writes.ts. */
  writeTogether(
    row: HandleRow,
    chunks: readonly Uint8Array[],
    timeoutMs: number,
  ): Promise<readonly number[]> {
    return writeTogether(this.#joint, row, chunks, timeoutMs);
  }

  /** Reads small chunks of one server; see joint-read.ts. */
  readTogether(
    chunks: readonly LocatedChunk[],
    options: JointReadOptions,
  ): Promise<readonly (Uint8Array | undefined)[]> {
    const ports = { frames: this.#frames, crc32c: this.#crc32c, lane: LANE_JOINT_READS };
    return readTogether(ports, chunks, options);
  }

  /** Where the file of a chunk lies; see file-lookup.ts. */
  findFile(
    { address }: Replica,
    part: Pick<ChunkPart, "chunk" | "token">,
    timeoutMs: number,
  ): Promise<FileFound> {
    const ports = { frames: this.#frames, timers: this.#timers, lane: LANE_FILES };
    return findFile(ports, address, part, timeoutMs);
  }

  /** Opens a stream for a chunk of up to 64 MiB. */
  async openWrite(target: WriteTarget, options: RequestOptions): Promise<ChunkSink> {
    const { address } = primaryOf(target);
    const { signal } = options;
    const lease = await this.#frames.exclusive({ address, lane: LANE_STREAMS, signal });
    try {
      const exchange = lease.connection.request({ type: "writeOpen", ...addressed(target) });
      const answer = exchange.receive();
      return new StreamedChunk(exchange, lease, {
        crc32c: this.#crc32c,
        watched: (stream) =>
          this.#frames.watch({ servers: target.company ?? target.replicas, ...stream }),
        signal,
        answer,
        confirmation: async (written) => {
          checkDone(await within(this.#timers, answer, exchange, options), written, target);
        },
      });
    } catch (error) {
      lease.release();
      throw error;
    }
  }

  /**
   * Reads a part of a chunk from one replica, in order, checked (D2).
   *
   * @throws LumeoError CHECKSUM if a block is not what was written; CORRUPT, at the end, if the
   *         replica is another chunk than the one asked for; otherwise as the server refused.
   */
  async *read(
    replica: Replica,
    part: ChunkPart,
    options: ReadOptions,
  ): AsyncGenerator<CheckedBytes, void, undefined> {
    const slots = this.#slotsOf(replica.address, LANE_READS);
    const slot = slots.tryTake(1) ?? (await slots.take(1, options.signal));
    try {
      const connection = await this.#frames.shared({ address: replica.address, lane: LANE_READS });
      options.signal.throwIfAborted();
      const { handle, epoch: term } = part.chunk;
      const exchange = connection.request({
        type: "read",
        handle: chunkHandle(handle),
        epoch: epoch(term),
        ...shown(part.token),
        offset: part.offset,
        length: part.end - part.offset,
      });
      let isOver = false;
      try {
        yield* this.#blocks(exchange, replica, part, options);
        isOver = true;
      } catch (error) {
        throw lostIfGarbled(error, replica);
      } finally {
        if (!isOver && connection.isUsable) exchange.send({ type: "readCancel" });
        exchange.finish();
      }
    } finally {
      slot.release();
    }
  }

  async close(): Promise<void> {
    await this.#frames.close();
  }

  async *#blocks(
    exchange: Exchange,
    replica: Replica,
    part: ChunkPart,
    options: ReadOptions,
  ): AsyncGenerator<CheckedBytes, void, undefined> {
    for (let at = part.offset; ; ) {
      const frame = await within(this.#timers, exchange.receive(), exchange, options);
      frame.release(); // what a reader holds is bounded by what it asks for
      const { message, payload, payloadBytes } = frame;
      if (message.type === "readEnd") {
        if (at !== part.end) throw mismatch(replica, part.chunk, `it ends at byte ${at}`);
        checkRecord(replica, part.chunk, message);
        return;
      }
      if (message.type !== "readData") throw unexpected(message);
      if (message.offset !== at || part.end < at + payloadBytes || payloadBytes === 0) {
        throw mismatch(
          replica,
          part.chunk,
          `bytes ${message.offset}+${payloadBytes} came at ${at}`,
        );
      }
      const bad = firstBadBlock(payload, message.crcs, this.#crc32c);
      if (bad !== undefined) {
        throw mismatch(replica, part.chunk, `block ${at / BLOCK_BYTES + bad} is damaged`);
      }
      const crc32c = crcOfBlocks(message.crcs, payloadBytes);
      at += payloadBytes;
      yield { pieces: payload, lengthBytes: payloadBytes, crc32c };
    }
  }

  async #withSlot<T>(
    address: string,
    lane: number,
    signal: AbortSignal,
    action: () => Promise<T>,
  ): Promise<T> {
    const slots = this.#slotsOf(address, lane);
    const slot = slots.tryTake(1) ?? (await slots.take(1, signal));
    try {
      return await action();
    } finally {
      slot.release();
    }
  }

  #slotsOf(address: string, lane: number): Budget {
    const key = `${lane} ${address}`;
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const slots = new Budget(REQUESTS_PER_CONNECTION_MAX);
    this.#slots.set(key, slots);
    return slots;
  }
}

interface StreamOptions {
  readonly crc32c: Crc32c;
  readonly signal: AbortSignal;
  /** Awaited from the beginning: a server that fails in the middle says so at once. */
  readonly answer: Promise<ReceivedFrame>;
  readonly confirmation: (written: WrittenChunk) => Promise<void>;
  /** Has the stream looked after (D4); returns how to end that. */
  readonly watched: (stream: Pick<WatchedWrite, "progress" | "giveUp">) => () => void;
}

class StreamedChunk implements ChunkSink {
  readonly #exchange: Exchange;
  readonly #lease: ExclusiveConnection;
  readonly #options: StreamOptions;
  readonly #abort = (): void => this.abort();
  readonly #unwatch: () => void;
  #failure: unknown;
  #offset = 0;
  #crc32c = 0;
  #sentFrames = 0;
  /** Frames on their way out, and the answer once everything has been sent. */
  #awaited = 0;

  constructor(exchange: Exchange, lease: ExclusiveConnection, options: StreamOptions) {
    this.#exchange = exchange;
    this.#lease = lease;
    this.#options = options;
    options.signal.addEventListener("abort", this.#abort, { once: true });
    options.answer.catch((error: unknown) => {
      this.#failure = error;
    });
    this.#unwatch = options.watched({
      progress: () => (this.#awaited === 0 ? undefined : this.#sentFrames),
      giveUp: (reason) => lease.connection.close(reason),
    });
  }

  get failure(): unknown {
    return this.#failure;
  }

  async write(bytes: Uint8Array, sent?: () => void): Promise<number> {
    this.#options.signal.throwIfAborted();
    if (this.#failure !== undefined) throw this.#failure;
    const crcs = blockCrcs([bytes], this.#options.crc32c);
    const message = { type: "writeData" as const, offset: this.#offset, crcs };
    this.#awaited++;
    const full = this.#exchange.send(message, [bytes], () => {
      this.#awaited--;
      this.#sentFrames++;
      sent?.();
    });
    const crc32c = crcOfBlocks(crcs, bytes.byteLength);
    this.#crc32c = crc32cCombine(this.#crc32c, crc32c, bytes.byteLength);
    this.#offset += bytes.byteLength;
    if (full !== undefined) await full;
    return crc32c;
  }

  async finish(): Promise<WrittenChunk> {
    const written = { lengthBytes: this.#offset, crc32c: this.#crc32c };
    const { lengthBytes: length, crc32c } = written;
    this.#awaited++;
    this.#exchange.send({ type: "writeClose", length, crc32c });
    await this.#options.confirmation(written);
    this.#unwatch();
    this.#options.signal.removeEventListener("abort", this.#abort);
    this.#exchange.finish();
    this.#lease.release();
    return written;
  }

  abort(): void {
    this.#unwatch();
    this.#options.signal.removeEventListener("abort", this.#abort);
    this.#lease.release(); // closes the connection: the request on it is not finished (D6)
    this.#exchange.finish();
  }
}

/** D5. */
function lostIfGarbled(error: unknown, { name, server }: Replica): unknown {
  if (!(error instanceof LumeoError) || error.code !== "PROTOCOL") return error;
  const details = { cause: error, servers: [server] };
  const why = `Lost the connection to "${name}": ${error.message}`;
  return new LumeoError("CONNECTION_LOST", why, details);
}

/** A replica whose record is another one has other bytes, be they intact: none of them counts. */
function checkRecord(
  replica: Replica,
  { handle, lengthBytes, crc32c }: ChunkPart["chunk"],
  end: { readonly length: number; readonly crc32c: number },
): void {
  if (end.length === lengthBytes && end.crc32c === crc32c) return;
  const what = `${end.length} bytes with checksum ${end.crc32c}, not ${lengthBytes} with ${crc32c}`;
  const message = `Chunk ${handle} on "${replica.name}" is another one: it has ${what}`;
  throw new LumeoError("CORRUPT", message, { servers: [replica.server] });
}

/** The replicas confirm what was sent (D3). */
function checkDone(frame: ReceivedFrame, written: WrittenChunk, target: WriteTarget): void {
  frame.release();
  const { message } = frame;
  if (message.type !== "writeDone") throw unexpected(message);
  if (message.length !== written.lengthBytes || message.crc32c !== written.crc32c) {
    throw mismatch(primaryOf(target), target, `it confirmed ${message.length} bytes`);
  }
  const absent = target.replicas.filter(({ server }) => !message.servers.includes(server));
  if (absent.length === 0) return;
  const names = absent.map(({ name }) => `"${name}"`).join(", ");
  throw new LumeoError(
    "CONFLICT",
    `Chunk ${target.handle} was not stored by ${names}: another store is at the address now`,
    { servers: absent.map(({ server }) => server) },
  );
}

function addressed(target: WriteTarget) {
  const chain: ChainLink[] = target.replicas.slice(1).map(({ server, address }) => {
    return { server, address };
  });
  const handle = chunkHandle(target.handle);
  const primary = target.author === undefined ? {} : { primary: target.author };
  return { handle, epoch: epoch(target.epoch), ...shown(target.token), chain, ...primary };
}

/** The field for a token, if there is one. */
function shown(token: Uint8Array | undefined): { readonly token?: Uint8Array } {
  return token === undefined ? {} : { token };
}

function primaryOf(target: WriteTarget): Replica {
  return target.replicas[0] as Replica; // a grant has at least one: rpc/wire.ts
}

function mismatch(replica: Replica, chunk: { readonly handle: number }, what: string): LumeoError {
  const servers: readonly ServerId[] = [replica.server];
  const message = `Chunk ${chunk.handle} on "${replica.name}" is not what was written: ${what}`;
  return new LumeoError("CHECKSUM", message, { servers });
}

function unexpected(message: Message): LumeoError {
  return new LumeoError("PROTOCOL", `Cannot go on: "${message.type}" is no answer here`);
}
