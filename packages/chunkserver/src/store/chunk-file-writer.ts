// Writes one chunk file as its bytes come, straight from the received buffers.
//
// The disk is kept busy from the first bytes on: every 8 MiB a sync begins in the background, so
// that little is left for the last one, which the writer of the chunk waits for. Of a file that
// need not be cached the disk has most already when a write ends, and syncs are rarer.

import { type Disk, type File, MiB } from "@lumeofs/base";

const SYNC_EVERY_BYTES = 8 * MiB;
const SYNC_UNCACHED_EVERY_BYTES = 32 * MiB;
/**
 * The kernel takes memory for its cache in pieces as large as a write. Those of 2 MiB and more may
 * have been given back to the host of a virtual machine: then a write costs four to ten times more.
 */
const WRITE_CACHED_BYTES_MAX = 1 * MiB;
const WRITE_UNCACHED_BYTES_MAX = 4 * MiB;

interface Part {
  readonly pieces: readonly Uint8Array[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Where a chunk file is made. */
export interface ChunkFilePlace {
  readonly path: string;
  /** The folder that holds its name. */
  readonly folder: string;
  readonly uncached: boolean;
}

/** A new file that grows at its end. Any rejection comes from the disk and is final. */
export class ChunkFileWriter {
  readonly #file: File;
  readonly #named: Promise<void>;
  readonly #syncEveryBytes: number;
  readonly #writeBytesMax: number;
  readonly #waiting: Part[] = [];
  #position = 0;
  #unsyncedBytes = 0;
  #syncing: Promise<void> | undefined;
  #writing: Promise<void> | undefined;
  #failure: { readonly cause: unknown } | undefined;

  private constructor(file: File, named: Promise<void>, uncached: boolean) {
    this.#file = file;
    this.#named = named;
    this.#syncEveryBytes = uncached ? SYNC_UNCACHED_EVERY_BYTES : SYNC_EVERY_BYTES;
    this.#writeBytesMax = uncached ? WRITE_UNCACHED_BYTES_MAX : WRITE_CACHED_BYTES_MAX;
    named.catch((cause: unknown) => this.#fail(cause));
  }

  /**
   * Creates the file; its name becomes durable behind the scenes, at the latest with `sync`.
   *
   * @param place  Where, and whether what is written need not be cached.
   */
  static async create(disk: Disk, place: ChunkFilePlace): Promise<ChunkFileWriter> {
    const { path, folder, uncached } = place;
    const file = await disk.open(path, { create: true, uncached });
    return new ChunkFileWriter(file, disk.syncFolder(folder), uncached);
  }

  /** Resolves when the pieces may be changed again. Calls may overlap; order is kept. */
  write(pieces: readonly Uint8Array[]): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure.cause);
    const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ pieces, bytes, resolve, reject });
      this.#writing ??= this.#writeAll();
    });
  }

  /** Makes everything written and the name durable. */
  async sync(): Promise<void> {
    await this.#writing;
    await this.#named;
    await this.#syncedBehind();
    if (this.#failure !== undefined) throw this.#failure.cause;
    if (0 < this.#unsyncedBytes) await this.#file.sync();
    this.#unsyncedBytes = 0;
  }

  /** Waits for what is under way and closes. Rejects if the disk has failed at any time. */
  async close(): Promise<void> {
    await this.#writing;
    await Promise.allSettled([this.#named]);
    await this.#syncedBehind();
    await this.#file.close();
    if (this.#failure !== undefined) throw this.#failure.cause;
  }

  /** No sync is under way behind: the end of one may begin another. */
  async #syncedBehind(): Promise<void> {
    while (this.#syncing !== undefined) await this.#syncing;
  }

  async #writeAll(): Promise<void> {
    for (let group = this.#takeGroup(); 0 < group.length; group = this.#takeGroup()) {
      const bytes = group.reduce((sum, part) => sum + part.bytes, 0);
      try {
        await this.#file.writeAt(
          group.flatMap((part) => part.pieces),
          this.#position,
        );
      } catch (cause) {
        this.#fail(cause);
        for (const part of [...group, ...this.#waiting.splice(0)]) part.reject(cause);
        break;
      }
      this.#position += bytes;
      this.#unsyncedBytes += bytes;
      for (const part of group) part.resolve();
      this.#syncBehind();
    }
    this.#writing = undefined;
  }

  /** Calls of `write` that are written at once: one at least, whatever its size. */
  #takeGroup(): Part[] {
    let [count, bytes] = [0, 0];
    for (const part of this.#waiting) {
      bytes += part.bytes;
      if (0 < count && this.#writeBytesMax < bytes) break;
      count++;
    }
    return this.#waiting.splice(0, count);
  }

  #syncBehind(): void {
    if (this.#unsyncedBytes < this.#syncEveryBytes || this.#syncing !== undefined) return;
    this.#unsyncedBytes = 0;
    this.#syncing = this.#file.sync().then(
      () => {
        this.#syncing = undefined;
        this.#syncBehind();
      },
      (cause: unknown) => {
        this.#syncing = undefined;
        this.#fail(cause);
      },
    );
  }

  #fail(cause: unknown): void {
    this.#failure ??= { cause };
  }
}
