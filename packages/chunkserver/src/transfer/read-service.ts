// Reads: whole blocks, each checked against its stored checksum before it is sent.

import { LumeoError, MiB } from "@lumeofs/base";
import type { Exchange, Read } from "@lumeofs/node/frames";
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
      done();
      throw error;
    }
    await exchange.send({ type: "readData", offset: part.offset, crcs }, [bytes], done);
  }
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
