// What is in the store now: the index, and in memory what the index does not hold yet.
//
// C1. `apply` is called in the order of the log, when the record is durable; so the catalog never
//     knows a chunk that a crash could take away.
// C2. The index is written behind, in groups, with the mark of the log that the group reaches.
// C3. A segment is free when no chunk here has its record in it, and no tombstone in it is needed
//     to keep an older record dead.

import {
  assertNever,
  type ChunkHandle,
  invariant,
  recordBytes,
  SEGMENT_HEADER_BYTES,
  type WalMark,
  type WalPlace,
} from "@lumeofs/base";
import { assertOneHistory } from "../mutation/version.js";
import type { ChunkIndex, IndexSummary, SegmentUse } from "./chunk-index.js";
import type { SegmentFacts } from "./compaction-plan.js";
import { type ChunkEntry, entryDigest } from "./record.js";

export type CatalogChange =
  /** A chunk was recorded; `previous` is what the catalog had for its handle. */
  | {
      readonly kind: "put";
      readonly entry: ChunkEntry;
      readonly previous: ChunkEntry | undefined;
    }
  /** A tombstone was recorded at `place`. */
  | { readonly kind: "remove"; readonly previous: ChunkEntry; readonly place: WalPlace };

const UNUSED: SegmentUse = { live: 0, liveBytes: 0, buries: [] };
const START: WalMark = { segment: 0, position: 0, chain: 0 };

type Entries = Map<ChunkHandle, ChunkEntry | undefined>;

/** See the head of this file. */
export class Catalog {
  readonly #index: ChunkIndex;
  readonly #segments: Map<number, SegmentUse>;
  #changedSegments = new Set<number>();
  /** Newer than the index; undefined stands for "removed". */
  #pending: Entries = new Map();
  /** On their way into the index. */
  #flushing: Entries = new Map();
  #mark: WalMark;
  #flushedMark: WalMark;
  #chunkCount: number;
  #fileBytes: number;
  #digest: number;

  private constructor(
    index: ChunkIndex,
    summary: IndexSummary | undefined,
    segments: ReadonlyMap<number, SegmentUse>,
  ) {
    this.#index = index;
    this.#segments = new Map(segments);
    this.#mark = summary?.mark ?? START;
    this.#flushedMark = this.#mark;
    this.#chunkCount = summary?.chunkCount ?? 0;
    this.#fileBytes = summary?.fileBytes ?? 0;
    this.#digest = summary?.digest ?? 0;
  }

  static async open(index: ChunkIndex): Promise<Catalog> {
    return new Catalog(index, await index.summary(), await index.segments());
  }

  get mark(): WalMark {
    return this.#mark;
  }

  get chunkCount(): number {
    return this.#chunkCount;
  }

  /** Of chunk files. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** Of all entries: that of an index which has lost or mixed up some is another. */
  get digest(): number {
    return this.#digest;
  }

  /** The index holds everything before it. */
  get flushedMark(): WalMark {
    return this.#flushedMark;
  }

  /** Changes that the index does not hold yet. */
  get pendingCount(): number {
    return this.#pending.size;
  }

