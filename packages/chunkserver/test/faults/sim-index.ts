// An index whose calls count among those of the machine: they fail when the machine says so, and
// the power may go before or after any of them. A write lands as a whole or not, as in LevelDB.

import type { ChunkHandle } from "@lumeofs/base";
import type { DiskFault } from "@lumeofs/testkit";
import { LumeoError } from "@lumeofs/base";
import type {
  ChunkIndex,
  IndexChanges,
  IndexSummary,
  SegmentUse,
} from "../../src/store/chunk-index.js";
import { MemoryIndex } from "../../src/store/memory-index.js";
import type { ChunkEntry } from "../../src/store/record.js";

/** Takes the number of a call and says what befalls it. */
export type IndexCall = (what: string) => DiskFault | undefined;

export class SimIndex implements ChunkIndex {
  readonly #stored: MemoryIndex;
  readonly #call: IndexCall;

  constructor(stored: MemoryIndex, call: IndexCall) {
    this.#stored = stored;
    this.#call = call;
  }

  summary(): Promise<IndexSummary | undefined> {
    return this.#run("summary", () => this.#stored.summary());
  }

  segments(): Promise<ReadonlyMap<number, SegmentUse>> {
    return this.#run("segments", () => this.#stored.segments());
  }

  get(handle: ChunkHandle): ChunkEntry | undefined {
    if (this.#call("get") !== undefined) throw failed("get");
    return this.#stored.get(handle);
  }

  page(after: number, count: number): Promise<readonly ChunkEntry[]> {
    return this.#run("page", () => this.#stored.page(after, count));
  }

  /** With the fault "short" the write lands before it fails. */
  async write(changes: IndexChanges, summary: IndexSummary): Promise<void> {
    const fault = this.#call("write");
    if (fault === undefined || fault === "short") await this.#stored.write(changes, summary);
    if (fault !== undefined) throw failed("write");
    if (this.#call("written") !== undefined) throw failed("write");
  }

  clear(): Promise<void> {
    return this.#run("clear", () => this.#stored.clear());
  }

  async close(): Promise<void> {}

  async #run<T>(what: string, work: () => Promise<T>): Promise<T> {
    if (this.#call(what) !== undefined) throw failed(what);
    return work();
  }
}

/** The same content, for another machine. */
export async function copyOfIndex(index: MemoryIndex): Promise<MemoryIndex> {
  const copy = new MemoryIndex();
  const summary = await index.summary();
  if (summary === undefined) return copy;
  const all = await index.page(0, Number.MAX_SAFE_INTEGER);
  const entries = new Map(all.map((entry) => [entry.handle, entry]));
  await copy.write({ entries, segments: await index.segments() }, summary);
  return copy;
}

function failed(what: string): LumeoError {
  return new LumeoError("STORE_FAILED", `Cannot ${what} the index: input/output error (EIO)`);
}
