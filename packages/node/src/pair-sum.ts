import { createHash } from "node:crypto";

/** How many pairs, how many bytes of keys and values, and the SHA-256 over all of them. */
export interface PairTotals {
  readonly records: number;
  readonly bytes: number;
  readonly sha256: Uint8Array;
}

/**
 * Sums up pairs of bytes in their order. The hash covers, for each pair: the length of the key
 * (u32, little-endian), the key, the length of the value, the value.
 */
export class PairSum {
  readonly #hash = createHash("sha256");
  readonly #length = Buffer.alloc(4);
  #records = 0;
  #bytes = 0;

  add(key: Uint8Array, value: Uint8Array): void {
    this.#part(key);
    this.#part(value);
    this.#records++;
  }

  get records(): number {
    return this.#records;
  }

  /** Called once, at the end. */
  totals(): PairTotals {
    return { records: this.#records, bytes: this.#bytes, sha256: this.#hash.digest() };
  }

  #part(bytes: Uint8Array): void {
    this.#length.writeUInt32LE(bytes.byteLength);
    this.#hash.update(this.#length).update(bytes);
    this.#bytes += bytes.byteLength;
  }
}
