// A log of many segments with group commit: whoever waits for the disk shares one write and one
// sync; the next batch forms while the sync runs.
//
// W1. Batches are written one after the other: a record of a batch proves that every batch before
//     it is durable.
// W2. `durable` is called, and `append` resolves, only after the sync, and in the order of the log.
// W3. The first failure of the disk is the end: nothing is retried, everything after it rejects.
// W4. A segment's name is durable before the first record in it is acknowledged.
// W5. With `preallocate`, a segment has its whole length before it is used: a sync then has no
//     length to write, and costs half. What lies behind its records is zeros or another segment's,
//     and is cut off before the next segment begins: only the newest has such a tail.

import type { Crc32c } from "../crc32c.js";
import type { Disk, File } from "../disk.js";
import { LumeoError } from "../error.js";
import { InvariantViolation, invariant } from "../invariant.js";
import { MiB } from "../units.js";
import { OpenFiles } from "./open-files.js";
import {
  encodeRecord,
  encodeSegmentHeader,
  RECORD_BODY_BYTES_MAX,
  RECORD_PREFIX_BYTES,
  readRecordPrefix,
  readSegmentHeader,
  recordBytes,
  recordIsIntact,
  SEGMENT_HEADER_BYTES,
  segmentSeed,
} from "./record.js";
import { type ScanItem, scanSegment } from "./segment-scan.js";
import { SPARE_NAME, SpareFile } from "./spare-file.js";

/** A batch takes what is waiting, up to about this much. */
const BATCH_BYTES_MAX = 8 * MiB;
/** Segments kept open for reading. */
const OPEN_SEGMENTS_MAX = 64;
const SEGMENT_BYTES_DEFAULT = 64 * MiB;

/** Where a record stands. */
export interface WalPlace {
  readonly segment: number;
  readonly position: number;
  /** Bytes of its body. */
  readonly bodyBytes: number;
}

/** A border between records: everything before it has been taken into account. */
export interface WalMark {
  readonly segment: number;
  readonly position: number;
  /** CRC of the record before; the next one carries it. */
  readonly chain: number;
}

export interface WalOptions {
  readonly folder: string;
  /** 16 bytes that are this log's own. */
  readonly owner: Uint8Array;
  readonly crc32c: Crc32c;
  /** A new segment begins when one has grown to this. */
  readonly segmentBytes?: number;
  /** Give segments their length in advance (W5). */
  readonly preallocate?: boolean;
}

export type ReplayItem =
  | {
      readonly kind: "record";
      readonly place: WalPlace;
      /** The border behind it. */
      readonly after: WalMark;
      /** Valid until the next item. */
      readonly body: Uint8Array;
    }
  | {
      readonly kind: "damage";
      readonly segment: number;
      readonly position: number;
      readonly end: number;
      /** The border behind it. */
      readonly after: WalMark;
    }
  /** Unacknowledged bytes were cut off. */
  | { readonly kind: "tornTail"; readonly segment: number; readonly position: number };

interface Waiting {
  readonly body: readonly Uint8Array[];
  readonly bytes: number;
  readonly durable: (place: WalPlace, after: WalMark) => void;
  readonly resolve: () => void;
  readonly reject: (reason: LumeoError) => void;
}

interface Head {
  readonly file: File;
  readonly segment: number;
  readonly seed: number;
  position: number;
}

/** See the head of this file. Open it, replay it once, then append. */
export class Wal {
  readonly #disk: Disk;
  readonly #options: WalOptions;
  readonly #readers: OpenFiles;
  /** Bytes of each segment, by rising number. */
  readonly #segments: Map<number, number>;
  #waiting: Waiting[] = [];
  #head: Head | undefined;
  #chain = 0;
  #flushing: Promise<void> | undefined;
  #failedBy: LumeoError | undefined;
  #nextSegment = 1;
  #spare: SpareFile | undefined;
  #replayedTo: number | undefined;
  #isReplayed = false;
  #isClosed = false;

  private constructor(disk: Disk, options: WalOptions, segments: Map<number, number>) {
    this.#disk = disk;
    this.#options = options;
    this.#segments = segments;
    this.#readers = new OpenFiles(disk, OPEN_SEGMENTS_MAX);
  }

