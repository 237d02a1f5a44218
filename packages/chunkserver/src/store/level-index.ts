// The index on LevelDB. Keys: "c" + handle (8 bytes, big-endian) → entry; "s" + segment → its use;
// "m" → summary. Every value carries its own CRC, because LevelDB checks its blocks only on demand.

import { rm } from "node:fs/promises";
import {
  ByteReader,
  ByteWriter,
  type ChunkHandle,
  type Crc32c,
  chunkHandle,
  type Logger,
  LumeoError,
} from "@lumeofs/base";
import { ClassicLevel } from "classic-level";
import type { ChunkIndex, IndexChanges, IndexSummary, SegmentUse } from "./chunk-index.js";
import { type ChunkEntry, decodeEntry, encodeEntry } from "./record.js";

type Database = ClassicLevel<Uint8Array, Uint8Array>;

const ENTRY = 0x63;
const SEGMENT = 0x73;
const SUMMARY_KEY = Uint8Array.of(0x6d);
/** Of all values. An index of another version is built again. */
const VERSION = 2;
const SUMMARY_BYTES = 41;
const CACHE_BYTES_DEFAULT = 32 * 2 ** 20;
const OPEN_FILES_MAX = 256;

interface LevelPlace {
  readonly folder: string;
  readonly cacheBytes: number;
}

/** An open LevelDB; it is also the lock that keeps a second process out of the store. */
export class LevelIndex implements ChunkIndex {
  readonly #folder: string;
  readonly #crc32c: Crc32c;
  readonly #cacheBytes: number;
  #database: Database;

  private constructor(place: LevelPlace, database: Database, crc32c: Crc32c) {
    this.#folder = place.folder;
    this.#cacheBytes = place.cacheBytes;
    this.#database = database;
    this.#crc32c = crc32c;
  }

  /**
   * Opens the database in a folder. One that LevelDB cannot read is thrown away: the log has all.
   *
   * @param cacheBytes  What its cache takes of the memory.
   * @throws LumeoError CONFIG if another process has it open.
   */
  static async open(
    folder: string,
    crc32c: Crc32c,
    logger: Logger,
    cacheBytes = CACHE_BYTES_DEFAULT,
  ): Promise<LevelIndex> {
    const place = { folder, cacheBytes };
    try {
      return new LevelIndex(place, await openDatabase(place), crc32c);
    } catch (error) {
      if (isLocked(error)) {
        const hint = "another process uses this store; give each chunkserver its own folder";
        throw new LumeoError("CONFIG", `Cannot open index "${folder}": ${hint}`, { cause: error });
      }
      logger.warn("index unreadable, building it again", { path: folder, error });
      return new LevelIndex(place, await newDatabase(place), crc32c);
    }
  }

