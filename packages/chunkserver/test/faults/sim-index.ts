// An index whose calls count among those of the machine: they fail when the machine says so, and
// the power may go before or after any of them. A write lands as a whole or not, as in LevelDB.

import { type ChunkHandle, LumeoError } from "@lumeofs/base";
import type { DiskFault } from "@lumeofs/testkit";
import type {
  ChunkIndex,
  IndexChanges,
  IndexSummary,
  SegmentUse,
} from "../../src/store/chunk-index.js";
import type { ChunkEntry } from "../../src/store/record.js";

/** What is durable of an index. Never changed: a write makes another. */
export interface IndexContents {
  readonly entries: ReadonlyMap<ChunkHandle, ChunkEntry>;
  readonly segments: ReadonlyMap<number, SegmentUse>;
  readonly summary: IndexSummary | undefined;
}

export const EMPTY_INDEX: IndexContents = {
  entries: new Map(),
  segments: new Map(),
  summary: undefined,
};

/** What the machine gives the index. */
export interface IndexMachine {
  contents: IndexContents;
  /** Takes the number of a call and says what befalls it. */
  call(what: string): DiskFault | undefined;
}

export class SimIndex implements ChunkIndex {
  readonly #machine: IndexMachine;

  constructor(machine: IndexMachine) {
    this.#machine = machine;
  }

  async summary(): Promise<IndexSummary | undefined> {
    this.#call("summary");
    return this.#machine.contents.summary;
  }

  async segments(): Promise<ReadonlyMap<number, SegmentUse>> {
    this.#call("segments");
    return this.#machine.contents.segments;
  }

  get(handle: ChunkHandle): ChunkEntry | undefined {
    this.#call("get");
    return this.#machine.contents.entries.get(handle);
  }

  async page(after: number, count: number): Promise<readonly ChunkEntry[]> {
    this.#call("page");
    const above = [...this.#machine.contents.entries.values()].filter((e) => after < e.handle);
    return above.sort((a, b) => a.handle - b.handle).slice(0, count);
  }

  /** With the fault "short" the write lands before it fails. */
  async write(changes: IndexChanges, summary: IndexSummary): Promise<void> {
    const machine = this.#machine;
    const fault = machine.call("write");
    await Promise.resolve();
    if (fault === undefined || fault === "short") {
      const entries = changed(machine.contents.entries, changes.entries);
      const segments = changed(machine.contents.segments, changes.segments);
      machine.contents = { entries, segments, summary };
    }
    if (fault !== undefined) throw failed("write");
    this.#call("written");
  }

  async clear(): Promise<void> {
    this.#call("clear");
    this.#machine.contents = EMPTY_INDEX;
  }

  async close(): Promise<void> {}

  #call(what: string): void {
    if (this.#machine.call(what) !== undefined) throw failed(what);
  }
}

function changed<K, V>(
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

function failed(what: string): LumeoError {
  return new LumeoError("STORE_FAILED", `Cannot ${what} the index: input/output error (EIO)`);
}
