// One chunk to its replicas: through the primary, which passes it on.
//
// W3. A chunk that fits one frame and the servers' small path goes as one frame.

import { invariant, SMALL_CHUNK_BYTES_MAX, type Timers } from "@lumeofs/base";
import type { Call } from "./call.js";
import type { ChunkBody } from "./chunk-body.js";
import type { Allocation } from "./grant-book.js";
import type {
  ChunkSink,
  ChunkserverPool,
  RequestOptions,
  WrittenChunk,
} from "./rpc/chunkserver-pool.js";
import { SourceFrames } from "./source-frames.js";

/** One sending of a chunk. */
export interface ChunkTask {
  readonly call: Call;
  readonly body: ChunkBody;
  readonly target: Allocation;
  readonly limits: RequestOptions;
  /** Told how many bytes have left in all. */
  readonly onSent: (upTo: number) => void;
}

export class CopiesWriter {
  readonly #chunkservers: ChunkserverPool;
  readonly #timers: Timers;

  constructor(chunkservers: ChunkserverPool, timers: Timers) {
    this.#chunkservers = chunkservers;
    this.#timers = timers;
  }

  /** Sends a chunk once; "paused" if the source kept the connection waiting for too long. */
  async write({ call, body, target, limits, onSent }: ChunkTask): Promise<WrittenChunk | "paused"> {
    const frames = new SourceFrames(call, body, this.#timers);
    let sink: ChunkSink | undefined;
    let sentBytes = 0;
    try {
      for (;;) {
        const frame = await frames.next(sink !== undefined);
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
      throw error;
    } finally {
      frames.close();
    }
  }
}
