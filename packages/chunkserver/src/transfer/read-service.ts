// Reads: whole blocks, each checked against its stored checksum before it is sent.

import { BLOCK_BYTES, LumeoError, MiB } from "@lumeofs/base";
import {
  type AskedChunk,
  type Exchange,
  PAYLOAD_BYTES_MAX,
  type Read,
  type ReadMany,
} from "@lumeofs/node/frames";
import { coveringBlocks } from "../store/block-layout.js";
import type { ChunkReader, ChunkStore } from "../store/chunk-store.js";
import { BlockBuffers } from "./block-buffers.js";
import type { Rooms } from "./rooms.js";
import type { StoppedChunks } from "./stopped-chunks.js";

/** One frame, one read of the disk. */
const READ_BYTES = 1 * MiB;
const BUFFERS_KEPT_MAX = 24;

export class ReadService {
  readonly #store: ChunkStore;
  readonly #rooms: Rooms;
  readonly #stopped: StoppedChunks;
  readonly #buffers = new BlockBuffers(READ_BYTES, BUFFERS_KEPT_MAX);

  constructor(store: ChunkStore, rooms: Rooms, stopped: StoppedChunks) {
    this.#store = store;
    this.#rooms = rooms;
    this.#stopped = stopped;
  }

  /**
   * Serves one `read`.
   *
   * @throws LumeoError as ChunkStore.open and ChunkReader.read; CORRUPT if the chunk is stopped.
   */
  async serve(message: Read, exchange: Exchange): Promise<void> {
    this.#stopped.check(message.handle);
    const reader = await this.#store.open(message.handle, message.epoch);
    const range = coveringBlocks(message.offset, message.length, reader.length);
    const cancelled = watchForCancel(exchange);
    for (let offset = range.start; offset < range.end; offset += READ_BYTES) {
      if (cancelled.aborted) return;
      const length = Math.min(READ_BYTES, range.end - offset);
      await this.#sendBlocks(reader, { offset, length }, exchange);
    }
    const { length, crc32c, version } = reader;
    const { seq } = version;
    exchange.send({ type: "readEnd", length, crc32c, seq, clock: [...version.clock] });
  }

  /**
   * Serves one `readMany`: of a chunk that cannot be given, for whatever reason, nothing is said.
   *
   * @param mayRead  Whether the token of a chunk lets it be read, without waiting for anything.
   */
  async serveMany(
    { chunks }: ReadMany,
    exchange: Exchange,
    mayRead: (asked: AskedChunk) => boolean,
  ): Promise<void> {
    const opening = chunks.map((asked) => (mayRead(asked) ? this.#openSmall(asked) : undefined));
    const readers = await Promise.all(opening);
    const bytesMax = readers.reduce((sum, reader) => sum + (reader?.length ?? 0), 0);
    const payload = Buffer.allocUnsafeSlow(Math.min(bytesMax, PAYLOAD_BYTES_MAX));
    const permit = await this.#rooms.reads.take(payload.byteLength);
    const done = (): void => permit.release();
    let filling: Filled;
    try {
      filling = await fillWith(readers, payload);
    } catch (error) {
      done();
      throw error;
    }
    const { lengths, crcs, filled } = filling;
    const parts = filled === 0 ? [] : [payload.subarray(0, filled)];
    // Also where the connection is closed by now, `send` calls `done` before it throws.
    await exchange.send({ type: "manyData", lengths, crcs }, parts, done);
  }

  async #openSmall({ handle, epoch }: AskedChunk): Promise<ChunkReader | undefined> {
    try {
      this.#stopped.check(handle);
      const reader = await this.#store.open(handle, epoch);
      return reader.length <= BLOCK_BYTES ? reader : undefined;
    } catch (error) {
      return absent(error);
    }
  }

  async #sendBlocks(
    reader: ChunkReader,
    part: { readonly offset: number; readonly length: number },
    exchange: Exchange,
  ): Promise<void> {
    const permit = await this.#rooms.reads.take(READ_BYTES);
    const buffer = this.#buffers.take();
    const done = (): void => {
      this.#buffers.give(buffer);
      permit.release();
    };
    const bytes = buffer.subarray(0, part.length);
    let crcs: Uint8Array;
    try {
      crcs = await reader.read(part.offset, bytes);
    } catch (error) {
      permit.release(); // a disk that hangs may still write into the buffer: it is not used again
      throw error;
    }
    await exchange.send({ type: "readData", offset: part.offset, crcs }, [bytes], done);
  }
}

/** What of a row of chunks was read. */
interface Filled {
  readonly lengths: Buffer;
  readonly crcs: Buffer;
  readonly filled: number;
}

/** Puts chunks one behind the other, as far as they can be read and have room. */
async function fillWith(
  readers: readonly (ChunkReader | undefined)[],
  payload: Buffer,
): Promise<Filled> {
  const lengths = Buffer.alloc(4 * readers.length);
  const crcs = Buffer.alloc(4 * readers.length);
  let filled = 0;
  for (const [i, reader] of readers.entries()) {
    if (reader === undefined || payload.byteLength < filled + reader.length) continue;
    const into = payload.subarray(filled, filled + reader.length);
    const read = await reader.read(0, into).catch(absent);
    if (read === undefined) continue;
    lengths.writeUInt32LE(reader.length, 4 * i);
    crcs.set(read, 4 * i);
    filled += reader.length;
  }
  return { lengths, crcs, filled };
}

/** What is wrong with a chunk is told to whoever asks for it alone. */
function absent(error: unknown): undefined {
  if (!(error instanceof LumeoError)) throw error;
}

/** Aborts when the reader cancels or its connection breaks. */
function watchForCancel(exchange: Exchange): AbortSignal {
  const cancelled = new AbortController();
  exchange.receive().then(
    (frame) => {
      frame.release();
      cancelled.abort(new LumeoError("ABORTED", "The reader gave up"));
    },
    (error: unknown) => cancelled.abort(error),
  );
  return cancelled.signal;
}
