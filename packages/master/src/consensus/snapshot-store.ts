// Snapshots as files, in the folder `snapshots` of a disk: docs/formats/snapshot.md.
//
// N1. A file has its final name only when it is complete and synced.
// N2. A failure of the disk passes through: the caller stops using it.

import { ByteReader, ByteWriter, type Disk, type File, KiB, LumeoError, MiB } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { type LogIndex, logIndex, type SnapshotMeta, term } from "../raft/entry.js";
import { decodeMembership, encodeMembership } from "../raft/membership.js";

const FOLDER = "snapshots";
const PART = ".part";
const ENDING = ".snapshot";
const MAGIC = new TextEncoder().encode("LUMEOSNP");
const VERSION = 1;
const HEADER_BYTES = 32 * KiB;

/** A file is read, and sent, in pieces of this size. */
export const SNAPSHOT_PIECE_BYTES = 1 * MiB;

/** A whole snapshot on the disk. */
export interface StoredSnapshot {
  readonly meta: SnapshotMeta;
  readonly sizeBytes: number;
  readonly crc32c: number;
}

/** The place in the log that a snapshot stands for. */
export type SnapshotPlace = Pick<SnapshotMeta, "index" | "term">;

/** What is expected of bytes that come from elsewhere. */
export type ExpectedSnapshot = StoredSnapshot;

