// The face of a chunkserver's store: DiskChunkStore on one disk, ChunkDisks over several of them.

import type { ChunkHandle, Closable, Epoch, ServerId } from "@lumeofs/base";
import type { ChunkVersion } from "../mutation/version.js";

/** A chunk about to be written, and the primary that orders the write. */
export interface NewChunk {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
  readonly author: ServerId;
}

/** A replica about to be made from that of another server: its record is taken over. */
export interface CopiedChunk {
  readonly handle: ChunkHandle;
  readonly version: ChunkVersion;
}

/** What a store knows of a chunk without reading it. */
export interface KnownChunk {
  readonly version: ChunkVersion;
  readonly length: number;
  readonly crc32c: number;
  readonly isDamaged: boolean;
}

/** Asked before each piece of a long work; resolves when it may go on. */
export type Pace = (bytes: number) => Promise<void>;

/** A chunk as of an epoch. */
export interface ReplicaName {
  readonly handle: ChunkHandle;
  readonly epoch: Epoch;
}

/** A chunk as a listing names it. */
export interface ListedReplica extends ReplicaName {
  readonly length: number;
  /** Of the whole chunk, as it was written. */
  readonly crc32c: number;
  readonly isDamaged: boolean;
}

export interface ChunkContent {
  readonly length: number;
  /** Of the whole chunk. */
  readonly crc32c: number;
  /** CRC32C of each 64 KiB block, little-endian, one behind the other. */
  readonly crcs: Uint8Array;
}

export interface LargeWriteOptions {
  /** It will hardly be read from here soon: it need not take the machine's memory. */
  readonly uncached?: boolean;
}

/** Everything is durable when its promise resolves, unless a method says something else. */
export interface ChunkStore extends Closable {
  /**
   * Stores a whole chunk of at most SMALL_CHUNK_BYTES_MAX bytes, whose checksums are verified. The
   * same chunk once more is harmless. The payload must stay unchanged until the promise settles.
   *
   * @throws LumeoError CONFLICT, STALE_EPOCH, NO_SPACE, STORE_FAILED, CLOSED.
   */
  putSmall(
    chunk: NewChunk | CopiedChunk,
    content: ChunkContent,
    payload: readonly Uint8Array[],
  ): Promise<void>;

  /** Begins to store a chunk of any size. @throws LumeoError NO_SPACE, STORE_FAILED, CLOSED. */
  beginLarge(chunk: NewChunk | CopiedChunk, options?: LargeWriteOptions): Promise<LargeWrite>;

  /** Undefined if it is not here. @throws LumeoError STORE_FAILED, CLOSED. */
  find(handle: ChunkHandle): KnownChunk | undefined;

  /**
   * Opens a chunk for reading.
   *
   * @throws LumeoError REPLICA_MISSING, STALE_EPOCH (it is of another epoch), CHECKSUM (it is known
   *         to be damaged), STORE_FAILED, CLOSED.
   */
  open(handle: ChunkHandle, epoch: Epoch): Promise<ChunkReader>;

  /**
   * Reads a chunk through and checks it.
   *
   * @param pace  Asked before each read of the disk; what it throws ends the work.
   */
  verify(handle: ChunkHandle, pace?: Pace): Promise<Verdict>;

  /**
   * Forgets chunks of these epochs or of earlier ones; those that are not here are ignored. A
   * later epoch is what somebody has written since the order was given: it stays (rule 22).
   */
  remove(replicas: readonly ReplicaName[]): Promise<Removal>;

  /** Up to `count` chunks with handles above `after`, rising; fewer only if there are no more. */
  page(after: ChunkHandle | undefined, count: number): Promise<readonly ListedReplica[]>;

  /** Chunks that are here but not as they were written. */
  damaged(): readonly ChunkHandle[];

  status(): StoreStatus;
}

/** What a look at files has found. */
export interface FileLook {
  /** The highest handle that was looked at; undefined if there was none left. */
  readonly last: ChunkHandle | undefined;
  /** Chunks whose file is gone, as nobody knew before. */
  readonly lost: number;
}

/** A chunk on its way to the disk. End it with `finish` or `abort`. */
export interface LargeWrite {
  /**
   * Writes the next bytes, whose checksums are verified. Resolves when the bytes may be changed
   * again; they are not durable then. May be called again before that.
   */
  write(pieces: readonly Uint8Array[]): Promise<void>;
  /**
   * Makes the chunk durable and visible.
   *
   * @param as  Its record, if that was not known at the beginning; of the same handle.
   * @throws LumeoError as `putSmall`.
   */
  finish(content: ChunkContent, as?: CopiedChunk): Promise<void>;
  /** Drops what was written. Harmless after `finish` or a second time. */
  abort(): Promise<void>;
}

/** A file that holds one chunk and nothing else. It is never written again. */
export interface ChunkFile {
  /** In the folder of its store. */
  readonly path: string;
  /** Of all blocks of the chunk. */
  readonly crcs: Uint8Array;
}

export interface ChunkReader {
  readonly version: ChunkVersion;
  readonly length: number;
  readonly crc32c: number;
  /** Undefined if the chunk lies in a log. */
  readonly file: ChunkFile | undefined;
  /**
   * Fills `into` with whole blocks from `offset`, a multiple of the block size, and checks them.
   *
   * @returns The checksums of those blocks.
   * @throws  LumeoError CHECKSUM if a block is not what was written; STORE_FAILED.
   */
  read(offset: number, into: Uint8Array): Promise<Uint8Array>;
}

export interface Removal {
  readonly removedCount: number;
  /** Of a later epoch here than was named. */
  readonly refused: readonly ChunkHandle[];
}

export type Verdict =
  | { readonly kind: "intact"; readonly length: number; readonly crc32c: number }
  | { readonly kind: "damaged"; readonly why: string }
  | { readonly kind: "missing" };

export interface StoreStatus {
  readonly state: "serving" | "readOnly" | "failed";
  readonly chunkCount: number;
  /** No chunk that is, or since the start was, here has a higher one; 0 for none. */
  readonly highestHandle: number;
  /** Bytes on the disk, with what is dead and not yet reclaimed. */
  readonly usedBytes: number;
  readonly capacityBytes: number;
  /** What may still be written. */
  readonly freeBytes: number;
}
