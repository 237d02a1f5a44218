import { ByteMap, compareBytes, hashBytes } from "@lumeofs/base";

/** Bytes that a change holds in memory besides key and value, roughly. */
const CHANGE_OVERHEAD_BYTES = 64;

/** A key and what becomes of it: undefined is "removed". */
export type Change = readonly [key: Uint8Array, value: Uint8Array | undefined];

/** Changes that a database has not yet got, the last one of each key, in the order of the first. */
export class Overlay {
  readonly #changes = new ByteMap<Uint8Array | undefined>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** How many keys are changed. */
  get size(): number {
    return this.#changes.size;
  }

  /** Number of the change of a key, below `size`; -1 if it has none. */
  find(key: Uint8Array, hash?: number): number {
    return this.#changes.find(key, hash);
  }

  keyAt(change: number): Uint8Array {
    return this.#changes.keyAt(change);
  }

  valueAt(change: number): Uint8Array | undefined {
    return this.#changes.valueAt(change);
  }

  /** Keeps key and value. */
  set(key: Uint8Array, value: Uint8Array | undefined): void {
    const hash = hashBytes(key);
    const known = this.#changes.find(key, hash);
    this.#bytes += value?.byteLength ?? 0;
    if (0 <= known) {
      this.#bytes -= this.#changes.valueAt(known)?.byteLength ?? 0;
      this.#changes.setValueAt(known, value);
    } else {
      this.#bytes += key.byteLength + CHANGE_OVERHEAD_BYTES;
      this.#changes.add(key, value, hash);
    }
  }
}

/** The newest change of each key with from <= key < to, in key order; later overlays win. */
export function changesWithin(
  overlays: readonly Overlay[],
  from: Uint8Array,
  to: Uint8Array,
): readonly Change[] {
  const found: Change[] = [];
  for (const [age, overlay] of overlays.entries()) {
    const later = overlays.slice(age + 1);
    for (let i = 0; i < overlay.size; i++) {
      const key = overlay.keyAt(i);
      if (compareBytes(key, from) < 0 || 0 <= compareBytes(key, to)) continue;
      if (later.some((newer) => 0 <= newer.find(key))) continue;
      found.push([key, overlay.valueAt(i)]);
    }
  }
  return found.sort(([a], [b]) => compareBytes(a, b));
}
