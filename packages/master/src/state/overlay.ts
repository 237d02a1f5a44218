/** Bytes that a change holds in memory besides key and value, roughly. */
const CHANGE_OVERHEAD_BYTES = 64;

/** A key and what becomes of it: undefined is "removed". */
export type Change = readonly [name: string, value: Uint8Array | undefined];

/**
 * Changes that a database has not yet got, the last one of each key.
 *
 * Keys are held as strings with one character for each byte ("names"): they work in a Map, and
 * compare as the bytes do.
 */
export class Overlay {
  readonly #changes = new Map<string, Uint8Array | undefined>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  has(name: string): boolean {
    return this.#changes.has(name);
  }

  get(name: string): Uint8Array | undefined {
    return this.#changes.get(name);
  }

  set(name: string, value: Uint8Array | undefined): void {
    this.#bytes += value?.byteLength ?? 0;
    if (this.#changes.has(name)) this.#bytes -= this.#changes.get(name)?.byteLength ?? 0;
    else this.#bytes += name.length + CHANGE_OVERHEAD_BYTES;
    this.#changes.set(name, value);
  }

  /** In the order in which the keys were first changed. */
  all(): Iterable<Change> {
    return this.#changes;
  }
}

export function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

export function keyOf(name: string): Uint8Array {
  return Buffer.from(name, "latin1");
}

/** The newest change of each key with from <= key < to, in key order; later overlays win. */
export function changesWithin(
  overlays: readonly Overlay[],
  from: string,
  to: string,
): readonly Change[] {
  const merged = new Map<string, Uint8Array | undefined>();
  for (const overlay of overlays) {
    for (const [name, value] of overlay.all()) {
      if (from <= name && name < to) merged.set(name, value);
    }
  }
  return [...merged].sort(([a], [b]) => (a < b ? -1 : 1));
}