  find(handle: ChunkHandle): ChunkEntry | undefined {
    for (const entries of [this.#pending, this.#flushing]) {
      if (entries.has(handle)) return entries.get(handle);
    }
    return this.#index.get(handle);
  }

  /** What `find` would say without asking the index, where it is `known`; never throws. */
  latest(known: ChunkEntry): ChunkEntry {
    const { handle } = known;
    return this.#pending.get(handle) ?? this.#flushing.get(handle) ?? known;
  }

  /** Takes a durable record into account; `after` is the border of the log behind it (C1). */
  apply(change: CatalogChange, after: WalMark): void {
    this.#mark = after;
    switch (change.kind) {
      case "put": {
        const { entry, previous } = change;
        if (previous !== undefined) {
          invariant(previous.handle === entry.handle, "change of another chunk");
          assertOneHistory(previous.version, entry.version);
        }
        this.#forget(previous, entry.place.segment);
        this.#chunkCount++;
        this.#fileBytes += fileBytes(entry);
        this.#digest = (this.#digest ^ entryDigest(entry)) >>> 0;
        this.#use(entry.place.segment, (use) => {
          return { ...use, live: use.live + 1, liveBytes: use.liveBytes + bytesInLog(entry) };
        });
        this.#pending.set(entry.handle, entry);
        return;
      }
      case "remove":
        this.#forget(change.previous, change.place.segment);
        this.#pending.set(change.previous.handle, undefined);
        return;
      default:
        assertNever(change);
    }
  }

  /** The log was read up to here and there was nothing for the catalog. */
  advance(after: WalMark): void {
    this.#mark = after;
  }

  /** Remembers that a chunk is not what was written. */
  setDamaged(entry: ChunkEntry): void {
    this.#pending.set(entry.handle, { ...entry, isDamaged: true });
  }

  /** Writes everything so far into the index (C2). One call at a time. */
  async flush(): Promise<void> {
    invariant(this.#flushing.size === 0, "two flushes of the index at once");
    if (this.#pending.size === 0 && this.#changedSegments.size === 0) return;
    const entries = this.#pending;
    const changed = this.#changedSegments;
    this.#flushing = entries;
    this.#pending = new Map();
    this.#changedSegments = new Set();
    const segments = new Map([...changed].map((number) => [number, this.#segments.get(number)]));
    const summary = {
      mark: this.#mark,
      chunkCount: this.#chunkCount,
      fileBytes: this.#fileBytes,
      digest: this.#digest,
    };
    await this.#index.write({ entries, segments }, summary);
    this.#flushing = new Map();
    this.#flushedMark = summary.mark;
  }

  /** Up to `count` entries with handles above `after`, rising; fewer only if there are no more. */
  async page(after: number, count: number): Promise<readonly ChunkEntry[]> {
    const page: ChunkEntry[] = [];
    for (let from = after; from < Infinity && page.length < count; ) {
      const { entries, upto } = await this.#piece(from, count);
      page.push(...entries.slice(0, count - page.length));
      from = upto;
    }
    return page;
  }

  /** As `page`, but perhaps fewer. @returns With the handle up to which these are all there are. */
  async #piece(
    after: number,
    count: number,
  ): Promise<{ readonly entries: readonly ChunkEntry[]; readonly upto: number }> {
    // A flush may end before the index answers with a page from before it.
    const before = [this.#flushing, this.#pending];
    const stored = await this.#index.page(after, count);
    // Beyond the last stored entry of a full page there may be others: they come with the next.
    const upto = stored.length < count ? Infinity : (stored.at(-1)?.handle ?? Infinity);
    const found = new Map<ChunkHandle, ChunkEntry>(stored.map((entry) => [entry.handle, entry]));
    for (const entries of [...before, this.#flushing, this.#pending]) {
      for (const [handle, entry] of entries) {
        if (handle <= after || upto < handle) continue;
        if (entry === undefined) found.delete(handle);
        else found.set(handle, entry);
      }
    }
    const entries = [...found.values()].sort((a, b) => a.handle - b.handle).slice(0, count);
    return { entries, upto };
  }

  /** Every entry, page by page. */
  async *entries(): AsyncGenerator<ChunkEntry, void, void> {
    const size = 1_000;
    let after = 0;
    for (;;) {
      const page = await this.page(after, size);
      yield* page;
      const last = page.at(-1);
      if (last === undefined || page.length < size) return;
      after = last.handle;
    }
  }

  /** Which of the segments before the index's mark are free (C3). */
  freeSegments(existing: readonly number[]): readonly number[] {
    const all = new Set(existing);
    return existing.filter((number) => {
      if (this.#flushedMark.segment <= number) return false;
      const use = this.#segments.get(number) ?? UNUSED;
      return use.live === 0 && use.buries.every((buried) => !all.has(buried));
    });
  }

  /** Of records that chunks are read from. */
  liveBytes(segment: number): number {
    return this.#segments.get(segment)?.liveBytes ?? 0;
  }

  /** What is known of these segments. @param sizes  Bytes of each, with its header. */
  segmentFacts(sizes: ReadonlyMap<number, number>): readonly SegmentFacts[] {
    return [...sizes].map(([number, size]) => {
      const { liveBytes, buries } = this.#segments.get(number) ?? UNUSED;
      return { number, bytes: Math.max(0, size - SEGMENT_HEADER_BYTES), liveBytes, buries };
    });
  }

  /** A segment was removed. */
  forgetSegment(number: number): void {
    this.#segments.delete(number);
    this.#changedSegments.add(number);
  }

  /** An entry goes; the record that ends it stands in `segment`. */
  #forget(entry: ChunkEntry | undefined, segment: number): void {
    if (entry === undefined) return;
    this.#chunkCount--;
    this.#fileBytes -= fileBytes(entry);
    this.#digest = (this.#digest ^ entryDigest(entry)) >>> 0;
    const buried = entry.place.segment;
    this.#use(buried, (use) => {
      return { ...use, live: use.live - 1, liveBytes: use.liveBytes - bytesInLog(entry) };
    });
    if (buried === segment) return;
    this.#use(segment, (use) => {
      return use.buries.includes(buried) ? use : { ...use, buries: [...use.buries, buried] };
    });
  }

  #use(segment: number, change: (use: SegmentUse) => SegmentUse): void {
    const next = change(this.#segments.get(segment) ?? UNUSED);
    invariant(0 <= next.live, "segment with less than no chunks", { segment });
    this.#segments.set(segment, next);
    this.#changedSegments.add(segment);
  }
}

function fileBytes(entry: ChunkEntry): number {
  return entry.home.kind === "file" ? entry.length : 0;
}

function bytesInLog(entry: ChunkEntry): number {
  return recordBytes(entry.place.bodyBytes);
}
