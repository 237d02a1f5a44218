// A sealed chunk leaves the log of tails and becomes an ordinary chunk of the store: one record or
// file with the checksum of every block, under the epoch, number and clock of its seal. So the
// copies of all members are the same record of one history.
//
// A large one is written ahead while it grows: what is committed never changes. So little is left
// to write when it is sealed, and those who append do not wait for all of it.

import {
  BLOCK_BYTES,
  type Crc32c,
  type Epoch,
  invariant,
  MiB,
  SMALL_CHUNK_BYTES_MAX,
} from "@lumeofs/base";
import { blockCrcs, crcOfBlocks } from "@lumeofs/node/frames";
import type { AppendRecord, Position } from "../replication/append-record.js";
import type { History } from "../replication/history.js";
import { APPENDABLE_BYTES_MAX } from "../replication/leading.js";
import type { ChunkContent, ChunkStore, CopiedChunk, LargeWrite } from "../store/chunk-store.js";
import type { TailReplica } from "./tail-replica.js";

/** What is checked and written at once: a multiple of the block size. */
const PART_BYTES = 1 * MiB;

export interface SealingPorts {
  readonly store: ChunkStore;
  readonly crc32c: Crc32c;
}

/**
 * Keeps what lies before this seal, which the replica has, as a sealed chunk. Durable when it
 * resolves; once more is harmless. A chunk without bytes leaves nothing.
 *
 * @param ahead  What was written ahead of it; it is over then.
 * @throws LumeoError CHECKSUM if a record is damaged; NO_SPACE, STORE_FAILED, CLOSED.
 */
export async function keepSealed(
  replica: TailReplica,
  seal: Position,
  ports: SealingPorts,
  ahead?: SealedCopy,
): Promise<void> {
  const { store, crc32c } = ports;
  const history = replica.state.history.upTo(seal.seq);
  const record = history.at(seal.seq);
  invariant(record?.content.kind === "seal", "the seal stands where it is said to", { ...seal });
  const { lengthBytes: length } = record.content;
  const known = store.find(replica.handle);
  const isKept = known?.version.epoch === record.epoch && !known.isDamaged;
  if (length === 0 || isKept) return ahead?.abort();
  if (SMALL_CHUNK_BYTES_MAX < length) {
    const copy = ahead ?? (await SealedCopy.begin(replica, ports, record.epoch));
    try {
      await copy.finish(history, record);
    } finally {
      await copy.abort();
    }
    return;
  }
  await ahead?.abort();
  const pieces: Uint8Array[] = [];
  for (const one of history.slice(1, history.lastSeq)) pieces.push(await replica.read(one));
  const content = contentOf(record, blockCrcs(pieces, crc32c));
  await store.putSmall(chunkOf(replica, record), content, pieces);
}

/** A sealed chunk that is being written. End it with `finish` or `abort`. */
export class SealedCopy {
  readonly #replica: TailReplica;
  readonly #crc32c: Crc32c;
  readonly #write: LargeWrite;
  readonly #part = new Uint8Array(PART_BYTES);
  readonly #crcs = new Uint8Array(4 * Math.ceil(APPENDABLE_BYTES_MAX / BLOCK_BYTES));
  #filled = 0;
  #writtenBytes = 0;
  #nextSeq = 1;

  private constructor(replica: TailReplica, crc32c: Crc32c, write: LargeWrite) {
    this.#replica = replica;
    this.#crc32c = crc32c;
    this.#write = write;
  }

  /** @throws LumeoError NO_SPACE, STORE_FAILED, CLOSED. */
  static async begin(
    replica: TailReplica,
    { store, crc32c }: SealingPorts,
    epoch: Epoch,
  ): Promise<SealedCopy> {
    // Which record it is kept under is said at the end: the seal is not written yet.
    const version = { epoch, seq: 1, clock: replica.state.history.clock };
    const write = await store.beginLarge({ handle: replica.handle, version });
    return new SealedCopy(replica, crc32c, write);
  }

  /** Bytes that were taken so far. */
  get bytes(): number {
    return this.#writtenBytes + this.#filled;
  }

  /** Takes the records up to this one, which are committed. @throws LumeoError CHECKSUM, … */
  async extend(history: History, toSeq: number): Promise<void> {
    for (; this.#nextSeq <= toSeq; this.#nextSeq++) {
      const record = history.at(this.#nextSeq);
      if (record?.content.kind !== "data") continue;
      const bytes = await this.#replica.read(record);
      for (let from = 0; from < bytes.byteLength; ) {
        const piece = bytes.subarray(from, from + PART_BYTES - this.#filled);
        this.#part.set(piece, this.#filled);
        this.#filled += piece.byteLength;
        from += piece.byteLength;
        if (this.#filled === PART_BYTES) await this.#writePart();
      }
    }
  }

  /** Makes it the chunk that this seal ends. */
  async finish(history: History, seal: AppendRecord): Promise<void> {
    await this.extend(history, seal.seq);
    if (0 < this.#filled) await this.#writePart();
    const crcs = this.#crcs.subarray(0, 4 * Math.ceil(this.#writtenBytes / BLOCK_BYTES));
    await this.#write.finish(contentOf(seal, crcs), chunkOf(this.#replica, seal));
  }

  /** Drops what was written. Harmless after `finish` or a second time. */
  abort(): Promise<void> {
    return this.#write.abort();
  }

  async #writePart(): Promise<void> {
    const part = this.#part.subarray(0, this.#filled);
    this.#crcs.set(blockCrcs([part], this.#crc32c), 4 * (this.#writtenBytes / BLOCK_BYTES));
    await this.#write.write([part]);
    this.#writtenBytes += this.#filled;
    this.#filled = 0;
  }
}

function chunkOf({ handle }: TailReplica, { epoch, seq, clock }: AppendRecord): CopiedChunk {
  return { handle, version: { epoch, seq, clock } };
}

function contentOf({ content }: AppendRecord, crcs: Uint8Array): ChunkContent {
  invariant(content.kind === "seal", "a chunk ends with its seal");
  const { lengthBytes: length, crc32c } = content;
  const found = crcOfBlocks(crcs, length);
  invariant(found === crc32c, "the seal has the checksum of its records", { found, crc32c });
  return { length, crc32c, crcs };
}
