// Reads a segment from a position to its end, and tells a torn tail from damage.
//
// A write that a crash has torn was never acknowledged and is dropped without a word. Everything
// else that cannot be read was acknowledged once: it is reported and never served.
//
// T1. Damage at p is a torn tail only if nothing proves that p was durable: the segment is the
//     newest, p is not below the caller's mark, and no intact record behind p was written after a
//     sync that covered p (its `durableTo` is not above p).
// T2. From a torn tail on, nothing is given out: intact records behind it belong to the same
//     unacknowledged batch.

import type { Crc32c } from "../crc32c.js";
import type { File } from "../disk.js";
import {
  RECORD_ALIGNMENT,
  RECORD_PREFIX_BYTES,
  type RecordPrefix,
  readRecordPrefix,
  recordBytes,
  recordIsIntact,
  SCAN_WINDOW_BYTES,
  type SegmentIdentity,
  segmentSeed,
} from "./record.js";

export type ScanItem =
  | {
      readonly kind: "record";
      readonly position: number;
      /** Bytes with prefix and padding. */
      readonly bytes: number;
      readonly crc: number;
      /** Valid until the next item is asked for. */
      readonly body: Uint8Array;
    }
  /** Nothing in [position, end) can be read; with position = end, a record is missing there. */
  | { readonly kind: "damage"; readonly position: number; readonly end: number }
  /** The last item. What lies behind `position` is a torn tail. */
  | { readonly kind: "end"; readonly position: number; readonly torn: boolean };

export interface ScanOptions extends SegmentIdentity {
  /** Where to begin: a record's start. */
  readonly from: number;
  /** The CRC of the record before `from`; undefined if it is not known. */
  readonly chain: number | undefined;
  /** Whether a torn tail may be here (T1). */
  readonly isNewest: boolean;
  /** Everything before this position is known to have been durable. */
  readonly durableTo: number;
  readonly crc32c: Crc32c;
}

/** The records of a segment in order, with what is wrong between them. */
export async function* scanSegment(
  file: File,
  options: ScanOptions,
): AsyncGenerator<ScanItem, void, void> {
  const scan = new Scan(file, await file.size(), options);
  let position = options.from;
  let chain = options.chain;
  for (;;) {
    const found = await scan.recordAt(position);
    if (found === undefined) {
      if (scan.size <= position) {
        const end = options.durableTo;
        if (scan.size < end) yield { kind: "damage", position: scan.size, end };
        return yield { kind: "end", position: scan.size, torn: false };
      }
      const next = await scan.nextAfter(position);
      if (next === "torn") return yield { kind: "end", position, torn: true };
      yield { kind: "damage", position, end: next };
      position = next;
      chain = undefined;
      continue;
    }
    if (chain !== undefined && chain !== found.prefix.chain) {
      yield { kind: "damage", position, end: position };
    }
    const { bodyBytes, crc } = found.prefix;
    const bytes = recordBytes(bodyBytes);
    yield { kind: "record", position, bytes, crc, body: found.body };
    position += bytes;
    chain = crc;
  }
}

interface FoundRecord {
  readonly prefix: RecordPrefix;
  readonly body: Uint8Array;
}

class Scan {
  readonly #window = new Uint8Array(SCAN_WINDOW_BYTES);
  readonly #seed: number;
  #windowStart = 0;
  #windowBytes = 0;

  constructor(
    private readonly file: File,
    readonly size: number,
    private readonly options: ScanOptions,
  ) {
    this.#seed = segmentSeed(options, options.crc32c);
  }

  /** The intact record that starts at a position. */
  async recordAt(position: number): Promise<FoundRecord | undefined> {
    const head = await this.#view(position, RECORD_PREFIX_BYTES);
    const prefix = readRecordPrefix(head, 0);
    if (prefix === undefined) return undefined;
    const bytes = await this.#view(position, RECORD_PREFIX_BYTES + prefix.bodyBytes);
    const place = { position, seed: this.#seed };
    if (!recordIsIntact(bytes, prefix, place, this.options.crc32c)) return undefined;
    return { prefix, body: bytes.subarray(RECORD_PREFIX_BYTES) };
  }

  /**
   * What follows damage at `damaged`: the next position that can be read (or the end of what should
   * be there), or "torn" by rule T1.
   */
  async nextAfter(damaged: number): Promise<number | "torn"> {
    let first: number | undefined;
    let isProven = !this.options.isNewest || damaged < this.options.durableTo;
    let position = damaged + RECORD_ALIGNMENT;
    for (;;) {
      const candidate = await this.#nextCandidate(position);
      if (candidate === undefined) break;
      position = candidate + RECORD_ALIGNMENT;
      const found = await this.recordAt(candidate);
      if (found === undefined) continue;
      first ??= candidate;
      isProven ||= damaged < found.prefix.durableTo;
      if (isProven) return first;
      position = candidate + recordBytes(found.prefix.bodyBytes);
    }
    return isProven ? this.size : "torn";
  }

  /** The next position from `from` on where a record might begin. */
  async #nextCandidate(from: number): Promise<number | undefined> {
    for (let start = from; start < this.size; ) {
      const view = await this.#view(start, SCAN_WINDOW_BYTES / 2);
      for (let at = 0; at + RECORD_PREFIX_BYTES <= view.byteLength; at += RECORD_ALIGNMENT) {
        if (readRecordPrefix(view, at) !== undefined) return start + at;
      }
      // The last positions of the view lacked bytes: they are looked at again.
      const last = Math.floor(
        Math.max(0, view.byteLength - RECORD_PREFIX_BYTES) / RECORD_ALIGNMENT,
      );
      start += (last + 1) * RECORD_ALIGNMENT;
    }
    return undefined;
  }

  /** Up to `length` bytes at a position: fewer at the end of the file. A view of the window. */
  async #view(position: number, length: number): Promise<Uint8Array> {
    const end = Math.min(position + length, this.size);
    const isInside = this.#windowStart <= position && end <= this.#windowStart + this.#windowBytes;
    if (!isInside) {
      this.#windowStart = position;
      this.#windowBytes = await this.file.readAt(this.#window, position);
    }
    const start = position - this.#windowStart;
    return this.#window.subarray(start, Math.min(start + length, this.#windowBytes));
  }
}