  /** Makes the folder if it is missing. Reads nothing but names and sizes. */
  static async open(disk: Disk, options: WalOptions): Promise<Wal> {
    invariant(options.owner.byteLength === 16, "owner of a log is 16 bytes");
    await disk.makeFolder(options.folder);
    await disk.syncFolder(parentOf(options.folder));
    const names = await disk.list(options.folder);
    const spare = `${options.folder}/${SPARE_NAME}`;
    const numbers = names.flatMap((name) => segmentNumber(name) ?? []).sort((a, b) => a - b);
    const wal = new Wal(disk, options, new Map());
    for (const number of numbers) {
      const file = await disk.open(wal.#path(number), { create: false });
      wal.#segments.set(number, await file.size().finally(() => file.close()));
    }
    if (options.preallocate === true) {
      wal.#spare = new SpareFile(disk, spare, wal.#segmentBytes);
      await wal.#spare.prepare();
    }
    return wal;
  }

  /** Numbers of the segments that exist, rising. */
  get segments(): readonly number[] {
    return [...this.#segments.keys()];
  }

  /** Bytes of each segment, by rising number. */
  get sizes(): ReadonlyMap<number, number> {
    return this.#segments;
  }

  /** Of all segments. */
  get bytes(): number {
    let sum = 0;
    for (const size of this.#segments.values()) sum += size;
    return sum;
  }

  /** The segment that new records go to, if there is one yet. */
  get headSegment(): number | undefined {
    return this.#head?.segment;
  }

  /**
   * Reads everything behind a mark (from the start without one), drops a torn tail, makes what is
   * there durable, and the log ready for `append`. Must be read to its end, once; only then may
   * anybody be told of what was read.
   *
   * @param from  Everything before it is known to have been durable.
   */
  async *replay(from: WalMark | undefined): AsyncGenerator<ReplayItem, void, void> {
    invariant(!this.#isReplayed, "log replayed twice");
    for (const segment of this.segments) {
      if (from !== undefined && segment < from.segment) continue;
      yield* this.#replaySegment(segment, from);
    }
    if (from !== undefined && this.#newest < from.segment) {
      this.#chain = from.chain;
      const { segment, position } = from;
      yield { kind: "damage", segment, position: SEGMENT_HEADER_BYTES, end: position, after: from };
    }
    await this.#disk.syncFolder(this.#options.folder);
    // Nothing is appended to an old segment: what is wrong in it stays there alone.
    const newest = Math.max(this.#newest, from?.segment ?? 0);
    this.#nextSegment = newest + 1;
    this.#isReplayed = true;
  }

  /**
   * Appends a record. The parts must stay unchanged until the promise settles.
   *
   * @param durable  Called in the order of the log when the record is durable.
   * @throws LumeoError STORE_FAILED if the disk has failed now or before; CLOSED.
   */
  append(
    body: readonly Uint8Array[],
    durable: (place: WalPlace, after: WalMark) => void,
  ): Promise<void> {
    invariant(this.#isReplayed, "append before the log was replayed");
    const bytes = body.reduce((sum, part) => sum + part.byteLength, 0);
    invariant(bytes <= RECORD_BODY_BYTES_MAX, "record too large", { bytes });
    if (this.#failedBy !== undefined) return Promise.reject(this.#failedBy);
    if (this.#isClosed) return Promise.reject(closedError());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ body, bytes, durable, resolve, reject });
      this.#flushing ??= this.#flush();
    });
  }

  /** File of a segment, below the disk's folder. */
  pathOf(segment: number): string {
    return this.#path(segment);
  }

  /** The body of a record, checked; undefined if it is not there as it was written. */
  async read(place: WalPlace): Promise<Uint8Array | undefined> {
    const bytes = new Uint8Array(RECORD_PREFIX_BYTES + place.bodyBytes);
    const found = await this.#readSegment(place, bytes);
    const prefix = readRecordPrefix(bytes.subarray(0, found), 0);
    if (prefix === undefined || prefix.bodyBytes !== place.bodyBytes) return undefined;
    const { crc32c } = this.#options;
    const at = { position: place.position, seed: this.#seed(place.segment) };
    if (!recordIsIntact(bytes.subarray(0, found), prefix, at, crc32c)) return undefined;
    return bytes.subarray(RECORD_PREFIX_BYTES);
  }

  /**
   * Removes a segment that nobody needs, durably: its tombstones may be what kept it dead, and go
   * next. Not the one that is being written.
   */
  async removeSegment(segment: number): Promise<void> {
    invariant(segment !== this.#head?.segment, "removing the segment in use", { segment });
    if (!this.#segments.delete(segment)) return;
    await this.#readers.drop(this.#path(segment));
    const isReused = (await this.#spare?.offer(this.#path(segment))) ?? false;
    if (!isReused) await this.#disk.remove(this.#path(segment));
    await this.#disk.syncFolder(this.#options.folder);
  }

  /** Waits for what is being written. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#flushing;
    const head = this.#head;
    this.#head = undefined;
    if (head !== undefined) await this.#finish(head);
    await this.#spare?.close();
    await this.#readers.close();
  }

  /** Bytes read; none if the segment is not there, or was removed meanwhile. */
  async #readSegment(place: WalPlace, into: Uint8Array): Promise<number> {
    if (!this.#segments.has(place.segment)) return 0;
    try {
      return await this.#readers.use(this.#path(place.segment), (file) => {
        return file.readAt(into, place.position);
      });
    } catch (error) {
      if (!this.#segments.has(place.segment)) return 0;
      throw error;
    }
  }

  async *#replaySegment(
    segment: number,
    from: WalMark | undefined,
  ): AsyncGenerator<ReplayItem, void, void> {
    const { owner, crc32c } = this.#options;
    const isNewest = segment === this.#newest && (from?.segment ?? 0) <= segment;
    const isMarked = from?.segment === segment;
    const file = await this.#disk.open(this.#path(segment), { create: false });
    try {
      const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
      const found = await file.readAt(bytes, 0);
      const header = readSegmentHeader(
        bytes.subarray(0, found),
        { owner, number: segment },
        crc32c,
      );
      if (header.kind === "foreign") throw foreignError(this.#path(segment));
      const durableTo = isMarked ? from.position : 0;
      const start = isMarked ? from.position : SEGMENT_HEADER_BYTES;
      const chain = isMarked ? from.chain : header.kind === "intact" ? header.chain : undefined;
      const scan = scanSegment(file, {
        owner,
        number: segment,
        from: Math.max(start, SEGMENT_HEADER_BYTES),
        chain,
        isNewest,
        durableTo,
        crc32c,
      });
      const follows = this.#replayedTo === segment - 1 && header.kind === "intact";
      if (follows && header.chain !== this.#chain) {
        const position = SEGMENT_HEADER_BYTES;
        const after = { segment, position, chain: header.chain };
        yield { kind: "damage", segment, position, end: position, after };
      }
      this.#replayedTo = segment;
      this.#chain = chain ?? 0;
      for await (const item of scan) yield* this.#replayed(segment, item, file);
      // A killed process may have left records that the kernel has and the disk has not.
      await file.sync();
      if (header.kind === "damaged" && SEGMENT_HEADER_BYTES < (await file.size())) {
        const after = { segment, position: await file.size(), chain: this.#chain };
        yield { kind: "damage", segment, position: 0, end: SEGMENT_HEADER_BYTES, after };
      }
    } finally {
      await file.close();
    }
  }

  async *#replayed(
    segment: number,
    item: ScanItem,
    file: File,
  ): AsyncGenerator<ReplayItem, void, void> {
    const { position } = item;
    switch (item.kind) {
      case "record": {
        this.#chain = item.crc;
        const place = { segment, position, bodyBytes: item.body.byteLength };
        const after = { segment, position: position + item.bytes, chain: item.crc };
        return yield { kind: "record", place, after, body: item.body };
      }
      case "damage": {
        const after = { segment, position: item.end, chain: this.#chain };
        return yield { kind: "damage", segment, position, end: item.end, after };
      }
      default:
        if (!item.torn) return;
        await file.truncate(position);
        await file.sync();
        this.#segments.set(segment, position);
        return yield { kind: "tornTail", segment, position };
    }
  }

  async #flush(): Promise<void> {
    try {
      // The first batch takes everything that this turn of the event loop appends.
      await Promise.resolve();
      while (0 < this.#waiting.length) await this.#writeBatch(this.#takeBatch());
    } finally {
      this.#flushing = undefined;
    }
  }

  #takeBatch(): Waiting[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && bytes < BATCH_BYTES_MAX) {
      bytes += (this.#waiting[count] as Waiting).bytes;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  async #writeBatch(batch: readonly Waiting[]): Promise<void> {
    let durable: readonly (() => void)[];
    try {
      durable = await this.#makeDurable(batch);
    } catch (cause) {
      if (cause instanceof InvariantViolation) throw cause;
      const failure = this.#fail(cause);
      for (const { reject } of batch) reject(failure);
      return;
    }
    for (const tell of durable) tell();
    for (const { resolve } of batch) resolve();
  }

  /** Writes and syncs a batch; returns what its appenders are to be told. */
  async #makeDurable(batch: readonly Waiting[]): Promise<(() => void)[]> {
    const head = await this.#roomyHead();
    const { crc32c } = this.#options;
    const { segment, seed, position: durableTo } = head;
    const parts: Uint8Array[] = [];
    const told: (() => void)[] = [];
    let position = durableTo;
    for (const { body, bytes, durable } of batch) {
      const place = { segment, position, bodyBytes: bytes };
      const links = { chain: this.#chain, durableTo };
      const record = encodeRecord(body, { position, seed }, links, crc32c);
      parts.push(...record.parts);
      position += recordBytes(bytes);
      const after = { segment, position, chain: record.crc };
      told.push(() => durable(place, after));
      this.#chain = record.crc;
    }
    await head.file.writeDurably(parts, durableTo);
    head.position = position;
    this.#segments.set(segment, position);
    return told;
  }

  /** The segment to write to: a new one if there is none, or if the last has grown enough. */
  async #roomyHead(): Promise<Head> {
    const head = this.#head;
    if (head !== undefined && head.position < this.#segmentBytes) return head;
    this.#head = undefined;
    if (head !== undefined) await this.#finish(head);
    const segment = this.#nextSegment++;
    const { owner, crc32c } = this.#options;
    const header = encodeSegmentHeader({ owner, number: segment }, this.#chain, crc32c);
    await this.#spare?.take(this.#path(segment));
    const file = await this.#disk.open(this.#path(segment), { create: true });
    if (this.#spare === undefined) await file.truncate(0);
    await file.writeAt([header], 0);
    await file.sync();
    await this.#disk.syncFolder(this.#options.folder); // W4
    this.#segments.set(segment, SEGMENT_HEADER_BYTES);
    const seed = this.#seed(segment);
    this.#head = { file, segment, seed, position: SEGMENT_HEADER_BYTES };
    return this.#head;
  }

  /** Ends a segment: nothing lies behind its last record any more (W5). */
  async #finish(head: Head): Promise<void> {
    try {
      if (this.#spare === undefined || this.#failedBy !== undefined) return;
      await head.file.truncate(head.position);
      await head.file.sync();
    } finally {
      await head.file.close();
    }
  }

  get #newest(): number {
    return Math.max(0, ...this.#segments.keys());
  }

  get #segmentBytes(): number {
    return this.#options.segmentBytes ?? SEGMENT_BYTES_DEFAULT;
  }

  #seed(segment: number): number {
    const { owner, crc32c } = this.#options;
    return segmentSeed({ owner, number: segment }, crc32c);
  }

  #path(segment: number): string {
    return `${this.#options.folder}/${String(segment).padStart(12, "0")}.wal`;
  }

  #fail(cause: unknown): LumeoError {
    const why = cause instanceof Error ? cause.message : String(cause);
    this.#failedBy ??= new LumeoError("STORE_FAILED", `Cannot write the log: ${why}`, { cause });
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failedBy);
    return this.#failedBy;
  }
}

function segmentNumber(name: string): number | undefined {
  const match = /^(\d{12})\.wal$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}

function parentOf(path: string): string {
  return path.split("/").slice(0, -1).join("/");
}

function closedError(): LumeoError {
  return new LumeoError("CLOSED", "Cannot append: the log is closed");
}

function foreignError(path: string): LumeoError {
  const hint = "it belongs to another store; do not mix the files of two stores";
  return new LumeoError("CORRUPT", `Cannot read log segment "${path}": ${hint}`);
}