  async summary(): Promise<IndexSummary | undefined> {
    const bytes = await attempt(() => this.#database.get(SUMMARY_KEY));
    const reader = bytes === undefined ? undefined : this.#checked(bytes);
    if (reader === undefined) return undefined;
    if (reader.remaining !== SUMMARY_BYTES || reader.u8() !== VERSION) {
      throw new LumeoError("CORRUPT", "Cannot read index: another version has written it");
    }
    const mark = { segment: reader.u53(), position: reader.u53(), chain: reader.u32() };
    const [chunkCount, fileBytes] = [reader.u53(), reader.u53()];
    return { mark, chunkCount, fileBytes, digest: reader.u32() };
  }

  async segments(): Promise<ReadonlyMap<number, SegmentUse>> {
    const range = { gte: Uint8Array.of(SEGMENT), lt: Uint8Array.of(SEGMENT + 1) };
    const found = await attempt(() => this.#database.iterator(range).all());
    return new Map(found.map(([key, value]) => [numberIn(key), this.#decodeUse(key, value)]));
  }

  get(handle: ChunkHandle): ChunkEntry | undefined {
    // Mostly cached or ruled out by a filter: asking in a thread would cost ten times more.
    const bytes = attemptNow(() => this.#database.getSync(keyOf(ENTRY, handle)));
    return bytes === undefined ? undefined : decodeEntry(handle, bytes, this.#crc32c);
  }

  async page(after: number, count: number): Promise<readonly ChunkEntry[]> {
    const range = { gt: keyOf(ENTRY, after), lt: Uint8Array.of(ENTRY + 1), limit: count };
    const found = await attempt(() => this.#database.iterator(range).all());
    return found.map(([key, value]) => {
      return decodeEntry(chunkHandle(numberIn(key)), value, this.#crc32c);
    });
  }

  async write(changes: IndexChanges, summary: IndexSummary): Promise<void> {
    const batch = this.#database.batch();
    for (const [handle, entry] of changes.entries) {
      const key = keyOf(ENTRY, handle);
      if (entry === undefined) batch.del(key);
      else batch.put(key, encodeEntry(entry, this.#crc32c));
    }
    for (const [segment, use] of changes.segments) {
      const key = keyOf(SEGMENT, segment);
      if (use === undefined) batch.del(key);
      else batch.put(key, this.#encodeUse(use));
    }
    const { mark, chunkCount, fileBytes, digest } = summary;
    const writer = new ByteWriter(64).u8(VERSION);
    writer.u53(mark.segment).u53(mark.position).u32(mark.chain);
    batch.put(SUMMARY_KEY, this.#sealed(writer.u53(chunkCount).u53(fileBytes).u32(digest)));
    await attempt(() => batch.write({ sync: true }));
  }

  async clear(): Promise<void> {
    await this.#database.close();
    const place = { folder: this.#folder, cacheBytes: this.#cacheBytes };
    this.#database = await newDatabase(place);
  }

  async close(): Promise<void> {
    await this.#database.close();
  }

  #decodeUse(key: Uint8Array, value: Uint8Array): SegmentUse {
    const reader = this.#checked(value);
    if (reader === undefined) {
      throw new LumeoError("CORRUPT", `Cannot read index: segment ${numberIn(key)} is damaged`);
    }
    const [live, liveBytes] = [reader.u53(), reader.u53()];
    return { live, liveBytes, buries: Array.from({ length: reader.u32() }, () => reader.u53()) };
  }

  #encodeUse(use: SegmentUse): Uint8Array {
    const writer = new ByteWriter(32).u53(use.live).u53(use.liveBytes).u32(use.buries.length);
    for (const segment of use.buries) writer.u53(segment);
    return this.#sealed(writer);
  }

  #sealed(writer: ByteWriter): Uint8Array {
    return writer.u32(this.#crc32c(writer.finish())).finish();
  }

  /** A reader of a value's content, or undefined if it is not as it was written. */
  #checked(value: Uint8Array): ByteReader | undefined {
    const end = Math.max(0, value.byteLength - 4);
    const content = value.subarray(0, end);
    const crc = end === 0 ? undefined : new ByteReader(value.subarray(end)).u32();
    return crc === this.#crc32c(content) ? new ByteReader(content) : undefined;
  }
}

async function newDatabase(place: LevelPlace): Promise<Database> {
  await rm(place.folder, { recursive: true, force: true });
  return openDatabase(place);
}

async function attempt<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    throw named(cause);
  }
}

function attemptNow<T>(work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw named(cause);
  }
}

/** Names what LevelDB finds damaged as such; any other failure is passed on. */
function named(cause: unknown): unknown {
  const { code, message } = cause as { readonly code?: unknown; readonly message?: string };
  const isDamage = code === "LEVEL_CORRUPTION" || /corrupt/i.test(message ?? "");
  if (!isDamage) return cause;
  return new LumeoError("CORRUPT", `Cannot read index: ${message}`, { cause });
}

async function openDatabase({ folder, cacheBytes }: LevelPlace): Promise<Database> {
  const database: Database = new ClassicLevel(folder, {
    keyEncoding: "view",
    valueEncoding: "view",
    cacheSize: cacheBytes,
    maxOpenFiles: OPEN_FILES_MAX,
    compression: false,
  });
  await database.open();
  return database;
}

function isLocked(error: unknown): boolean {
  const codes = [error, (error as Error | undefined)?.cause];
  return codes.some((one) => (one as { code?: string } | undefined)?.code === "LEVEL_LOCKED");
}

function keyOf(kind: number, number: number): Uint8Array {
  const key = new Uint8Array(9);
  const view = new DataView(key.buffer);
  view.setUint8(0, kind);
  view.setUint32(1, Math.floor(number / 2 ** 32));
  view.setUint32(5, number % 2 ** 32);
  return key;
}

function numberIn(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  return view.getUint32(1) * 2 ** 32 + view.getUint32(5);
}
