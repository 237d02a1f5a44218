// Snapshots as files, in the folder `snapshots` of a disk: docs/formats/snapshot.md.
//
// N1. A file has its final name only when it is complete and synced.
// N2. A failure of the disk passes through: the caller stops using it.
// N3. Names are made and removed one at a time, in the order of the calls: a removal that is under
//     way never meets a new file of the same name.
// N4. At most one snapshot is being received. What is here of it stays when its source breaks off;
//     only the very same snapshot goes on there.

import { type Disk, KiB, LumeoError } from "@lumeofs/base";
import type { LogIndex, SnapshotMeta } from "../raft/entry.js";
import {
  isSameSnapshot,
  readSnapshotHeader,
  SNAPSHOT_ENDING,
  SNAPSHOT_FOLDER,
  SNAPSHOT_HEADER_BYTES,
  type SnapshotPlace,
  type StoredSnapshot,
  snapshotPath,
} from "./snapshot-file.js";
import { SnapshotPart } from "./snapshot-part.js";
import { SnapshotSource } from "./snapshot-source.js";

const PART = ".part";

/** A file is read, and sent, in pieces of this size. */
export const SNAPSHOT_PIECE_BYTES = 256 * KiB;

/** Bytes that come from elsewhere. */
export interface SnapshotArrival {
  /** Where in the image they begin. */
  readonly offset: number;
  readonly pieces: AsyncIterable<Uint8Array>;
  /** Gives the transfer up; what has come stays. */
  readonly signal: AbortSignal;
}

interface Incoming {
  readonly expected: StoredSnapshot;
  readonly part: SnapshotPart;
}

export class SnapshotStore {
  readonly #disk: Disk;
  #stored: StoredSnapshot[];
  #parts = 0;
  #incoming: Incoming | undefined;
  /** The last change of a name. (N3) */
  #naming: Promise<unknown> = Promise.resolve();

  private constructor(disk: Disk, stored: readonly StoredSnapshot[]) {
    this.#disk = disk;
    this.#stored = [...stored];
  }

  /**
   * Finds what is there, and removes what was not finished.
   *
   * A file whose header is damaged is removed too: a snapshot can be made or asked for again.
   */
  static async open(disk: Disk): Promise<SnapshotStore> {
    await disk.makeFolder(SNAPSHOT_FOLDER);
    await disk.syncFolder("");
    const stored: StoredSnapshot[] = [];
    for (const name of await disk.list(SNAPSHOT_FOLDER)) {
      const isWhole = name.endsWith(SNAPSHOT_ENDING);
      const found = isWhole ? await readSnapshotHeader(disk, name) : undefined;
      if (found === undefined) await disk.remove(`${SNAPSHOT_FOLDER}/${name}`);
      else stored.push(found);
    }
    return new SnapshotStore(disk, stored);
  }

  /** The one with the highest index. */
  get newest(): StoredSnapshot | undefined {
    return this.#stored.at(-1);
  }

  /** The one that stands for exactly this. */
  find(place: SnapshotPlace): StoredSnapshot | undefined {
    return this.#stored.find(({ meta }) => snapshotPath(meta) === snapshotPath(place));
  }

  /**
   * Writes a snapshot from its pieces; when this resolves it is durable. A failure of the pieces
   * passes through, and nothing is kept.
   */
  async write(meta: SnapshotMeta, pieces: AsyncIterable<Uint8Array>): Promise<StoredSnapshot> {
    const part = await this.#newPart();
    try {
      await part.append(pieces);
    } catch (error) {
      await part.discard();
      throw error;
    }
    return this.#keep(part, meta);
  }

