// The store of a chunkserver on one Disk.
//
// Small chunks live in the log for good. A large chunk lives in a file; the log holds its record,
// written after the file is durable ("ordered mode"). So no byte is written twice, and nothing is
// acknowledged before it is safe.
//
// K1. A chunk is visible if and only if its record is durable.
// K2. What is read is checked against the checksums of the record, every time, block by block.
// K3. The first failure of the disk or the index ends the store: nothing is acknowledged after it,
//     nothing is tried again, and `onFailure` tells the process, which ends.

import {
  type ChunkHandle,
  type Epoch,
  InvariantViolation,
  LumeoError,
  MiB,
  OpenFiles,
  Wal,
  type WalMark,
  type WalPlace,
} from "@lumeofs/base";
import { type Admission, admit } from "../mutation/write-session.js";
import type { Catalog } from "./catalog.js";
import { ChunkFileWriter } from "./chunk-file-writer.js";
import { chunkFolder, chunkPath, makeChunkFolders, withoutFile } from "./chunk-files.js";
import { FileChunkReader, LogChunkReader, verifyAll } from "./chunk-reader.js";
import type {
  ChunkContent,
  ChunkReader,
  ChunkStore,
  CopiedChunk,
  FileLook,
  KnownChunk,
  LargeWrite,
  LargeWriteOptions,
  ListedReplica,
  NewChunk,
  Pace,
  Removal,
  ReplicaName,
  StoreStatus,
  Verdict,
} from "./chunk-store.js";
import { Compactor } from "./compactor.js";
import { Housekeeping, ROUND_MS } from "./housekeeping.js";
import { IndexFloor } from "./index-floor.js";
import { KeyedLock } from "./keyed-lock.js";
import {
  type ChunkEntry,
  type ChunkHome,
  decodeRecord,
  encodeChunkRecord,
  encodeTombstone,
  isMoved,
  isSamePlace,
} from "./record.js";
import { isIndexDamage, type Recovered, recover } from "./recovery.js";
import { type Reservation, Space } from "./space.js";
import type { StoreOptions } from "./store-options.js";

const LOG_FOLDER = "log";
const OPEN_CHUNK_FILES_MAX = 128;
/** So many changes do not wait for the next round of housekeeping. */
const FLUSH_CHANGES = 4_096;
/** What a record takes in the log beside its data and checksums. */
const RECORD_ROOM_BYTES = 256;
/** Less than one more chunk: no new chunks here. */
const READ_ONLY_BYTES = 64 * 2 ** 20;
const COMPACT_BYTES_PER_SECOND = 16 * MiB;
/** Dead bytes that are left where they are; with short segments, one segment. */
const DEAD_BYTES_MIN = 64 * MiB;

/** See the head of this file. */
export class DiskChunkStore implements ChunkStore {
  readonly #options: StoreOptions;
  readonly #wal: Wal;
  readonly #catalog: Catalog;
  readonly #space: Space;
  readonly #files: OpenFiles;
  readonly #locks = new KeyedLock<ChunkHandle>();
  readonly #damaged: Set<ChunkHandle>;
  readonly #housekeeping: Housekeeping;
  #nextFileId: number;
  #highestHandle: number;
  #failedBy: LumeoError | undefined;
  #isClosed = false;

  private constructor(options: StoreOptions, wal: Wal, space: Space, recovered: Recovered) {
    this.#options = options;
    this.#wal = wal;
    this.#space = space;
    this.#catalog = recovered.catalog;
    this.#damaged = new Set(recovered.damaged);
    this.#nextFileId = recovered.nextFileId;
    this.#highestHandle = recovered.highestHandle;
    this.#files = new OpenFiles(options.disk, OPEN_CHUNK_FILES_MAX);
    this.#housekeeping = this.#keepHouse();
  }

