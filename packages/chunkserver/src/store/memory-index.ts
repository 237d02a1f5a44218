import type { ChunkHandle } from "@lumeofs/base";
import type { ChunkIndex, IndexChanges, IndexSummary, SegmentUse } from "./chunk-index.js";
import type { ChunkEntry } from "./record.js";

/** An index that is as durable as the object: for tests and for stores without LevelDB. */
export class MemoryIndex implements ChunkIndex {
  readonly #entries = new Map<ChunkHandle, ChunkEntry>();
  readonly #segments = new Map<number, SegmentUse>();
  #summary: IndexSummary | undefined;

  async summary(): Promise<IndexSummary | undefined> {
    return this.#summary;
  }

  async segments(): Promise<ReadonlyMap<number, SegmentUse>> {
    return new Map(this.#segments);
  }

  get(handle: ChunkHandle): ChunkEntry | undefined {
    return this.#entries.get(handle);
  }

  async page(after: number, count: number): Promise<readonly ChunkEntry[]> {
    const above = [...this.#entries.values()].filter((entry) => after < entry.handle);
    return above.sort((a, b) => a.handle - b.handle).slice(0, count);
  }

  async write(changes: IndexChanges, summary: IndexSummary): Promise<void> {
    for (const [handle, entry] of changes.entries) set(this.#entries, handle, entry);
    for (const [segment, use] of changes.segments) set(this.#segments, segment, use);
    this.#summary = summary;
  }

  async clear(): Promise<void> {
    this.#entries.clear();
    this.#segments.clear();
    this.#summary = undefined;
  }

  async close(): Promise<void> {}
}

function set<K, V>(map: Map<K, V>, key: K, value: V | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
