// The log of tails: every change of every growing chunk, in a log of its own, so that the index,
// the compaction and the recovery of sealed chunks know nothing of chunks that change.
//
// L1. All tails share the log: whoever waits for the disk shares one write.
// L2. Before the first record of a chunk stands in the log, a file in `tails/known` bears its name.
//     A chunk that is known and has no record is in doubt (held-tail.ts), never taken for new.
// L3. Segments go from the oldest on, when no tail has anything in them.
// L4. When nothing was written for a while, a mark proves what stands before it: only a change of
//     the very last moment before a crash can be taken for a torn write.

import {
  type ChunkHandle,
  type Crc32c,
  chunkHandle,
  type Disk,
  type Logger,
  Wal,
  type WalPlace,
} from "@lumeofs/base";
import { HeldTail } from "./held-tail.js";
import {
  decodeTailRecord,
  encodeTailRecord,
  type SealedFacts,
  type TailRecord,
} from "./tail-record.js";

const LOG_FOLDER = "tails";
const KNOWN_FOLDER = "tails/known";
/** Bodies of records that were read last: their records are mostly read one after the other. */
const BODIES_KEPT_MAX = 4;

export interface TailLogOptions {
  readonly disk: Disk;
  /** 16 bytes: the store's uuid. */
  readonly owner: Uint8Array;
  readonly crc32c: Crc32c;
  readonly logger: Logger;
  readonly segmentBytes?: number;
}

/** A chunk that is sealed: what was written is asked of the table at `place`. */
export interface SealedTail {
  readonly facts: SealedFacts;
  place: WalPlace;
  tableAt: number;
}

/** What a log holds. */
export interface TailLogContent {
  readonly tails: ReadonlyMap<ChunkHandle, HeldTail>;
  readonly sealed: ReadonlyMap<ChunkHandle, SealedTail>;
}

/** See the head of this file. Any rejection comes from the disk and is final. */
export class TailLog {
  readonly #options: TailLogOptions;
  readonly #wal: Wal;
  readonly #known: Set<ChunkHandle>;
  readonly #bodies = new Map<string, Promise<Uint8Array | undefined>>();
  #records = 0;
  #recordsAtRound = 0;
  #isMarked = true;
  #lastDurable: WalPlace | undefined;

  private constructor(options: TailLogOptions, wal: Wal, known: Set<ChunkHandle>) {
    this.#options = options;
    this.#wal = wal;
    this.#known = known;
  }

