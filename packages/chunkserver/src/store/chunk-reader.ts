// Reading one chunk: every block is checked against the checksums in the chunk's log record.

import { BLOCK_BYTES, type Crc32c, type LumeoError, MiB } from "@lumeofs/base";
import { crcOfBlocks, firstBadBlock } from "@lumeofs/node/frames";
import type { ChunkVersion } from "../mutation/version.js";
import { crcsOfRange } from "./block-layout.js";
import type { ChunkFile, ChunkReader, Pace } from "./chunk-store.js";
import type { StoreRecord } from "./record.js";

type ChunkRecord = Extract<StoreRecord, { readonly kind: "chunk" }>;

interface Checks {
  readonly crc32c: Crc32c;
  /** Notes the damage; resolves to what the reader's user is told. */
  readonly damaged: (why: string) => Promise<LumeoError>;
}

const VERIFY_BYTES = 1 * MiB;

/** A chunk whose data is in its log record, which is in memory. */
export class LogChunkReader implements ChunkReader {
  readonly file = undefined;
  readonly #record: ChunkRecord;
  readonly #body: Uint8Array;
  readonly #checks: Checks;

  constructor(record: ChunkRecord, body: Uint8Array, checks: Checks) {
    this.#record = record;
    this.#body = body;
    this.#checks = checks;
  }

  get version(): ChunkVersion {
    return this.#record.version;
  }

  get length(): number {
    return this.#record.length;
  }

  get crc32c(): number {
    return this.#record.crc32c;
  }

  async read(offset: number, into: Uint8Array): Promise<Uint8Array> {
    const start = this.#record.dataAt + offset;
    into.set(this.#body.subarray(start, start + into.byteLength));
    return checked(this.#record, offset, into, this.#checks);
  }
}

/** How the file of a chunk is read. */
interface FileAccess {
  /** In the folder of its store. */
  readonly path: string;
  readonly readAt: (into: Uint8Array, offset: number) => Promise<number>;
}

/** A chunk with a file of its own. */
export class FileChunkReader implements ChunkReader {
  readonly #record: ChunkRecord;
  readonly #access: FileAccess;
  readonly #checks: Checks;

  constructor(record: ChunkRecord, access: FileAccess, checks: Checks) {
    this.#record = record;
    this.#access = access;
    this.#checks = checks;
  }

  get file(): ChunkFile {
    return { path: this.#access.path, crcs: this.#record.crcs };
  }

  get version(): ChunkVersion {
    return this.#record.version;
  }

  get length(): number {
    return this.#record.length;
  }

  get crc32c(): number {
    return this.#record.crc32c;
  }

  async read(offset: number, into: Uint8Array): Promise<Uint8Array> {
    const found = await this.#access.readAt(into, offset);
    if (found < into.byteLength) {
      throw await this.#checks.damaged(`its file ends at ${offset + found}`);
    }
    return checked(this.#record, offset, into, this.#checks);
  }
}

/** Reads a whole chunk; returns the CRC32C of what was read. @throws as `read` and `pace`. */
export async function verifyAll(reader: ChunkReader, pace: Pace): Promise<number> {
  const buffer = new Uint8Array(Math.min(VERIFY_BYTES, reader.length));
  let crc = 0;
  for (let offset = 0; offset < reader.length; offset += VERIFY_BYTES) {
    const part = buffer.subarray(0, Math.min(VERIFY_BYTES, reader.length - offset));
    await pace(part.byteLength);
    crc = crcOfBlocks(await reader.read(offset, part), part.byteLength, crc);
  }
  return crc;
}

async function checked(
  record: ChunkRecord,
  offset: number,
  bytes: Uint8Array,
  { crc32c, damaged }: Checks,
): Promise<Uint8Array> {
  const crcs = crcsOfRange(record.crcs, { start: offset, end: offset + bytes.byteLength });
  const bad = firstBadBlock([bytes], crcs, crc32c);
  if (bad === undefined) return crcs;
  throw await damaged(`block ${offset / BLOCK_BYTES + bad} does not have its checksum`);
}
