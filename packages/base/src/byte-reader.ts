import { LumeoError } from "./error.js";

/** Takes bytes apart front to back, little-endian. Reading past the end throws CORRUPT. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #position = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get position(): number {
    return this.#position;
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#position;
  }

  u8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  u16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  u32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  u53(): number {
    const at = this.#advance(8);
    const high = this.#view.getUint32(at + 4, true);
    if (2 ** 21 <= high) throw new LumeoError("CORRUPT", `Cannot read number at ${at}: too large`);
    return high * 2 ** 32 + this.#view.getUint32(at, true);
  }

  /** A view, not a copy. */
  bytes(length: number): Uint8Array {
    const at = this.#advance(length);
    return this.#bytes.subarray(at, at + length);
  }

  sized(): Uint8Array {
    return this.bytes(this.u32());
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
