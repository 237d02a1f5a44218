// Memory for payloads, used again and again: fresh memory for every large frame costs page faults,
// and its collection costs more than the bytes in it.
//
// B1. A buffer that was given back is handed out again: whoever gives it back does not touch it.
// B2. At most `idleBytesMax` are kept; how much is out is bounded by the rooms of the owner.

import { KiB } from "@lumeofs/base";
import { PAYLOAD_BYTES_MAX } from "./limits.js";

/** Smaller payloads take memory that is collected. */
const KEPT_BYTES_MIN = 64 * KiB;

/** Free memory in sizes that double, up to the largest payload. */
export class PayloadBuffers {
  /** By size. */
  readonly #free = new Map<number, ArrayBuffer[]>();
  #idleBytes = 0;

  constructor(readonly idleBytesMax: number) {
    for (let size = 2 * KEPT_BYTES_MIN; size <= PAYLOAD_BYTES_MAX; size *= 2) {
      this.#free.set(size, []);
    }
  }

  /** Exactly so many bytes, with anything in them. */
  take(bytes: number): Uint8Array {
    if (bytes <= KEPT_BYTES_MIN) return Buffer.allocUnsafeSlow(bytes);
    for (const [size, free] of this.#free) {
      if (size < bytes) continue;
      const kept = free.pop();
      if (kept === undefined) return Buffer.allocUnsafeSlow(size).subarray(0, bytes);
      this.#idleBytes -= size;
      return Buffer.from(kept, 0, bytes);
    }
    return Buffer.allocUnsafeSlow(bytes);
  }

  /** Takes back what `take` gave (B1). */
  give(payload: Uint8Array): void {
    const size = payload.buffer.byteLength;
    const free = this.#free.get(size);
    if (free === undefined || this.idleBytesMax < this.#idleBytes + size) return;
    free.push(payload.buffer as ArrayBuffer);
    this.#idleBytes += size;
  }
}
