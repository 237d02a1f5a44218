/**
 * A folder of files, as the stores see it.
 *
 * Paths are relative to the folder, with "/" between parts. A write is durable only after `sync` of
 * the file; a new, renamed or removed name only after `syncFolder` of the folder that holds it.
 * Every method may reject; a store treats any rejection as the end of its use of the disk.
 */
export interface Disk {
  /** Opens for reading and writing. */
  open(path: string, options: OpenOptions): Promise<File>;
  /** Names in a folder, sorted; empty if the folder is missing. */
  list(folder: string): Promise<readonly string[]>;
  exists(path: string): Promise<boolean>;
  makeFolder(path: string): Promise<void>;
  /** Replaces `to` atomically if it is there. */
  rename(from: string, to: string): Promise<void>;
  /** Fails if the file is missing. */
  remove(path: string): Promise<void>;
  syncFolder(path: string): Promise<void>;
  /** Bytes of the file system: what it holds and what is left to us. */
  space(): Promise<{ readonly totalBytes: number; readonly freeBytes: number }>;
}

export interface OpenOptions {
  /** Makes the file if it is missing. */
  readonly create: boolean;
  /**
   * What is written will hardly be read soon: it need not take memory. A hint; what is promised of
   * a write is the same.
   */
  readonly uncached?: boolean;
}

/** One open file. Positions and lengths are in bytes. */
export interface File {
  /** Fills `into` from `position`; returns how many bytes there were (less only at the end). */
  readAt(into: Uint8Array, position: number): Promise<number>;
  /** Writes all parts one behind the other from `position`. The caller keeps them unchanged. */
  writeAt(parts: readonly Uint8Array[], position: number): Promise<void>;
  /**
   * As `writeAt`; when it resolves, these bytes and the length up to their end are durable. Says
   * nothing about earlier writes. One trip to the kernel where `writeAt` and `sync` are two.
   */
  writeDurably(parts: readonly Uint8Array[], position: number): Promise<void>;
  /** Makes all earlier writes of this file durable, with the length (fdatasync). */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}