export class SnapshotStore {
  readonly #disk: Disk;
  #stored: StoredSnapshot[];
  #parts = 0;

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
    await disk.makeFolder(FOLDER);
    await disk.syncFolder("");
    const stored: StoredSnapshot[] = [];
    for (const name of await disk.list(FOLDER)) {
      const found = name.endsWith(ENDING) ? await readHeader(disk, name) : undefined;
      if (found === undefined) await disk.remove(`${FOLDER}/${name}`);
      else stored.push(found);
    }
    return new SnapshotStore(disk, stored);
  }

  /** The one with the highest index. */
  get newest(): StoredSnapshot | undefined {
    return this.#stored.at(-1);
  }

  /** The one that stands for exactly this. */
  find(meta: SnapshotPlace): StoredSnapshot | undefined {
    return this.#stored.find((stored) => pathOf(stored.meta) === pathOf(meta));
  }

  /** Writes a snapshot from its pieces; when this resolves it is durable. */
  async write(meta: SnapshotMeta, pieces: AsyncIterable<Uint8Array>): Promise<StoredSnapshot> {
    return this.#keep(await this.#writePart(pieces), meta);
  }

  /**
   * Takes a snapshot whose bytes come from elsewhere; when this resolves it is durable.
   *
   * @returns  Undefined if the bytes are not the expected ones, or the source failed: nothing is
   *           kept then.
   */
  async receive(
    expected: ExpectedSnapshot,
    pieces: AsyncIterable<Uint8Array>,
  ): Promise<StoredSnapshot | undefined> {
    const source = new Source(pieces, expected.sizeBytes);
    let part: Part;
    try {
      part = await this.#writePart(source.pieces());
    } catch (error) {
      if (source.failure === undefined) throw error;
      return undefined;
    }
    if (part.sizeBytes !== expected.sizeBytes || part.crc32c !== expected.crc32c) {
      await this.#disk.remove(part.path);
      return undefined;
    }
    return this.#keep(part, expected.meta);
  }

  /** The image in a snapshot. Its frames carry their own checksums. */
  async *read(snapshot: StoredSnapshot): AsyncIterable<Uint8Array> {
    const file = await this.#disk.open(pathOf(snapshot.meta), { create: false });
    try {
      let at = 0;
      while (at < snapshot.sizeBytes) {
        const piece = new Uint8Array(Math.min(SNAPSHOT_PIECE_BYTES, snapshot.sizeBytes - at));
        const count = await file.readAt(piece, HEADER_BYTES + at);
        if (count < piece.byteLength) {
          throw new LumeoError(
            "CORRUPT",
            `Cannot read "${pathOf(snapshot.meta)}": it is cut short`,
          );
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

  async remove(snapshot: StoredSnapshot): Promise<void> {
    this.#stored = this.#stored.filter((stored) => stored !== snapshot);
    await this.#disk.remove(pathOf(snapshot.meta));
  }

  async #writePart(pieces: AsyncIterable<Uint8Array>): Promise<Part> {
    this.#parts += 1;
    const path = `${FOLDER}/${this.#parts}${PART}`;
    const file = await this.#disk.open(path, { create: true });
    try {
      await file.truncate(0);
      const image = await writeImage(file, pieces);
      await file.sync();
      return { path, ...image };
    } catch (error) {
      await this.#disk.remove(path);
      throw error;
    } finally {
      await file.close();
    }
  }

  async #keep(part: Part, meta: SnapshotMeta): Promise<StoredSnapshot> {
    const stored = { meta, sizeBytes: part.sizeBytes, crc32c: part.crc32c };
    const file = await this.#disk.open(part.path, { create: false });
    try {
      await file.writeAt([encodeHeader(stored)], 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await this.#disk.rename(part.path, pathOf(meta));
    await this.#disk.syncFolder(FOLDER);
    this.#stored = this.#stored.filter((other) => pathOf(other.meta) !== pathOf(meta));
    this.#stored.push(stored);
    this.#stored.sort((a, b) => a.meta.index - b.meta.index);
    return stored;
  }
}

interface Part {
  readonly path: string;
  readonly sizeBytes: number;
  readonly crc32c: number;
}

/** Bytes from elsewhere: bounded, and their failure can be told from one of the disk. */
class Source {
  readonly #pieces: AsyncIterable<Uint8Array>;
  readonly #bytesMax: number;
  failure: unknown;

  constructor(pieces: AsyncIterable<Uint8Array>, bytesMax: number) {
    this.#pieces = pieces;
    this.#bytesMax = bytesMax;
  }

  async *pieces(): AsyncIterable<Uint8Array> {
    const reading = this.#pieces[Symbol.asyncIterator]();
    let bytes = 0;
    try {
      for (let next = await this.#next(reading); !next.done; next = await this.#next(reading)) {
        bytes += next.value.byteLength;
        if (this.#bytesMax < bytes) {
          this.failure = new LumeoError("PROTOCOL", "Snapshot is longer than announced");
          throw this.failure;
        }
        yield next.value;
      }
    } finally {
      await reading.return?.();
    }
  }

  async #next(reading: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array>> {
    try {
      return await reading.next();
    } catch (error) {
      this.failure = error ?? new LumeoError("CONNECTION_LOST", "Snapshot ended early");
      throw error;
    }
  }
}

async function writeImage(
  file: File,
  pieces: AsyncIterable<Uint8Array>,
): Promise<{ readonly sizeBytes: number; readonly crc32c: number }> {
  let [sizeBytes, crc32c] = [0, 0];
  for await (const piece of pieces) {
    await file.writeAt([piece], HEADER_BYTES + sizeBytes);
    crc32c = nativeCrc32c(piece, crc32c);
    sizeBytes += piece.byteLength;
  }
  return { sizeBytes, crc32c };
}

function encodeHeader(stored: StoredSnapshot): Uint8Array {
  const { meta } = stored;
  const writer = new ByteWriter(HEADER_BYTES)
    .bytes(MAGIC)
    .u16(VERSION)
    .u53(meta.index)
    .u53(meta.term)
    .u53(stored.sizeBytes)
    .u32(stored.crc32c)
    .sized(encodeMembership(meta.membership));
  writer.u32(nativeCrc32c(writer.finish()));
  return writer.bytes(new Uint8Array(HEADER_BYTES - writer.length)).finish();
}

/** Undefined if the header is not as it was written. */
async function readHeader(disk: Disk, name: string): Promise<StoredSnapshot | undefined> {
  const file = await disk.open(`${FOLDER}/${name}`, { create: false });
  try {
    const bytes = new Uint8Array(HEADER_BYTES);
    if ((await file.readAt(bytes, 0)) < HEADER_BYTES) return undefined;
    const stored = decodeHeader(bytes);
    const size = await file.size();
    return size === HEADER_BYTES + stored.sizeBytes ? stored : undefined;
  } catch (error) {
    if (error instanceof LumeoError && error.code === "CORRUPT") return undefined;
    throw error;
  } finally {
    await file.close();
  }
}

function decodeHeader(bytes: Uint8Array): StoredSnapshot {
  const reader = new ByteReader(bytes);
  if (Buffer.compare(reader.bytes(MAGIC.byteLength), MAGIC) !== 0 || reader.u16() !== VERSION) {
    throw new LumeoError("CORRUPT", "Cannot read snapshot: this is not its header");
  }
  const [index, lastTerm] = [logIndex(reader.u53()), term(reader.u53())];
  const [sizeBytes, crc32c] = [reader.u53(), reader.u32()];
  const membership = reader.sized();
  if (nativeCrc32c(bytes.subarray(0, reader.position)) !== reader.u32()) {
    throw new LumeoError("CORRUPT", "Cannot read snapshot: CRC32C of its header does not match");
  }
  const meta = { index, term: lastTerm, membership: decodeMembership(membership) };
  return { meta, sizeBytes, crc32c };
}

function pathOf(meta: SnapshotPlace): string {
  const digits = (n: number) => String(n).padStart(16, "0");
  return `${FOLDER}/${digits(meta.index)}-${digits(meta.term)}${ENDING}`;
}
