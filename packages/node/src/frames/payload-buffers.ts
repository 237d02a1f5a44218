// Memory for payloads, used again and again: fresh memory for every large frame costs page faults,
// and its collection costs more than the bytes in it. It begins at page borders, so that a disk may
// be written from it directly.
//
// B1. A buffer that was given back is handed out again: whoever gives it back does not touch it.
// B2. There is never more memory than was out at once, in slabs of SLAB_BYTES for each size, nor
//     more than SLABS_BYTES_MAX: a size that was in demand once would hold its memory for ever.
//     Beyond that there is memory that is collected; how much is out is bounded by the rooms of the
//     owner.

import { KiB, MiB } from "@lumeofs/base";
import { alignedMemory } from "../aligned-memory.js";
import { PAYLOAD_BYTES_MAX } from "./limits.js";

/** Smaller payloads take memory that is collected. */
const COLLECTED_BYTES_MAX = 64 * KiB;
const SLAB_BYTES = 8 * MiB;
const SLABS_BYTES_MAX = 64 * MiB;

/** Free memory in sizes that double, up to the largest payload. */
export class PayloadBuffers {
  /** By size. */
  readonly #free = new Map<number, Buffer[]>();
  /** The size of the buffers in each slab. */
  readonly #sizes = new WeakMap<ArrayBufferLike, number>();
  #slabsBytes = 0;

  constructor() {
    for (let size = 2 * COLLECTED_BYTES_MAX; size <= PAYLOAD_BYTES_MAX; size *= 2) {
      this.#free.set(size, []);
    }
  }

  /** Exactly so many bytes, with anything in them. */
  take(bytes: number): Uint8Array {
    if (COLLECTED_BYTES_MAX < bytes) {
      for (const [size, free] of this.#free) {
        if (size < bytes) continue;
        if (free.length === 0) this.#addSlab(size, free);
        const buffer = free.pop();
        if (buffer === undefined) break;
        return bytes === size ? buffer : buffer.subarray(0, bytes);
      }
    }
    return Buffer.allocUnsafeSlow(bytes);
  }

  /** Takes back what `take` gave (B1). */
  give(payload: Uint8Array): void {
    const size = this.#sizes.get(payload.buffer);
    if (size === undefined) return;
    this.#free.get(size)?.push(Buffer.from(payload.buffer, payload.byteOffset, size));
  }

  #addSlab(size: number, free: Buffer[]): void {
    if (SLABS_BYTES_MAX < this.#slabsBytes + SLAB_BYTES) return;
    this.#slabsBytes += SLAB_BYTES;
    const slab = alignedMemory(SLAB_BYTES);
    this.#sizes.set(slab, size);
    for (let at = 0; at < SLAB_BYTES; at += size) free.push(Buffer.from(slab, at, size));
  }
}
