// Empties old segments of the log: what lives in them is appended again, as it is, and then belongs
// to the newest segment. The old record is dead from then on, as after any other change.
//
// M1. A record is moved under the lock of its chunk, and only while it is the chunk's record: what
//     is removed or replaced meanwhile is not brought back.
// M2. The copy is durable before the catalog knows it; the catalog knows it before the old segment
//     can be free; and that happens after the index holds it, or the log behind its mark does.
// M3. A step moves and reads a bounded number of bytes.

import {
  type ChunkHandle,
  type Crc32c,
  type Disk,
  type Logger,
  recordBytes,
  SEGMENT_HEADER_BYTES,
  scanSegment,
  type Wal,
  type WalMark,
  type WalPlace,
} from "@lumeofs/base";
import type { Catalog } from "./catalog.js";
import { nextToEmpty } from "./compaction-plan.js";
import type { KeyedLock } from "./keyed-lock.js";
import { type ChunkEntry, decodeRecord } from "./record.js";

/** Reading dead records costs less than moving living ones, but is not free. */
const READ_PER_MOVED = 4;

export interface CompactorParts {
  readonly disk: Disk;
  readonly wal: Wal;
  readonly catalog: Catalog;
  readonly locks: KeyedLock<ChunkHandle>;
  readonly append: (
    body: readonly Uint8Array[],
    durable: (place: WalPlace, after: WalMark) => void,
  ) => Promise<void>;
  readonly owner: Uint8Array;
  readonly crc32c: Crc32c;
  readonly logger: Logger;
  /** Dead bytes that are not worth the work. */
  readonly deadBytesMin: number;
  /** How much a step may move (M3); 0 for nothing ever. */
  readonly stepBytes: number;
}

interface LivingRecord {
  readonly handle: ChunkHandle;
  readonly place: WalPlace;
  readonly body: Uint8Array;
}

/** See the head of this file. One step at a time. */
export class Compactor {
  readonly #parts: CompactorParts;
  /** Segments in which something lives that cannot be read: they wait until it is healed. */
  readonly #stuck = new Set<number>();
  #victim: { readonly segment: number; position: number } | undefined;
  #movedBytes = 0;

  constructor(parts: CompactorParts) {
    this.#parts = parts;
  }

  /** Since the store was opened. */
  get movedBytes(): number {
    return this.#movedBytes;
  }

  /** Moves the next records, if there is anything worth moving. */
  async step(): Promise<void> {
    if (this.#parts.stepBytes === 0) return;
    const isGone = !this.#parts.wal.sizes.has(this.#victim?.segment ?? 0);
    const victim = isGone ? this.#choose() : this.#victim;
    if (victim === undefined) return;
    this.#victim = victim;
    const { records, next } = await this.#read(victim.segment, victim.position);
    await Promise.all(records.map((record) => this.#move(record)));
    if (next !== undefined) {
      victim.position = next;
      return;
    }
    this.#victim = undefined;
    if (this.#parts.catalog.liveBytes(victim.segment) === 0) return;
    // Its records are damaged, or the segment would be empty now. A scrub names the chunks.
    this.#stuck.add(victim.segment);
    this.#parts.logger.warn("log segment cannot be emptied", { index: victim.segment });
  }

  #choose(): { readonly segment: number; position: number } | undefined {
    const { wal, catalog, deadBytesMin } = this.#parts;
    const segments = catalog
      .segmentFacts(wal.sizes)
      .filter(({ number }) => number < catalog.mark.segment);
    const segment = nextToEmpty(segments, { deadBytesMin, stuck: this.#stuck });
    return segment === undefined ? undefined : { segment, position: SEGMENT_HEADER_BYTES };
  }

  /** The next living records of a segment, and where to go on; undefined at its end. */
  async #read(
    segment: number,
    from: number,
  ): Promise<{ readonly records: readonly LivingRecord[]; readonly next: number | undefined }> {
    const { disk, wal, owner, crc32c, stepBytes } = this.#parts;
    const file = await disk.open(wal.pathOf(segment), { create: false });
    try {
      const records: LivingRecord[] = [];
      let bytes = 0;
      const options = { owner, number: segment, from, chain: undefined, isNewest: false };
      for await (const item of scanSegment(file, { ...options, durableTo: 0, crc32c })) {
        if (item.kind !== "record") continue;
        const record = this.#living(segment, item.position, item.body);
        if (record !== undefined) {
          records.push(record);
          bytes += item.bytes;
        }
        const next = item.position + item.bytes;
        if (stepBytes <= bytes || READ_PER_MOVED * stepBytes <= next - from) {
          return { records, next };
        }
      }
      return { records, next: undefined };
    } finally {
      await file.close();
    }
  }

  /** A copy of the record, if it is what its chunk is read from. */
  #living(segment: number, position: number, body: Uint8Array): LivingRecord | undefined {
    const { kind, handle } = decodeRecord(body);
    const place = { segment, position, bodyBytes: body.byteLength };
    if (kind !== "chunk" || !isAt(this.#parts.catalog.find(handle), place)) return undefined;
    return { handle, place, body: body.slice() };
  }

  /** M1 and M2. */
  #move({ handle, place, body }: LivingRecord): Promise<void> {
    const { locks, catalog, append } = this.#parts;
    return locks.run(handle, async () => {
      const known = catalog.find(handle);
      if (known === undefined || !isAt(known, place)) return;
      await append([body], (to, after) => {
        const previous = catalog.latest(known); // it may have been found damaged meanwhile
        catalog.apply({ kind: "put", entry: { ...previous, place: to }, previous }, after);
      });
      this.#movedBytes += recordBytes(body.byteLength);
    });
  }
}

function isAt(entry: ChunkEntry | undefined, { segment, position }: WalPlace): boolean {
  return entry?.place.segment === segment && entry.place.position === position;
}
