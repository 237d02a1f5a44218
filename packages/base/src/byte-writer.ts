import type { ByteSlab } from "./byte-slab.js";
import { invariant } from "./invariant.js";
import { writeUtf8 } from "./utf8.js";

/** UTF-8 has at most so many bytes for one unit of UTF-16. */
const BYTES_PER_UNIT = 3;
/** Up to this length a loop is faster than a copy by the engine. */
const LOOP_BYTES_MAX = 96;

/**
 * Builds bytes front to back, little-endian. Grows by doubling; `finish` gives a view of them.
 *
 * Numbers are stored byte by byte: a DataView would cost more than all small values written with
 * it.
 */
export class ByteWriter {
  #bytes: Uint8Array;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  get length(): number {
    return this.#length;
  }

  u8(value: number): this {
    const at = this.#reserve(1);
    this.#bytes[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#reserve(2);
    this.#bytes[at] = value;
    this.#bytes[at + 1] = value >>> 8;
    return this;
  }

  u32(value: number): this {
    this.#store32(this.#reserve(4), value);
    return this;
  }

  /** A safe integer from 0 in eight bytes. */
  u53(value: number): this {
    invariant(Number.isSafeInteger(value) && 0 <= value, "not a safe integer");
    const at = this.#reserve(8);
    this.#store32(at, value);
    this.#store32(at + 4, Math.floor(value / 2 ** 32));
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#reserve(value.byteLength);
    this.#bytes.set(value, at);
    return this;
  }

  /** A short part of other bytes: no view of it has to be made. */
  part(value: Uint8Array, from: number, to: number): this {
    let at = this.#reserve(to - from);
    const bytes = this.#bytes;
    for (let i = from; i < to; i++) bytes[at++] = value[i] as number;
    return this;
  }

  /** Text as UTF-8, without its length. */
  utf8(value: string): this {
    const at = this.#reserve(BYTES_PER_UNIT * value.length);
    this.#length = at + writeUtf8(value, this.#bytes, at);
    return this;
  }

  /** Length in four bytes, then the bytes. */
  sized(value: Uint8Array): this {
    return this.u32(value.byteLength).bytes(value);
  }

  /** Length in four bytes, then the text as UTF-8. */
  text(value: string): this {
    const at = this.#reserve(4 + BYTES_PER_UNIT * value.length);
    const length = writeUtf8(value, this.#bytes, at + 4);
    this.#store32(at, length);
    this.#length = at + 4 + length;
    return this;
  }

  /** A copy of what has been written. */
  copyTo(slab: ByteSlab): Uint8Array {
    const copy = slab.take(this.#length);
    const bytes = this.#bytes;
    const length = this.#length;
    if (length <= LOOP_BYTES_MAX) for (let i = 0; i < length; i++) copy[i] = bytes[i] as number;
    else copy.set(bytes.subarray(0, length));
    return copy;
  }

  /** What has been written; valid until the writer is used again. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Begins anew in the same memory: what `finish` gave before is overwritten. */
  clear(): this {
    this.#length = 0;
    return this;
  }

  #store32(at: number, value: number): void {
    const bytes = this.#bytes;
    bytes[at] = value; // stores the lowest eight bits
    bytes[at + 1] = value >>> 8;
    bytes[at + 2] = value >>> 16;
    bytes[at + 3] = value >>> 24;
  }

  #reserve(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#bytes.byteLength < this.#length) {
      const grown = new Uint8Array(Math.max(2 * this.#bytes.byteLength, this.#length));
      grown.set(this.#bytes);
      this.#bytes = grown;
    }
    return at;
  }
}
