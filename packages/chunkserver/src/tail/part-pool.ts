// Memory in which growing chunks are put together as sealed ones, in parts of one size that begin
// at page borders. It is bounded and used again: fresh memory for every megabyte that is appended
// costs page faults, and its collection more than the bytes in it.

import { invariant, MiB } from "@lumeofs/base";
import { alignedMemory } from "@lumeofs/node";

/** What is checked and written at once: a multiple of the block size. */
export const PART_BYTES = 1 * MiB;
const SLAB_BYTES = 4 * MiB;
/** Of one server. Whoever finds none free goes on without, and reads from its log later. */
const PARTS_MAX = 24;

/** See the head of this file. */
export class PartPool {
  readonly #free: Uint8Array[] = [];
  readonly #slabs = new Set<ArrayBufferLike>();

  /** A part with any content, if there is one. */
  tryTake(): Uint8Array | undefined {
    if (this.#free.length === 0) this.#grow();
    return this.#free.pop();
  }

  /** A part in any case, for who cannot go on without: his number is bounded elsewhere. */
  take(): Uint8Array {
    return this.tryTake() ?? new Uint8Array(PART_BYTES);
  }

  /** Takes back what `tryTake` or `take` gave: nobody touches it any more. */
  give(part: Uint8Array): void {
    invariant(part.byteLength === PART_BYTES, "a part comes back whole");
    if (this.#slabs.has(part.buffer)) this.#free.push(part);
  }

  #grow(): void {
    if (PARTS_MAX * PART_BYTES <= this.#slabs.size * SLAB_BYTES) return;
    const slab = alignedMemory(SLAB_BYTES);
    this.#slabs.add(slab);
    for (let at = 0; at < SLAB_BYTES; at += PART_BYTES) {
      this.#free.push(new Uint8Array(slab, at, PART_BYTES));
    }
  }
}
