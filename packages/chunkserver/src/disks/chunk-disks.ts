// The stores of all disks of a chunkserver as one.
//
// V1. A chunk is where its newest record is. Of records that are as new, the first disk's counts,
//     and those that were away are last (DiskSet): of a coded chunk they may have another unit. A
//     new chunk goes to the disk that is drawn for it, and while it is written all that is written
//     under its handle goes there.
// V2. What fails with its disk fails as if the chunk were not here: readers go elsewhere at once.
//     With the only disk everything is as its store says.
// V3. What the masters have here and no disk has is *lost*: it is told as damaged, until it is
//     written again, removed, or not asked for any more.
// V4. A disk whose calls do not return gets no new ones: readers and writers are sent elsewhere.

import { type ChunkHandle, type Closable, type Epoch, LumeoError } from "@lumeofs/base";
import { compareVersions } from "../mutation/version.js";
import type {
  ChunkContent,
  ChunkReader,
  ChunkStore,
  CopiedChunk,
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
} from "../store/chunk-store.js";
import { chooseDisk } from "./choose-disk.js";
import type { DiskSet } from "./disk-set.js";
import type { ServerDisk } from "./server-disk.js";

interface Place {
  readonly disk: ServerDisk;
  readonly known: KnownChunk;
}

/** Writes of one handle under way. */
interface Writing {
  readonly disk: ServerDisk;
  count: number;
}

/** See the head of this file. */
export class ChunkDisks implements ChunkStore, Closable {
  readonly #set: DiskSet;
  readonly #writing = new Map<ChunkHandle, Writing>();
  readonly #lost = new Set<ChunkHandle>();

  constructor(set: DiskSet) {
    this.#set = set;
  }

  async putSmall(
    chunk: NewChunk | CopiedChunk,
    content: ChunkContent,
    payload: readonly Uint8Array[],
  ): Promise<void> {
    const only = this.#only;
    if (only !== undefined) {
      await usable(only).store.putSmall(chunk, content, payload);
      this.#lost.delete(chunk.handle); // it was missed meanwhile (V3)
      return;
    }
    return this.#put(chunk.handle, (disk) => disk.store.putSmall(chunk, content, payload));
  }

  async beginLarge(
    chunk: NewChunk | CopiedChunk,
    options: LargeWriteOptions = {},
  ): Promise<LargeWrite> {
    const only = this.#only;
    const { handle } = chunk;
    if (only !== undefined) {
      const write = await usable(only).store.beginLarge(chunk, options);
      return {
        write: (pieces) => write.write(pieces),
        finish: async (content, as) => {
          await write.finish(content, as);
          this.#lost.delete(handle); // as above
        },
        abort: () => write.abort(),
      };
    }
    const disk = this.#takePlace(handle);
    try {
      const write = await disk.store.beginLarge(chunk, options);
      return this.#largeWrite(handle, disk, write);
    } catch (error) {
      this.#leavePlace(handle, disk);
      throw failureOf(disk, error);
    }
  }

  find(handle: ChunkHandle): KnownChunk | undefined {
    const only = this.#only;
    return only === undefined ? this.#place(handle)?.known : only.store.find(handle);
  }

  async open(handle: ChunkHandle, epoch: Epoch): Promise<ChunkReader> {
    return (await this.openOn(handle, epoch)).reader;
  }

