import { ByteMap, hashBytes, KiB, MiB } from "@lumeofs/base";

/** Entries of each half, and bytes of their values. */
const ENTRIES_MAX = 8_192;
const BYTES_MAX = 8 * MiB;
/** Larger values are not worth their memory. The largest are small files, read again and again. */
const VALUE_BYTES_MAX = 17 * KiB;

/**
 * Pairs of a database that were read lately: a look-up here costs a tenth of one there.
 *
 * New pairs go into the younger half. When that is full it becomes the older one, and what was
 * the older one is forgotten; a pair that is found there is young again. Values of both
 * together take 16 MiB at most, and one more of each half.
 */
export class ReadCache {
  #young = new ByteMap<Uint8Array | undefined>();
  #old = new ByteMap<Uint8Array | undefined>();
  /** Of values that came into the younger half. */
  #bytes = 0;

  /** @param hash  `hashBytes(key)`, of whoever asks others too. */
  get(key: Uint8Array, hash = hashBytes(key)): Uint8Array | undefined {
    const young = this.#young.get(key, hash);
    if (young !== undefined) return young;
    const old = this.#old.get(key, hash);
    if (old !== undefined) this.add(key, old);
    return old;
  }

  /** Keeps key and value, which nobody may change. */
  add(key: Uint8Array, value: Uint8Array): void {
    if (VALUE_BYTES_MAX < value.byteLength) return;
    if (ENTRIES_MAX <= this.#young.size || BYTES_MAX <= this.#bytes) {
      this.#old = this.#young;
      this.#young = new ByteMap();
      this.#bytes = 0;
    }
    this.#bytes += value.byteLength;
    this.#young.set(key, value);
  }

  /** The key's value has changed. */
  forget(key: Uint8Array): void {
    const hash = hashBytes(key);
    const young = this.#young.find(key, hash);
    const old = this.#old.find(key, hash);
    if (0 <= young) this.#young.setValueAt(young, undefined);
    if (0 <= old) this.#old.setValueAt(old, undefined);
  }

  clear(): void {
    this.#young = new ByteMap();
    this.#old = new ByteMap();
    this.#bytes = 0;
  }
}
