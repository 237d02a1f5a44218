// The index of a chunk store on a simulated machine: a write lands at one moment, or not.

import type { ChunkHandle } from "@lumeofs/base";
import type {
  ChunkEntry,
  ChunkIndex,
  IndexChanges,
  IndexSummary,
  SegmentUse,
} from "@lumeofs/chunkserver";
import type { LandWrite } from "./sim-database.js";

/** What survives a crash. */
export interface IndexContents {
  entries: ReadonlyMap<ChunkHandle, ChunkEntry>;
  segments: ReadonlyMap<number, SegmentUse>;
  summary: IndexSummary | undefined;
}

export function emptyIndex(): IndexContents {
  return { entries: new Map(), segments: new Map(), summary: undefined };
}

export class SimIndex implements ChunkIndex {
  readonly #contents: IndexContents;
  readonly #landWrite: LandWrite;

  constructor(contents: IndexContents, landWrite: LandWrite) {
    this.#contents = contents;
    this.#landWrite = landWrite;
  }

  async summary(): Promise<IndexSummary | undefined> {
    return this.#contents.summary;
  }

  async segments(): Promise<ReadonlyMap<number, SegmentUse>> {
    return this.#contents.segments;
  }

  get(handle: ChunkHandle): ChunkEntry | undefined {
    return this.#contents.entries.get(handle);
  }

  async page(after: number, count: number): Promise<readonly ChunkEntry[]> {
    const above = [...this.#contents.entries.values()].filter(({ handle }) => after < handle);
    return above.sort((a, b) => a.handle - b.handle).slice(0, count);
  }

  write(changes: IndexChanges, summary: IndexSummary): Promise<void> {
    const { entries, segments } = changes;
    const changed = { entries: new Map(entries), segments: new Map(segments) };
    return this.#landWrite(() => {
      this.#contents.entries = applied(this.#contents.entries, changed.entries);
      this.#contents.segments = applied(this.#contents.segments, changed.segments);
      this.#contents.summary = summary;
    });
  }

  clear(): Promise<void> {
    return this.#landWrite(() => Object.assign(this.#contents, emptyIndex()));
  }

  async close(): Promise<void> {}
}

function applied<K, V>(
  from: ReadonlyMap<K, V>,
  changes: ReadonlyMap<K, V | undefined>,
): ReadonlyMap<K, V> {
  const to = new Map(from);
  for (const [key, value] of changes) {
    if (value === undefined) to.delete(key);
    else to.set(key, value);
  }
  return to;
}
