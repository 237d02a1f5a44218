// The index: handle → entry, as of a mark of the log. It is a copy: lost, it is built again.

import type { ChunkHandle, Closable, WalMark } from "@lumeofs/base";
import type { ChunkEntry } from "./record.js";

/** What of a log segment is still needed. */
export interface SegmentUse {
  /** Records of chunks that are here. */
  readonly live: number;
  /** What they take in the segment. */
  readonly liveBytes: number;
  /** Older segments that hold records which only tombstones in this one keep dead. */
  readonly buries: readonly number[];
}

export interface IndexSummary {
  /** The index holds everything before it. */
  readonly mark: WalMark;
  readonly chunkCount: number;
  /** Of chunk files. */
  readonly fileBytes: number;
  /** Of all entries: what is read back must have the same (see `entryDigest`). */
  readonly digest: number;
}

/** Undefined stands for "remove". */
export interface IndexChanges {
  readonly entries: ReadonlyMap<ChunkHandle, ChunkEntry | undefined>;
  readonly segments: ReadonlyMap<number, SegmentUse | undefined>;
}

/** Port. Any rejection ends the store's use of it. */
export interface ChunkIndex extends Closable {
  /**
   * What it stands for; undefined if it is new.
   *
   * @throws LumeoError CORRUPT if it has to be built again.
   */
  summary(): Promise<IndexSummary | undefined>;
  segments(): Promise<ReadonlyMap<number, SegmentUse>>;
  /** @throws LumeoError CORRUPT if the entry is not as it was written. */
  get(handle: ChunkHandle): ChunkEntry | undefined;
  /** Up to `count` entries with handles above `after`, rising. */
  page(after: number, count: number): Promise<readonly ChunkEntry[]>;
  /** All of it or nothing, durable when it resolves. */
  write(changes: IndexChanges, summary: IndexSummary): Promise<void>;
  /** Empties it, so that it is built again from the log. */
  clear(): Promise<void>;
}
