import { setImmediate } from "node:timers/promises";
import { ByteMap, compareBytes, hashBytes } from "@lumeofs/base";

/** Bytes that a change holds in memory besides key and value, roughly. */
const CHANGE_OVERHEAD_BYTES = 64;

/** So many are sorted or merged in one turn: some milliseconds. */
const SLICE_CHANGES = 4_096;

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
  return unsortedWithin(overlays, from, to).sort(inKeyOrder);
}

/** The same in any order. */
export function unsortedWithin(
  overlays: readonly Overlay[],
  from: Uint8Array,
  to: Uint8Array,
): Change[] {
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
  return found;
}

/** Sorts many changes by their keys without keeping everybody waiting meanwhile. */
export async function sortedInSlices(changes: readonly Change[]): Promise<readonly Change[]> {
  let runs: (readonly Change[])[] = [];
  for (let at = 0; at < changes.length; at += SLICE_CHANGES) {
    if (0 < at) await setImmediate();
    runs.push(changes.slice(at, at + SLICE_CHANGES).sort(inKeyOrder));
  }
  while (1 < runs.length) {
    const merged: (readonly Change[])[] = [];
    for (let i = 0; i < runs.length; i += 2) {
      const [one, other] = [runs[i] as readonly Change[], runs[i + 1]];
      merged.push(other === undefined ? one : await mergedInSlices(one, other));
    }
    runs = merged;
  }
  return runs[0] ?? [];
}

async function mergedInSlices(
  one: readonly Change[],
  other: readonly Change[],
): Promise<readonly Change[]> {
  const merged: Change[] = [];
  let [i, k] = [0, 0];
  while (i < one.length || k < other.length) {
    if (merged.length % SLICE_CHANGES === 0) await setImmediate();
    const [left, right] = [one[i], other[k]];
    if (right === undefined || (left !== undefined && inKeyOrder(left, right) < 0)) {
      merged.push(left as Change);
      i += 1;
    } else {
      merged.push(right);
      k += 1;
    }
  }
  return merged;
}

function inKeyOrder([a]: Change, [b]: Change): number {
  return compareBytes(a, b);
}