  /** As `open`, with the folder of the disk that the chunk is on. */
  async openOn(
    handle: ChunkHandle,
    epoch: Epoch,
  ): Promise<{ readonly reader: ChunkReader; readonly folder: string }> {
    const only = this.#only;
    if (only !== undefined) {
      return { reader: await usable(only).store.open(handle, epoch), folder: only.folder };
    }
    const disk = usable(this.#place(handle)?.disk ?? this.#anyDisk());
    try {
      const reader = await disk.store.open(handle, epoch);
      const { version, length, crc32c, file } = reader;
      const read: ChunkReader["read"] = async (offset, into) => {
        try {
          return await reader.read(offset, into);
        } catch (error) {
          throw missingOn(disk, handle, error);
        }
      };
      return { reader: { version, length, crc32c, file, read }, folder: disk.folder };
    } catch (error) {
      throw missingOn(disk, handle, error);
    }
  }

  async verify(handle: ChunkHandle, pace?: Pace): Promise<Verdict> {
    const disk = this.#only ?? this.#place(handle)?.disk;
    if (disk === undefined) return { kind: "missing" };
    usable(disk);
    try {
      return await disk.store.verify(handle, pace);
    } catch (error) {
      if (this.#isOver(disk, error)) return { kind: "missing" };
      throw error;
    }
  }

  async remove(replicas: readonly ReplicaName[]): Promise<Removal> {
    const only = this.#only;
    const removals = await Promise.all(
      only !== undefined
        ? [only.store.remove(replicas)]
        : this.#set.serving.map((disk) => this.#removeOn(disk, replicas)),
    );
    const refused = new Set(removals.flatMap((one) => one.refused));
    for (const { handle } of replicas) if (!refused.has(handle)) this.#lost.delete(handle);
    return {
      removedCount: removals.reduce((sum, one) => sum + one.removedCount, 0),
      refused: [...refused],
    };
  }

  async page(after: ChunkHandle | undefined, count: number): Promise<readonly ListedReplica[]> {
    const only = this.#only;
    if (only !== undefined) return only.store.page(after, count);
    const pages = await Promise.all(
      this.#set.serving.map((disk) => this.#pageOn(disk, { after, count })),
    );
    const found = new Map<ChunkHandle, ListedReplica>();
    for (const one of pages.flat()) {
      const other = found.get(one.handle);
      if (other === undefined || other.epoch < one.epoch) found.set(one.handle, one);
    }
    return [...found.values()].sort((a, b) => a.handle - b.handle).slice(0, count);
  }

  damaged(): readonly ChunkHandle[] {
    const only = this.#only;
    const found = only?.store.damaged() ?? this.#damagedOnDisks();
    if (this.#lost.size === 0) return found;
    return [...new Set([...found, ...this.#lost])];
  }

  status(): StoreStatus {
    const all = this.#set.serving.map(({ store }) => store.status());
    const sum = (of: (status: StoreStatus) => number): number =>
      all.reduce((total, one) => total + of(one), 0);
    const states = this.#set.serving.map((disk) => {
      const { state } = disk.store.status();
      return state === "serving" && disk.suspicion !== "" ? "readOnly" : state;
    });
    const order = ["serving", "readOnly", "failed"] as const;
    return {
      state: order.find((one) => states.includes(one)) ?? "failed",
      chunkCount: sum((one) => one.chunkCount),
      highestHandle: Math.max(0, ...all.map((one) => one.highestHandle)),
      usedBytes: sum((one) => one.usedBytes),
      capacityBytes: sum((one) => one.capacityBytes),
      freeBytes: sum((one) => one.freeBytes),
    };
  }

  /** Chunks that the masters have here and no disk has. */
  get lostCount(): number {
    return this.#lost.size;
  }

  /**
   * Takes what the masters have here between two handles, the first excluded: what no disk has is
   * lost, and nothing else there is (V3). At most `countMax` in all are remembered.
   *
   * @returns How many of these are lost, whether or not they are remembered.
   */
  compare(
    range: { readonly after: number; readonly upto: number },
    assigned: readonly ChunkHandle[],
    countMax: number,
  ): number {
    const missing = assigned.filter((handle) => this.find(handle) === undefined);
    for (const handle of this.#lost) {
      if (range.after < handle && handle <= range.upto) this.#lost.delete(handle);
    }
    for (const handle of missing) if (this.#lost.size < countMax) this.#lost.add(handle);
    return missing.length;
  }

  /**
   * Removes copies that another disk has newer, or the same: disks that were away bring them. It
   * yields after each page.
   *
   * @returns How many were removed.
   */
  async removeShadows(pause: () => Promise<void>): Promise<number> {
    let removed = 0;
    const upto = this.status().highestHandle; // what is written from now on is on one disk alone
    for (let after: ChunkHandle | undefined; (after ?? 0) < upto; ) {
      const page = await this.page(after, SHADOW_PAGE);
      for (const { handle } of page) removed += await this.#removeShadow(handle);
      after = page.at(-1)?.handle;
      if (page.length < SHADOW_PAGE) break;
      await pause();
    }
    return removed;
  }

  close(): Promise<void> {
    return this.#set.close();
  }

  /** If the server has no other disk, working or lost. */
  get #only(): ServerDisk | undefined {
    const { serving, lost } = this.#set;
    return serving.length === 1 && lost.length === 0 && this.#lost.size === 0
      ? serving[0]
      : undefined;
  }

  #anyDisk(): ServerDisk {
    const [first] = this.#set.serving;
    if (first === undefined) {
      throw new LumeoError("STORE_FAILED", "Cannot use the store: all its disks have failed");
    }
    return first;
  }

  /** V1. */
  #place(handle: ChunkHandle): Place | undefined {
    let best: Place | undefined;
    for (const disk of this.#set.serving) {
      const known = this.#foundOn(disk, handle);
      if (known !== undefined && (best === undefined || isBetter(known, best.known))) {
        best = { disk, known };
      }
    }
    return best;
  }

  #foundOn(disk: ServerDisk, handle: ChunkHandle): KnownChunk | undefined {
    try {
      return disk.store.find(handle);
    } catch (error) {
      if (this.#isOver(disk, error)) return undefined;
      throw error;
    }
  }

  /** Whether an error is that of a disk which has failed, while others are left (V2). */
  #isOver(disk: ServerDisk, error: unknown): boolean {
    return error instanceof LumeoError && isEnded(disk) && 0 < this.#set.serving.length;
  }

  #takePlace(handle: ChunkHandle): ServerDisk {
    const writing = this.#writing.get(handle);
    if (writing !== undefined && !isEnded(writing.disk)) {
      writing.count++;
      return writing.disk;
    }
    const disk = usable(this.#place(handle)?.disk ?? this.#choose(handle));
    this.#writing.set(handle, { disk, count: 1 });
    return disk;
  }

  #leavePlace(handle: ChunkHandle, disk: ServerDisk): void {
    const writing = this.#writing.get(handle);
    if (writing?.disk !== disk) return;
    writing.count--;
    if (writing.count === 0) this.#writing.delete(handle);
  }

