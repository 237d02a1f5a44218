// A snapshot that is not whole yet: a file whose image grows from the front.
//
// A1. The header is written last: a file without it is never taken for a snapshot.
// A2. `sizeBytes` and `crc32c` cover exactly what was written completely, so the part can be
//     continued after its source has failed.

import { type Disk, type File, invariant, MiB } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import type { SnapshotMeta } from "../raft/entry.js";
import {
  encodeSnapshotHeader,
  SNAPSHOT_FOLDER,
  SNAPSHOT_HEADER_BYTES,
  type StoredSnapshot,
  snapshotPath,
} from "./snapshot-file.js";

/** So many bytes are synced at a time: one sync of a whole image would hold up that of the log. */
const SYNC_BYTES = 8 * MiB;

export class SnapshotPart {
  readonly #disk: Disk;
  readonly #path: string;
  #sizeBytes = 0;
  #crc32c = 0;
  #unsyncedBytes = 0;

  private constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
  }

  /** Makes an empty one. */
  static async create(disk: Disk, path: string): Promise<SnapshotPart> {
    const file = await disk.open(path, { create: true });
    try {
      await file.truncate(0);
    } finally {
      await file.close();
    }
    return new SnapshotPart(disk, path);
  }

  /** Bytes of the image that are here. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Of these bytes. */
  get crc32c(): number {
    return this.#crc32c;
  }

  /** Adds what the source gives. After a failure the part holds what came before it. */
  async append(pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const file = await this.#disk.open(this.#path, { create: false });
    try {
      for await (const piece of pieces) await this.#add(file, piece);
    } finally {
      await file.close();
    }
  }

  /** Makes it a whole snapshot under its name; when this resolves it is durable. */
  async finish(meta: SnapshotMeta): Promise<StoredSnapshot> {
    const stored = { meta, sizeBytes: this.#sizeBytes, crc32c: this.#crc32c };
    const header = encodeSnapshotHeader(stored);
    invariant(header.byteLength === SNAPSHOT_HEADER_BYTES, "header has another length");
    const file = await this.#disk.open(this.#path, { create: false });
    try {
      await file.sync();
      await file.writeAt([header], 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.rename(this.#path, snapshotPath(meta));
    await this.#disk.syncFolder(SNAPSHOT_FOLDER);
    return stored;
  }

  discard(): Promise<void> {
    return this.#disk.remove(this.#path);
  }

  async #add(file: File, piece: Uint8Array): Promise<void> {
    await file.writeAt([piece], SNAPSHOT_HEADER_BYTES + this.#sizeBytes);
    this.#crc32c = nativeCrc32c(piece, this.#crc32c);
    this.#sizeBytes += piece.byteLength;
    this.#unsyncedBytes += piece.byteLength;
    if (this.#unsyncedBytes < SYNC_BYTES) return;
    await file.sync();
    this.#unsyncedBytes = 0;
  }
}