  /** Opens and recovers; see recovery.ts. A damaged index is built again from the log. */
  static async open(options: StoreOptions): Promise<DiskChunkStore> {
    await makeChunkFolders(options.disk);
    try {
      return await DiskChunkStore.#recover(options);
    } catch (error) {
      if (!isIndexDamage(error)) throw error;
      options.logger.warn("index damaged, building it again", { error });
      await options.index.clear();
      return DiskChunkStore.#recover(options);
    }
  }

  static async #recover(options: StoreOptions): Promise<DiskChunkStore> {
    const { disk, index, owner, crc32c, logger, segmentBytes } = options;
    const bound = segmentBytes === undefined ? {} : { segmentBytes };
    const floor = new IndexFloor(disk, crc32c);
    const wal = await Wal.open(disk, { folder: LOG_FOLDER, owner, crc32c, ...bound });
    try {
      const recovered = await recover({ disk, wal, index, floor, logger });
      const { catalog } = recovered;
      const space = await Space.open({
        disk,
        capacityBytes: options.capacityBytes,
        lowWaterBytes: options.lowWaterBytes,
        usedBytes: () => wal.bytes + catalog.fileBytes,
      });
      return new DiskChunkStore(options, wal, space, recovered);
    } catch (error) {
      await wal.close();
      throw error;
    }
  }

  /** Room on this disk, also for what is kept there beside the chunks. */
  get space(): Space {
    return this.#space;
  }

  async putSmall(
    chunk: NewChunk | CopiedChunk,
    content: ChunkContent,
    payload: readonly Uint8Array[],
  ): Promise<void> {
    this.#checkOpen();
    const room = RECORD_ROOM_BYTES + content.crcs.byteLength + content.length;
    const reservation = await this.#space.reserve(room);
    try {
      await this.#locks.run(chunk.handle, () => {
        return this.#record(chunk, content, { kind: "log" }, payload);
      });
      reservation.spend();
    } finally {
      reservation.release();
    }
  }

  async beginLarge(
    chunk: NewChunk | CopiedChunk,
    options: LargeWriteOptions = {},
  ): Promise<LargeWrite> {
    this.#checkOpen();
    const reservation = await this.#space.reserve(RECORD_ROOM_BYTES);
    const fileId = this.#nextFileId++;
    const path = chunkPath({ handle: chunk.handle, fileId });
    try {
      const writer = await this.#io(() => {
        const uncached = options.uncached === true;
        const place = { path, folder: chunkFolder(chunk.handle), uncached };
        return ChunkFileWriter.create(this.#options.disk, place);
      });
      return this.#largeWrite(chunk, { writer, path, fileId, reservation });
    } catch (error) {
      reservation.release();
      throw error;
    }
  }

  async open(handle: ChunkHandle, epoch: Epoch): Promise<ChunkReader> {
    this.#checkOpen();
    const entry = this.#find(handle);
    if (entry === undefined) {
      throw new LumeoError("REPLICA_MISSING", `Cannot read chunk ${handle}: it is not here`);
    }
    if (entry.version.epoch !== epoch) {
      const found = entry.version.epoch;
      const message = `Cannot read chunk ${handle}: its epoch here is ${found}, not ${epoch}`;
      throw new LumeoError("STALE_EPOCH", message);
    }
    if (entry.isDamaged) throw this.#damagedError(handle);
    return this.#reader(entry);
  }

  find(handle: ChunkHandle): KnownChunk | undefined {
    this.#checkOpen();
    return this.#find(handle);
  }

  async verify(handle: ChunkHandle, pace: Pace = async () => undefined): Promise<Verdict> {
    this.#checkOpen();
    const entry = this.#find(handle);
    if (entry === undefined) return { kind: "missing" };
    try {
      // A file that is open would still be read after somebody has removed its name.
      if (entry.home.kind === "file") {
        const path = chunkPath({ handle, fileId: entry.home.fileId });
        await this.#io(() => this.#files.drop(path));
      }
      const crc = await verifyAll(await this.#reader(entry), pace);
      if (crc !== entry.crc32c) throw await this.#foundDamage(entry, "its checksum is wrong");
      if (entry.isDamaged) throw this.#damagedError(handle);
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      if (error.code === "REPLICA_MISSING") return { kind: "missing" };
      if (error.code !== "CHECKSUM") throw error;
      return { kind: "damaged", why: error.message };
    }
    return { kind: "intact", length: entry.length, crc32c: entry.crc32c };
  }

  async remove(replicas: readonly ReplicaName[]): Promise<Removal> {
    this.#checkOpen();
    const ends = await Promise.all(
      replicas.map((name) => this.#locks.run(name.handle, () => this.#removeOne(name))),
    );
    return {
      removedCount: ends.filter((end) => end === "removed").length,
      refused: replicas.flatMap(({ handle }, i) => (ends[i] === "refused" ? [handle] : [])),
    };
  }

  async page(after: ChunkHandle | undefined, count: number): Promise<readonly ListedReplica[]> {
    this.#checkOpen();
    const entries = await this.#io(() => this.#catalog.page(after ?? 0, count));
    return entries.map(({ handle, version, length, crc32c, isDamaged }) => {
      return { handle, epoch: version.epoch, length, crc32c, isDamaged };
    });
  }

  /**
   * Looks whether the files of up to `count` chunks with handles above `after` are there, without
   * reading them. What has lost its file is damaged from then on.
   */
  async lookForFiles(after: ChunkHandle | undefined, count: number): Promise<FileLook> {
    this.#checkOpen();
    const entries = await this.#io(() => this.#catalog.page(after ?? 0, count));
    const lost = await this.#io(() => withoutFile(this.#options.disk, entries));
    // One that was replaced or removed since is noticed there.
    for (const entry of lost) await this.#foundDamage(entry, "its file is missing");
    return { last: entries.at(-1)?.handle, lost: lost.length };
  }

  damaged(): readonly ChunkHandle[] {
    return [...this.#damaged];
  }

  status(): StoreStatus {
    const freeBytes = this.#space.freeBytes;
    const isFull = freeBytes < READ_ONLY_BYTES;
    const state = this.#failedBy !== undefined ? "failed" : isFull ? "readOnly" : "serving";
    return {
      state,
      chunkCount: this.#catalog.chunkCount,
      highestHandle: this.#highestHandle,
      usedBytes: this.#wal.bytes + this.#catalog.fileBytes,
      capacityBytes: this.#space.capacityBytes,
      freeBytes,
    };
  }

  /** Waits for what is under way and writes the index. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#housekeeping.stop();
    await this.#wal.close();
    if (this.#failedBy === undefined) await this.#io(() => this.#catalog.flush());
    await this.#files.close();
    await this.#options.index.close();
  }

  #largeWrite(
    chunk: NewChunk | CopiedChunk,
    parts: {
      readonly writer: ChunkFileWriter;
      readonly path: string;
      readonly fileId: number;
      readonly reservation: Reservation;
    },
  ): LargeWrite {
    const { writer, path, fileId, reservation } = parts;
    let isOver = false;
    /** Pieces get their room one after the other, so none is written before an earlier one. */
    let roomy: Promise<void> = Promise.resolve();
    const drop = async (): Promise<void> => {
      if (isOver) return;
      isOver = true;
      await roomy.catch(() => undefined); // whoever wrote has been told
      if (this.#failedBy !== undefined) {
        await writer.close().catch(() => undefined); // the failure is known already
        return reservation.release();
      }
      await this.#io(async () => {
        await writer.close();
        await this.#options.disk.remove(path);
      });
      reservation.release();
    };
    return {
      write: (pieces) => {
        const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
        roomy = roomy.then(() => {
          this.#checkOpen();
          return reservation.grow(bytes);
        });
        return roomy.then(() => this.#io(() => writer.write(pieces)));
      },
      finish: async (content, as) => {
        await roomy; // all pieces are with the writer then
        this.#checkOpen();
        await this.#io(() => writer.sync());
        const home: ChunkHome = { kind: "file", fileId };
        const kept = await this.#locks.run(chunk.handle, () => {
          return this.#record(as ?? chunk, content, home, []);
        });
        if (kept === "repeated") return drop();
        isOver = true;
        reservation.spend();
        await this.#io(() => writer.close());
      },
      abort: drop,
    };
  }

  /** Admits a complete write and appends its record. Under the lock of the handle. */
  async #record(
    chunk: NewChunk | CopiedChunk,
    content: ChunkContent,
    home: ChunkHome,
    payload: readonly Uint8Array[],
  ): Promise<"recorded" | "repeated"> {
    const { handle } = chunk;
    const { length, crc32c, crcs } = content;
    const previous = this.#find(handle);
    const admission: Admission = admit(previous && { ...previous }, chunk, content);
    if (admission.kind === "repeated") return "repeated";
    if (admission.kind === "refused") {
      throw new LumeoError(admission.code, `Cannot write chunk ${handle}: ${admission.why}`);
    }
    const facts = { handle, version: admission.version, length, crc32c, home };
    const body = [encodeChunkRecord(facts, crcs), ...payload];
    await this.#append(body, (place, after) => {
      const entry: ChunkEntry = { ...facts, place, isDamaged: false };
      this.#catalog.apply({ kind: "put", entry, previous }, after);
    });
    this.#damaged.delete(handle);
    this.#highestHandle = Math.max(this.#highestHandle, handle);
    if (previous !== undefined) await this.#removeFile(previous);
    return "recorded";
  }

  async #removeOne({ handle, epoch }: ReplicaName): Promise<"removed" | "refused" | "missing"> {
    const previous = this.#find(handle);
    if (previous === undefined) return "missing";
    if (epoch < previous.version.epoch) return "refused";
    await this.#append([encodeTombstone(handle, previous.version.epoch)], (place, after) => {
      this.#catalog.apply({ kind: "remove", previous, place }, after);
    });
    this.#damaged.delete(handle);
    await this.#removeFile(previous);
    return "removed";
  }

  /** The record that named the file is dead: a crash before this leaves an orphan. */
  async #removeFile(entry: ChunkEntry): Promise<void> {
    const { handle, home } = entry;
    if (home.kind !== "file") return;
    const path = chunkPath({ handle, fileId: home.fileId });
    await this.#io(async () => {
      await this.#files.drop(path);
      if (await this.#options.disk.exists(path)) await this.#options.disk.remove(path);
    });
  }

  async #append(
    body: readonly Uint8Array[],
    durable: (place: WalPlace, after: WalMark) => void,
  ): Promise<void> {
    await this.#io(() => this.#wal.append(body, durable));
    if (FLUSH_CHANGES <= this.#catalog.pendingCount) this.#housekeeping.soon();
  }

  #find(handle: ChunkHandle): ChunkEntry | undefined {
    if (this.#failedBy !== undefined) throw this.#failedBy;
    try {
      return this.#catalog.find(handle);
    } catch (error) {
      throw error instanceof InvariantViolation ? error : this.#fail(error);
    }
  }

  async #reader(entry: ChunkEntry): Promise<ChunkReader> {
    const body = await this.#io(() => this.#wal.read(entry.place));
    const current = body === undefined ? this.#find(entry.handle) : undefined;
    // It was moved, and the segment was removed, between finding and reading it.
    if (current !== undefined && isMoved(entry, current)) return this.#reader(current);
    if (body === undefined) throw await this.#foundDamage(entry, "its log record is damaged");
    const record = decodeRecord(body);
    const isRight =
      record.kind === "chunk" && record.handle === entry.handle && record.length === entry.length;
    if (!isRight) throw await this.#foundDamage(entry, "its log record is of another chunk");
    const { crc32c } = this.#options;
    const damaged = (why: string) => this.#foundDamage(entry, why);
    if (entry.home.kind === "log") return new LogChunkReader(record, body, { crc32c, damaged });
    const path = chunkPath({ handle: entry.handle, fileId: entry.home.fileId });
    const readAt = (into: Uint8Array, offset: number) => this.#readFile(path, into, offset);
    return new FileChunkReader(record, { path, readAt }, { crc32c, damaged });
  }

  /** Bytes read; 0 if the file is missing, which is damage and no failure of the disk. */
  #readFile(path: string, into: Uint8Array, offset: number): Promise<number> {
    return this.#io(async () => {
      try {
        return await this.#files.use(path, (file) => file.readAt(into, offset));
      } catch (error) {
        if (error instanceof LumeoError && error.code === "NOT_FOUND") return 0;
        throw error;
      }
    });
  }

  /** Notes that a chunk is not what was written; returns the error for whoever read it. */
  async #foundDamage(entry: ChunkEntry, why: string): Promise<LumeoError> {
    const { handle } = entry;
    const current = this.#find(handle);
    if (current === undefined) {
      return new LumeoError("REPLICA_MISSING", `Cannot read chunk ${handle}: it was removed`);
    }
    const isSame = isSamePlace(entry, current) || isMoved(entry, current);
    if (isSame && !current.isDamaged) {
      this.#catalog.setDamaged(current);
      this.#damaged.add(handle);
      this.#options.logger.error("chunk damaged", { chunk: handle, code: "CHECKSUM", error: why });
      this.#options.onDamage?.(handle);
    }
    return new LumeoError("CHECKSUM", `Cannot read chunk ${handle}: ${why}`);
  }

  #damagedError(handle: ChunkHandle): LumeoError {
    return new LumeoError("CHECKSUM", `Cannot read chunk ${handle}: it is damaged here`);
  }

  #keepHouse(): Housekeeping {
    const { disk, owner, crc32c, timers, logger, segmentBytes } = this.#options;
    const { compactBytesPerSecond = COMPACT_BYTES_PER_SECOND } = this.#options;
    const stepBytes = (compactBytesPerSecond * ROUND_MS) / 1_000;
    const [catalog, wal, space] = [this.#catalog, this.#wal, this.#space];
    const compactor = new Compactor({
      ...{ disk, wal, catalog, owner, crc32c, logger, stepBytes, locks: this.#locks },
      append: (body, durable) => wal.append(body, durable),
      deadBytesMin: segmentBytes ?? DEAD_BYTES_MIN,
    });
    const floor = new IndexFloor(disk, crc32c);
    const io = <T>(work: () => Promise<T>): Promise<T> => this.#io(work);
    return new Housekeeping({
      ...{ timers, catalog, wal, space, floor, compactor, io },
      roomBytesMin: 2 * stepBytes,
    });
  }

  /** Runs work on the disk or the index; its failure is the end of the store (K3). */
  async #io<T>(work: () => Promise<T>): Promise<T> {
    try {
      const result = await work();
      if (this.#failedBy === undefined) return result;
    } catch (error) {
      if (error instanceof InvariantViolation) throw error;
      if (error instanceof LumeoError && error.code === "CLOSED") throw error;
      throw this.#fail(error);
    }
    throw this.#failedBy; // something else has failed meanwhile
  }

  #fail(cause: unknown): LumeoError {
    if (this.#failedBy === undefined) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const message = `The store has failed: ${why}; see to the disk, then start again`;
      this.#failedBy = new LumeoError("STORE_FAILED", message, { cause });
      this.#options.onFailure(this.#failedBy);
    }
    return this.#failedBy;
  }

  #checkOpen(): void {
    if (this.#failedBy !== undefined) throw this.#failedBy;
    if (this.#isClosed) throw new LumeoError("CLOSED", "Cannot use the store: it is closed");
  }
}
