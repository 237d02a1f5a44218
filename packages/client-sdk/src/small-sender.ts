// Small chunks on their way to their replicas, as many as there are in one frame: what a frame
// costs, at seven processes, is mostly the same for one chunk and for sixteen (docs/design/0010).
//
// M1. A chunk never waits for company: while fewer than FRAMES_OUT_MAX frames are out, what has
//     been asked for leaves at the end of the turn of the event loop. While so many are out, chunks
//     gather for the next one.
// M2. Handles are taken when a frame leaves: what waits here has none that could end, or lead to a
//     server that has failed meanwhile.
// M3. A frame that fails makes all its chunks fail, each for its own caller, whose next attempt
//     takes another handle. What a replica may have stored of them is garbage; so is a chunk that
//     is stored when nobody wants it any more. Their handles are abandoned.

import { KiB, MiB } from "@lumeofs/base";
import type { AbandonedChunks } from "./abandoned-chunks.js";
import type { Allocations } from "./allocations.js";
import type { Call } from "./call.js";
import type { Allocation, HandleRow } from "./grant-book.js";
import type { ChunkserverPool, WrittenChunk } from "./rpc/chunkserver-pool.js";

/** Larger chunks go alone, through the primary. A checksum block. */
export const JOINT_CHUNK_BYTES_MAX = 64 * KiB;
/** Chunks in a frame; frames of different grants go to different servers. */
const CHUNKS_PER_FRAME = 16;
const FRAME_BYTES_MAX = 1 * MiB;
/** Frames without an answer, of chunks with as many replicas each. */
const FRAMES_OUT_MAX = 4;

/** A chunk that every replica has, and under which handle. */
export interface SmallWritten {
  readonly target: Allocation;
  readonly written: WrittenChunk;
}

interface Waiting {
  readonly call: Call;
  readonly bytes: Uint8Array;
  readonly timeoutMs: number;
  readonly resolve: (written: SmallWritten) => void;
  readonly reject: (reason: unknown) => void;
}

/** Chunks with the same number of replicas. */
interface Queue {
  readonly replicas: number;
  readonly waiting: Waiting[];
  framesOut: number;
  isPumping: boolean;
}

export interface SmallSenderParts {
  readonly chunkservers: Pick<ChunkserverPool, "writeTogether">;
  readonly allocations: Pick<Allocations, "takeRow">;
  readonly abandoned: Pick<AbandonedChunks, "add" | "follow">;
  /** What a failed write says to its callers; told once for each frame. */
  readonly blame: (thrown: unknown, target: Allocation) => unknown;
}

export class SmallSender {
  readonly #parts: SmallSenderParts;
  /** By number of replicas. */
  readonly #queues = new Map<number, Queue>();

  constructor(parts: SmallSenderParts) {
    this.#parts = parts;
  }

  /**
   * Stores a chunk of 1 to JOINT_CHUNK_BYTES_MAX bytes, which must not change meanwhile.
   *
   * @param wish.timeoutMs  For the answers of all replicas.
   * @throws LumeoError as the replicas or the masters refused; the call's reason.
   */
  send(
    call: Call,
    bytes: Uint8Array,
    { replicas, timeoutMs }: { readonly replicas: number; readonly timeoutMs: number },
  ): Promise<SmallWritten> {
    const stored = new Promise<SmallWritten>((resolve, reject) => {
      const queue = this.#queue(replicas);
      queue.waiting.push({ call, bytes, timeoutMs, resolve, reject });
      this.#pumpSoon(queue);
    });
    return call.unlessAborted(stored).catch((error: unknown) => {
      this.#parts.abandoned.follow([stored]); // its frame may be on its way
      throw error;
    });
  }

  #queue(replicas: number): Queue {
    const known = this.#queues.get(replicas);
    if (known !== undefined) return known;
    const queue: Queue = { replicas, waiting: [], framesOut: 0, isPumping: false };
    this.#queues.set(replicas, queue);
    return queue;
  }

  #pumpSoon(queue: Queue): void {
    if (queue.isPumping || FRAMES_OUT_MAX <= queue.framesOut) return;
    queue.isPumping = true;
    process.nextTick(() => void this.#pump(queue)); // behind all that this turn asks for (M1)
  }

  async #pump(queue: Queue): Promise<void> {
    try {
      while (queue.framesOut < FRAMES_OUT_MAX) {
        const first = this.#next(queue);
        if (first === undefined) return;
        await this.#sendFrame(queue, first);
      }
    } finally {
      queue.isPumping = false;
    }
  }

  /** The first that is still wanted; it stays in the queue. */
  #next({ waiting }: Queue): Waiting | undefined {
    while (waiting[0]?.call.cancellation.aborted === true) drop(waiting.shift() as Waiting);
    return waiting[0];
  }

  /** Resolves when the frame is on its way, or cannot be. */
  async #sendFrame(queue: Queue, first: Waiting): Promise<void> {
    const { waiting, replicas } = queue;
    let row: HandleRow;
    try {
      const wanted = Math.min(waiting.length, CHUNKS_PER_FRAME);
      const wish = { servers: replicas, areUnits: false, isOptional: false };
      row = await this.#parts.allocations.takeRow(first.call, wish, wanted);
    } catch (error) {
      // Its call decides what follows; the next one in the queue asks for itself.
      const at = waiting.indexOf(first);
      if (0 <= at) waiting.splice(at, 1);
      return first.reject(error);
    }
    const frame = takeFrame(waiting, row.count);
    if (frame.length === 0) return;
    queue.framesOut++;
    void this.#write(frame, row).finally(() => {
      queue.framesOut--;
      this.#pumpSoon(queue);
    });
  }

  /** Never rejects: the callers are told. */
  async #write(frame: readonly Waiting[], row: HandleRow): Promise<void> {
    const { abandoned } = this.#parts;
    try {
      const timeoutMs = Math.max(...frame.map((one) => one.timeoutMs));
      const chunks = frame.map(({ bytes }) => bytes);
      const sums = await this.#parts.chunkservers.writeTogether(row, chunks, timeoutMs);
      for (const [i, { call, bytes, resolve }] of frame.entries()) {
        const target = { ...row, handle: row.handle + i };
        if (call.cancellation.aborted) abandoned.add([target.handle]);
        resolve({ target, written: { lengthBytes: bytes.byteLength, crc32c: sums[i] as number } });
      }
    } catch (thrown) {
      abandoned.add(frame.map((_, i) => row.handle + i));
      const reason = this.#parts.blame(thrown, row);
      for (const { reject } of frame) reject(reason);
    }
  }
}

/** It has been told, and is not sent. */
function drop({ call, reject }: Waiting): void {
  reject(call.cancellation.reason);
}

/** Takes what fits one frame out of the queue; what nobody wants any more is left out. */
function takeFrame(waiting: Waiting[], countMax: number): readonly Waiting[] {
  const frame: Waiting[] = [];
  let bytes = 0;
  let taken = 0;
  for (const one of waiting) {
    const isWanted = !one.call.cancellation.aborted;
    if (isWanted && (frame.length === countMax || FRAME_BYTES_MAX < bytes + one.bytes.byteLength)) {
      break;
    }
    taken++;
    if (!isWanted) {
      drop(one);
      continue;
    }
    frame.push(one);
    bytes += one.bytes.byteLength;
  }
  waiting.splice(0, taken);
  return frame;
}
