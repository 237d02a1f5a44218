import { LumeoError } from "./error.js";

/**
 * Takes bytes apart front to back, little-endian. Reading past the end throws CORRUPT.
 *
 * Numbers are loaded byte by byte: a DataView would cost more than all small values read with it.
 */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#position;
  }

  u8(): number {
    return this.#bytes[this.#advance(1)] as number;
  }

  u16(): number {
    const at = this.#advance(2);
    return (this.#bytes[at] as number) | ((this.#bytes[at + 1] as number) << 8);
  }

  u32(): number {
    return this.#load32(this.#advance(4));
  }

  u53(): number {
    const at = this.#advance(8);
    const high = this.#load32(at + 4);
    if (2 ** 21 <= high) throw new LumeoError("CORRUPT", `Cannot read number at ${at}: too large`);
    return high * 2 ** 32 + this.#load32(at);
  }

  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  sized(): Uint8Array {
    return this.bytes(this.u32());
  }

  #load32(at: number): number {
    const bytes = this.#bytes;
    const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    const high = ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
    return (low | high) >>> 0;
  }

  #advance(count: number): number {
    const at = this.#position;
    if (this.remaining < count) {
      throw new LumeoError(
        "CORRUPT",
        `Cannot read ${count} bytes at ${at}: ${this.remaining} are left`,
      );
    }
    this.#position += count;
    return at;
  }
}