  /**
   * Bytes of this very snapshot that are here, whole or in part: a transfer goes on behind them.
   */
  held(expected: StoredSnapshot): number {
    if (this.#findSame(expected) !== undefined) return expected.sizeBytes;
    const { part, expected: begun } = this.#incoming ?? {};
    return begun !== undefined && isSameSnapshot(begun, expected) ? (part?.sizeBytes ?? 0) : 0;
  }

  /**
   * Takes bytes of a snapshot that come from elsewhere. Calls are not overlapped by the caller.
   *
   * @returns  The snapshot once it is whole, and durable. Undefined if it is not: the source broke
   *           off, and what came stays (N4); or the bytes are not the expected ones, or begin
   *           elsewhere than `held` said, and nothing was changed or all of them were dropped.
   */
  async receive(
    expected: StoredSnapshot,
    arrival: SnapshotArrival,
  ): Promise<StoredSnapshot | undefined> {
    const whole = this.#findSame(expected);
    if (whole !== undefined) return whole;
    const part = await this.#partFor(expected, arrival.offset);
    if (part === undefined) return undefined;
    const room = expected.sizeBytes - part.sizeBytes;
    const source = new SnapshotSource(arrival.pieces, room, arrival.signal);
    try {
      await part.append(source.pieces());
    } catch (error) {
      if (source.failure !== undefined) return undefined;
      this.#incoming = undefined;
      await part.discard();
      throw error;
    }
    if (part.sizeBytes < expected.sizeBytes) return undefined;
    this.#incoming = undefined;
    if (part.crc32c === expected.crc32c) return this.#keep(part, expected.meta);
    await part.discard();
    return undefined;
  }

  /** The image in a snapshot from a byte on. Its frames carry their own checksums. */
  async *read(snapshot: StoredSnapshot, from = 0): AsyncIterable<Uint8Array> {
    const path = snapshotPath(snapshot.meta);
    const file = await this.#disk.open(path, { create: false });
    try {
      let at = from;
      while (at < snapshot.sizeBytes) {
        const piece = new Uint8Array(Math.min(SNAPSHOT_PIECE_BYTES, snapshot.sizeBytes - at));
        const count = await file.readAt(piece, SNAPSHOT_HEADER_BYTES + at);
        if (count < piece.byteLength) {
          throw new LumeoError("CORRUPT", `Cannot read "${path}": it is cut short`);
        }
        at += count;
        yield piece;
      }
    } finally {
      await file.close();
    }
  }

  /** Removes what is older than this. */
  async prune(below: LogIndex): Promise<void> {
    const old = this.#stored.filter((stored) => stored.meta.index < below);
    for (const stored of old) await this.remove(stored);
  }

  remove(snapshot: StoredSnapshot): Promise<void> {
    if (!this.#stored.includes(snapshot)) return this.#serially(async () => {});
    this.#stored = this.#stored.filter((stored) => stored !== snapshot);
    return this.#serially(() => this.#disk.remove(snapshotPath(snapshot.meta)));
  }

  #findSame(expected: StoredSnapshot): StoredSnapshot | undefined {
    return this.#stored.find((stored) => isSameSnapshot(stored, expected));
  }

  /** Where the bytes go; undefined if they would leave a gap, or belong to what is not here. */
  async #partFor(expected: StoredSnapshot, offset: number): Promise<SnapshotPart | undefined> {
    const begun = this.#incoming;
    const isSame = begun !== undefined && isSameSnapshot(begun.expected, expected);
    if (isSame && begun.part.sizeBytes === offset) return begun.part;
    if (offset !== 0) return undefined;
    this.#incoming = undefined;
    await begun?.part.discard();
    const part = await this.#newPart();
    this.#incoming = { expected, part };
    return part;
  }

  #newPart(): Promise<SnapshotPart> {
    this.#parts += 1;
    return SnapshotPart.create(this.#disk, `${SNAPSHOT_FOLDER}/${this.#parts}${PART}`);
  }

  #keep(part: SnapshotPart, meta: SnapshotMeta): Promise<StoredSnapshot> {
    return this.#serially(async () => {
      const stored = await part.finish(meta);
      const others = this.#stored.filter(
        (other) => snapshotPath(other.meta) !== snapshotPath(meta),
      );
      this.#stored = [...others, stored].sort((a, b) => a.meta.index - b.meta.index);
      return stored;
    });
  }

  #serially<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#naming.then(change);
    this.#naming = done.catch(() => {});
    return done;
  }
}
