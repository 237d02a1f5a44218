// Memory for the chunks of streams, each of which is kept until it is stored. All clients of a
// process share it: its memory is one, and fresh memory costs more than what is used again.
//
// M1. A chunk of more than one frame is read on only when there is room for all of it, first come
//     first served: what has begun can be finished.
// M2. Nobody waits for a source: one that takes longer than SLOW_MS for a frame gives its room up,
//     and keeps what it has. So a source that itself waits for another put holds nothing up.
// M3. Nobody waits for servers that do not answer, which may be those of another cluster: room is
//     held for HELD_MS at most. What is bounded are the bytes of chunks that come and go.

import {
  type Alarm,
  Budget,
  type Cancellation,
  MiB,
  type Permit,
  type Timers,
} from "@lumeofs/base";
import { FrameBuffers } from "./frame-buffers.js";

/** Two chunks of the usual size for each of two streams, or one for each of four. */
export const STREAM_ROOM_BYTES = 256 * MiB;
/** For the next frame of a source. */
const SLOW_MS = 250;
/** A busy machine takes some seconds for a chunk. */
const HELD_MS = 15_000;

/** The memory of all streams that are being stored. */
export class StreamRoom {
  readonly buffers = new FrameBuffers();
  readonly #room = new Budget(STREAM_ROOM_BYTES);

  /** Room for a chunk of at most so many bytes. @throws The signal's reason. */
  async take(bytes: number, timers: Timers, signal: Cancellation): Promise<ChunkRoom> {
    return new ChunkRoom(await this.#room.take(bytes, signal), timers);
  }
}

/** Room for one chunk. Whoever has it calls `end` in any case. */
export class ChunkRoom {
  readonly #timers: Timers;
  readonly #late: Alarm;
  #permit: Permit | undefined;

  constructor(permit: Permit, timers: Timers) {
    this.#permit = permit;
    this.#timers = timers;
    this.#late = timers.after(HELD_MS, () => this.end()); // M3
  }

  /** The same promise, while it is looked after how long the source takes (M2). */
  async during<T>(reading: Promise<T>): Promise<T> {
    if (this.#permit === undefined) return reading;
    const alarm = this.#timers.after(SLOW_MS, () => this.end());
    try {
      return await reading;
    } finally {
      alarm.cancel();
    }
  }

  /** The chunk is stored, or will not be. Harmless the second time. */
  end(): void {
    this.#late.cancel();
    this.#permit?.release();
    this.#permit = undefined;
  }
}

/** Of this process. */
export const STREAM_ROOM = new StreamRoom();