  static async open(
    options: TailLogOptions,
  ): Promise<{ readonly log: TailLog; readonly content: TailLogContent }> {
    const { disk, crc32c, segmentBytes } = options;
    const bound = segmentBytes === undefined ? {} : { segmentBytes };
    const owner = ownerOfTails(options.owner);
    const wal = await Wal.open(disk, { folder: LOG_FOLDER, owner, crc32c, ...bound });
    try {
      await disk.makeFolder(KNOWN_FOLDER);
      await disk.syncFolder(LOG_FOLDER);
      const known = await knownHandles(disk);
      await disk.syncFolder(KNOWN_FOLDER); // its writer may have been killed before it did
      const log = new TailLog(options, wal, known);
      return { log, content: await log.#replay() };
    } catch (error) {
      await wal.close();
      throw error;
    }
  }

  /** The last record that this process has written and knows to be durable. */
  get lastDurable(): WalPlace | undefined {
    return this.#lastDurable;
  }

  /** Of all segments. */
  get bytes(): number {
    return this.#wal.bytes;
  }

  /** Appends a record with the bytes of its data records; `durable` is called in order. */
  async write(
    record: TailRecord,
    data: readonly Uint8Array[],
    durable: (place: WalPlace, dataAt: number) => void,
  ): Promise<void> {
    const head = encodeTailRecord(record);
    this.#records++;
    this.#isMarked = record.kind === "mark";
    await this.#wal.append([head, ...data], (place) => {
      this.#lastDurable = place;
      durable(place, head.byteLength);
    });
  }

  /** Makes a chunk known, durably (L2). */
  async know(handle: ChunkHandle): Promise<void> {
    if (this.#known.has(handle)) return;
    const { disk } = this.#options;
    const file = await disk.open(markerOf(handle), { create: true });
    await file.close();
    await disk.syncFolder(KNOWN_FOLDER);
    this.#known.add(handle);
  }

  /** Nothing of the chunk is in the log any more, durably. */
  async unknow(handle: ChunkHandle): Promise<void> {
    if (this.#known.delete(handle)) await this.#options.disk.remove(markerOf(handle));
  }

  /** The body of a record; undefined if it is not as it was written. Shared: not to be changed. */
  body(place: WalPlace): Promise<Uint8Array | undefined> {
    const key = `${place.segment}.${place.position}`;
    const known = this.#bodies.get(key);
    if (known !== undefined) return known;
    const reading = this.#wal.read(place);
    this.#bodies.set(key, reading);
    const [oldest] = this.#bodies.keys();
    if (BODIES_KEPT_MAX < this.#bodies.size && oldest !== undefined) this.#bodies.delete(oldest);
    return reading;
  }

  /** Segments that nothing keeps from going, or from being emptied: all but the newest. */
  get oldSegments(): readonly number[] {
    return this.#wal.segments.filter((segment) => segment !== this.#wal.headSegment);
  }

  /** Gives segments back: those before this one (L3). */
  async removeBefore(segment: number): Promise<void> {
    for (const old of this.oldSegments) {
      if (segment <= old) return;
      await this.#wal.removeSegment(old);
    }
  }

  /** Proves what stands in the log, if nothing was written since the last call (L4). */
  async markWhenQuiet(): Promise<void> {
    const isQuiet = this.#recordsAtRound === this.#records;
    this.#recordsAtRound = this.#records;
    if (isQuiet && !this.#isMarked) await this.write({ kind: "mark" }, [], () => undefined);
  }

  /** Waits for what is being written. */
  close(): Promise<void> {
    return this.#wal.close();
  }

  async #replay(): Promise<TailLogContent> {
    const tails = new Map<ChunkHandle, HeldTail>();
    const sealed = new Map<ChunkHandle, SealedTail>();
    for await (const item of this.#wal.replay(undefined)) {
      switch (item.kind) {
        case "record":
          takeRecord({ tails, sealed }, item.place, decodeTailRecord(item.body));
          break;
        case "damage":
          this.#reportDamage(item.segment, item.position, item.end);
          for (const tail of tails.values()) tail.doubt();
          break;
        case "tornTail":
          this.#options.logger.info("torn log tail dropped", { index: item.segment });
          break;
      }
    }
    for (const handle of this.#known) {
      if (tails.has(handle) || sealed.has(handle)) continue;
      const lost = new HeldTail(handle);
      lost.doubt();
      tails.set(handle, lost);
    }
    return { tails, sealed };
  }

  #reportDamage(segment: number, position: number, end: number): void {
    this.#options.logger.error("log of tails damaged", {
      code: "CORRUPT",
      index: segment,
      error: `bytes ${position} to ${end} of segment ${segment} are not what was written`,
    });
  }
}

function takeRecord(
  { tails, sealed }: { tails: Map<ChunkHandle, HeldTail>; sealed: Map<ChunkHandle, SealedTail> },
  place: WalPlace,
  { record, dataAt }: ReturnType<typeof decodeTailRecord>,
): void {
  switch (record.kind) {
    case "mark":
      return;
    case "forgotten":
      tails.delete(record.handle);
      sealed.delete(record.handle);
      return;
    case "sealed": {
      tails.delete(record.handle);
      const tableAt = place.bodyBytes - record.table.byteLength;
      sealed.set(record.handle, { facts: record.facts, place, tableAt });
      return;
    }
    default: {
      const held = tails.get(record.handle) ?? new HeldTail(record.handle);
      tails.set(record.handle, held);
      held.replay(record, { place, dataAt });
    }
  }
}

async function knownHandles(disk: Disk): Promise<Set<ChunkHandle>> {
  const names = await disk.list(KNOWN_FOLDER);
  const known = new Set<ChunkHandle>();
  for (const name of names) {
    const handle = /^[0-9a-f]{14}$/.test(name) ? Number.parseInt(name, 16) : 0;
    if (Number.isSafeInteger(handle) && 0 < handle) known.add(chunkHandle(handle));
  }
  return known;
}

function markerOf(handle: ChunkHandle): string {
  return `${KNOWN_FOLDER}/${handle.toString(16).padStart(14, "0")}`;
}

/** Segments of the two logs of a store are never taken for each other. */
function ownerOfTails(owner: Uint8Array): Uint8Array {
  return owner.map((byte, i) => (i === 0 ? byte ^ 0xff : byte));
}
