// The bytes of one chunk on their way out, in frames, and how they come back if the chunk has to be
// sent again.
//
// K1. Every frame but the last of a chunk has FRAME_BYTES (or the chunk's size, if that is less).
// K2. `frame(i)` gives the same bytes every time it is asked, until the chunk is released.
// K3. A stream is read only as far as frames are asked for: a slow server slows the source.

import { invariant } from "@lumeofs/base";
import type { ReplayableSource, StreamSource } from "./body.js";
import { FRAME_BYTES, type FrameBuffers } from "./frame-buffers.js";
import type { ChunkRoom } from "./stream-room.js";

/** One chunk to send, as often as needed. */
export interface ChunkBody {
  /** Frames in order, from the beginning; a new iteration begins again. */
  frames(): AsyncIterable<Uint8Array>;
  /** All of it if it has at most so many bytes: the same every time it is asked for. */
  whole(bytesMax: number): Promise<Uint8Array | undefined>;
  /** All its bytes are here: sending it again does not wait for the source. */
  gather(): Promise<void>;
  /** The chunk is stored, and no frame of it is still waiting to leave. */
  release(): void;
}

/** A chunk of a body that can be read again: nothing is kept. */
export class ReplayableChunk implements ChunkBody {
  readonly #source: ReplayableSource;
  readonly #start: number;
  readonly #end: number;

  constructor(source: ReplayableSource, start: number, end: number) {
    this.#source = source;
    this.#start = start;
    this.#end = end;
  }

  /** Pieces of the source, cut or joined to frames (K1). One that is a frame is not copied. */
  async *frames(): AsyncGenerator<Uint8Array, void, undefined> {
    let left = this.#end - this.#start;
    let frame: Buffer | undefined;
    let filled = 0;
    for await (const piece of this.#source.read(this.#start, this.#end)) {
      for (let at = 0; at < piece.byteLength; ) {
        const frameBytes = Math.min(FRAME_BYTES, left);
        const part = piece.subarray(at, at + frameBytes - filled);
        at += part.byteLength;
        filled += part.byteLength;
        if (frame !== undefined || part.byteLength < frameBytes) {
          frame ??= Buffer.allocUnsafeSlow(frameBytes);
          frame.set(part, filled - part.byteLength);
        }
        if (filled < frameBytes) continue;
        yield frame ?? part;
        left -= frameBytes;
        frame = undefined;
        filled = 0;
      }
    }
    invariant(left === 0, "a source gives what it was asked for", { left });
  }

  async whole(bytesMax: number): Promise<Uint8Array | undefined> {
    if (bytesMax < this.#end - this.#start) return undefined;
    const { bytes } = this.#source;
    if (bytes !== undefined) return bytes.subarray(this.#start, this.#end);
    const pieces: Uint8Array[] = [];
    for await (const frame of this.frames()) pieces.push(frame);
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
  }

  async gather(): Promise<void> {}

  release(): void {}
}

/** A stream cut into frames; what the caller gave is copied, so that it may change afterwards. */
export class FrameReader {
  readonly #source: StreamSource;
  #rest: Uint8Array | undefined;
  #isOver = false;

  constructor(source: StreamSource) {
    this.#source = source;
  }

  /** Fills `buffer` from the stream. @returns Bytes filled; fewer than asked only at the end. */
  async fill(buffer: Uint8Array): Promise<number> {
    let filled = 0;
    while (filled < buffer.byteLength) {
      const piece = this.#rest ?? (await this.#next());
      if (piece === undefined) break;
      const part = piece.subarray(0, buffer.byteLength - filled);
      buffer.set(part, filled);
      filled += part.byteLength;
      this.#rest = part.byteLength < piece.byteLength ? piece.subarray(part.byteLength) : undefined;
    }
    return filled;
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#isOver) return undefined;
    const piece = await this.#source.next();
    this.#isOver = piece === undefined;
    return piece;
  }
}

/** A chunk of a stream: every frame is kept until the chunk is stored. */
export class RetainedChunk implements ChunkBody {
  readonly #reader: FrameReader;
  readonly #buffers: FrameBuffers;
  readonly #sizeMax: number;
  readonly #kept: Buffer[] = [];
  readonly #frames: Uint8Array[] = [];
  #sizeBytes = 0;
  #isComplete = false;
  #room: Pick<ChunkRoom, "during"> | undefined;
  /** One reading at a time, also if an attempt was given up while it waited for the source. */
  #reading: Promise<void> | undefined;
  #completed: () => void = () => undefined;
  /** Resolves when the stream has given all bytes of this chunk. */
  readonly whenComplete: Promise<void>;

  constructor(reader: FrameReader, buffers: FrameBuffers, sizeMax: number) {
    this.#reader = reader;
    this.#buffers = buffers;
    this.#sizeMax = sizeMax;
    this.whenComplete = new Promise((resolve) => {
      this.#completed = resolve;
    });
  }

  /** All bytes of the chunk are here. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** From now on it is read within this room. */
  readWithin(room: Pick<ChunkRoom, "during">): void {
    this.#room = room;
  }

  async *frames(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let i = 0; ; i++) {
      const frame = await this.frame(i);
      if (frame === undefined) return;
      yield frame;
    }
  }

  /** The frame at a position, or undefined behind the last (K2, K3). */
  async frame(index: number): Promise<Uint8Array | undefined> {
    while (this.#frames.length <= index && !this.#isComplete) await this.#read();
    return this.#frames[index];
  }

  async whole(bytesMax: number): Promise<Uint8Array | undefined> {
    const first = await this.frame(0);
    return this.#isComplete && this.#sizeBytes <= bytesMax ? first : undefined;
  }

  async gather(): Promise<void> {
    while (!this.#isComplete) await this.#read();
  }

  release(): void {
    this.#frames.length = 0;
    this.#buffers.give(this.#kept.splice(0));
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readFrame().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readFrame(): Promise<void> {
    const wanted = Math.min(FRAME_BYTES, this.#sizeMax - this.#sizeBytes);
    invariant(0 < wanted, "a full chunk is complete", { size: this.#sizeBytes });
    const buffer = this.#buffers.take();
    this.#kept.push(buffer);
    const filling = this.#reader.fill(buffer.subarray(0, wanted));
    const filled = await (this.#room?.during(filling) ?? filling);
    if (0 < filled) this.#frames.push(buffer.subarray(0, filled));
    this.#sizeBytes += filled;
    this.#isComplete = filled < wanted || this.#sizeBytes === this.#sizeMax;
    if (this.#isComplete) this.#completed();
  }
}
