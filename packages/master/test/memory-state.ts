// A state in memory for tests of the metadata: ordered, and it counts what is read.

import type { State, StateReader } from "../src/metadata/state.js";

type Pair = readonly [Uint8Array, Uint8Array];

export class MemoryState implements State, StateReader {
  readonly #pairs = new Map<string, Pair>();
  #order: string[] | undefined;
  /** Keys looked up and pairs returned so far. */
  reads = 0;
  writes = 0;

  get size(): number {
    return this.#pairs.size;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.reads++;
    return this.#pairs.get(text(key))?.[1];
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.writes++;
    if (!this.#pairs.has(text(key))) this.#order = undefined;
    this.#pairs.set(text(key), [key.slice(), value.slice()]);
  }

  delete(key: Uint8Array): void {
    this.writes++;
    if (this.#pairs.delete(text(key))) this.#order = undefined;
  }

  range(from: Uint8Array, to: Uint8Array, countMax: number): Promise<readonly Pair[]> {
    this.#order ??= [...this.#pairs.keys()].sort();
    const end = text(to);
    const page: Pair[] = [];
    for (let i = lowerBound(this.#order, text(from)); i < this.#order.length; i++) {
      const name = this.#order[i] as string;
      if (end <= name || page.length === countMax) break;
      page.push(this.#pairs.get(name) as Pair);
    }
    this.reads += page.length;
    return Promise.resolve(page);
  }

  /** Everything, in key order, as text: equal exactly for equal states. */
  dump(): string {
    const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
    const all = [...this.#pairs.values()].map(([key, value]) => `${hex(key)}=${hex(value)}`);
    return all.sort().join("\n");
  }
}

function text(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

function lowerBound(sorted: readonly string[], wanted: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as string) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