  #choose(handle: ChunkHandle): ServerDisk {
    const { serving } = this.#set;
    const rooms = serving.map(({ uuid, store, suspicion }) => {
      const { state, freeBytes } = store.status();
      return { uuid, freeBytes, isOpen: state === "serving" && suspicion === "" };
    });
    return serving[chooseDisk(handle, rooms)] ?? this.#anyDisk();
  }

  async #put(handle: ChunkHandle, put: (disk: ServerDisk) => Promise<void>): Promise<void> {
    const disk = this.#takePlace(handle);
    try {
      await put(disk);
      this.#kept(handle, disk);
    } catch (error) {
      throw failureOf(disk, error);
    } finally {
      this.#leavePlace(handle, disk);
    }
  }

  /** A disk that has failed meanwhile has kept it for nobody. */
  #kept(handle: ChunkHandle, disk: ServerDisk): void {
    if (disk.failedBy !== undefined) throw disk.failedBy;
    this.#lost.delete(handle);
  }

  #largeWrite(handle: ChunkHandle, disk: ServerDisk, write: LargeWrite): LargeWrite {
    let isOver = false;
    const end = (): void => {
      if (!isOver) this.#leavePlace(handle, disk);
      isOver = true;
    };
    return {
      write: async (pieces) => {
        try {
          await write.write(pieces);
        } catch (error) {
          throw failureOf(disk, error);
        }
      },
      finish: async (content, as) => {
        try {
          await write.finish(content, as);
          this.#kept(handle, disk);
          end();
        } catch (error) {
          throw failureOf(disk, error);
        }
      },
      abort: async () => {
        try {
          await write.abort();
        } catch (error) {
          if (!this.#isOver(disk, error)) throw error;
        } finally {
          end();
        }
      },
    };
  }

  async #removeOn(disk: ServerDisk, replicas: readonly ReplicaName[]): Promise<Removal> {
    const nothing = { removedCount: 0, refused: [] };
    const here = replicas.filter(({ handle }) => this.#foundOn(disk, handle) !== undefined);
    if (here.length === 0) return nothing;
    try {
      return await disk.store.remove(here);
    } catch (error) {
      if (this.#isOver(disk, error)) return nothing;
      throw error;
    }
  }

  async #pageOn(
    disk: ServerDisk,
    { after, count }: { readonly after: ChunkHandle | undefined; readonly count: number },
  ): Promise<readonly ListedReplica[]> {
    try {
      return await disk.store.page(after, count);
    } catch (error) {
      if (this.#isOver(disk, error)) return [];
      throw error;
    }
  }

  /** A damaged copy beside a good one of another disk is nobody's loss. */
  #damagedOnDisks(): readonly ChunkHandle[] {
    return this.#set.serving.flatMap((disk) => {
      return disk.store.damaged().filter((handle) => this.#place(handle)?.disk === disk);
    });
  }

  async #removeShadow(handle: ChunkHandle): Promise<number> {
    const best = this.#place(handle);
    if (best === undefined || this.#writing.has(handle)) return 0;
    let removed = 0;
    for (const disk of this.#set.serving) {
      const known = disk === best.disk ? undefined : this.#foundOn(disk, handle);
      if (known === undefined) continue;
      const { epoch } = known.version;
      removed += (await this.#removeOn(disk, [{ handle, epoch }])).removedCount;
    }
    return removed;
  }
}

/** Handles looked at in one step. */
const SHADOW_PAGE = 500;

function isBetter(one: KnownChunk, other: KnownChunk): boolean {
  const order = compareVersions(one.version, other.version);
  if (order !== 0) return 0 < order;
  return other.isDamaged && !one.isDamaged;
}

function isEnded(disk: ServerDisk): boolean {
  return disk.failedBy !== undefined;
}

/** V4. @throws LumeoError UNAVAILABLE */
function usable(disk: ServerDisk): ServerDisk {
  const { suspicion, folder } = disk;
  if (suspicion === "") return disk;
  const message = `Cannot use the disk at "${folder}" now: ${suspicion}; go to another server`;
  throw new LumeoError("UNAVAILABLE", message);
}

/** V2, for writers: they send the chunk elsewhere. */
function failureOf(disk: ServerDisk, error: unknown): unknown {
  if (!(error instanceof LumeoError) || error.code !== "CLOSED") return error;
  return disk.failedBy ?? error;
}

/** V2, for readers. */
function missingOn(disk: ServerDisk, handle: ChunkHandle, error: unknown): unknown {
  if (!(error instanceof LumeoError) || disk.failedBy === undefined) return error;
  const message = `Cannot read chunk ${handle}: its disk "${disk.folder}" has failed`;
  return new LumeoError("REPLICA_MISSING", message, { cause: error });
}
