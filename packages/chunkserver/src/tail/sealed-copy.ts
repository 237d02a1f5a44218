// A growing chunk as the sealed one that it will be: a chunk file that is written while the chunk
// grows, so that little is left at the seal, and those who append do not wait for all of it.
//
// C1. What is given to the disk is committed, so it never changes. What is only durable is kept in
//     memory, a few parts of it, and is cut off when it is replaced.
// C2. It begins in memory, and gets its file when it is worth one (`open`).
// C3. Records are taken as they become durable, from the memory in which they came. What finds no
//     room is read from the log later (`extend`), up to what is not durable yet: so a copy that is
//     behind catches up, and the next record is taken again.
// C4. Which chunk it is, and that it is whole, is decided by its seal alone: without a record in
//     the log of sealed chunks the file is nobody's.

import {
  BLOCK_BYTES,
  type ChunkHandle,
  type Crc32c,
  type Epoch,
  invariant,
  LumeoError,
} from "@lumeofs/base";
import { blockCrcs, crcOfBlocks } from "@lumeofs/node/frames";
import { type AppendRecord, dataBytes } from "../replication/append-record.js";
import type { History } from "../replication/history.js";
import { APPENDABLE_BYTES_MAX } from "../replication/leading.js";
import type { ChunkContent, ChunkStore, CopiedChunk, LargeWrite } from "../store/chunk-store.js";
import { PART_BYTES, type PartPool } from "./part-pool.js";
import type { TailReplica } from "./tail-replica.js";

/** Parts of one copy, those that are being written included. */
const COPY_PARTS_MAX = 8;

/** A growing chunk, as far as its copy has to do with it. */
export type GrownChunk = Pick<TailReplica, "handle" | "state" | "read" | "isDurable">;

export interface SealedCopyPorts {
  readonly store: Pick<ChunkStore, "beginLarge">;
  readonly crc32c: Crc32c;
  readonly parts: PartPool;
}

/** What is read from the log, how room is made for it, and where more comes from. */
interface Reading {
  readonly toSeq: number;
  readonly pass: () => void;
  readonly part: () => Uint8Array | undefined;
}

/** See the head of this file. End it with `finish` or `abort`. */
export class SealedCopy {
  readonly #replica: GrownChunk;
  readonly #ports: SealedCopyPorts;
  #write: LargeWrite | undefined;
  readonly #crcs = new Uint8Array(4 * Math.ceil(APPENDABLE_BYTES_MAX / BLOCK_BYTES));
  /** Taken and not given to the disk: full ones, and the last. */
  #parts: Uint8Array[] = [];
  #givenBytes = 0;
  #takenBytes = 0;
  #takenSeq = 0;
  /** Settles when the disk has what was given to it. */
  #writing: Promise<unknown> = Promise.resolve();
  #writingCount = 0;
  #failedBy: { readonly cause: unknown } | undefined;
  #isReading = false;
  #isOver = false;

  constructor(replica: GrownChunk, ports: SealedCopyPorts) {
    this.#replica = replica;
    this.#ports = ports;
  }

  /** Gives it a file, if it has none (C2). @throws LumeoError NO_SPACE, STORE_FAILED, CLOSED. */
  async open(epoch: Epoch): Promise<void> {
    if (this.#write !== undefined || this.#isOver) return;
    // Which record it is kept under is said at the end: the seal is not written yet.
    const version = { epoch, seq: 1, clock: this.#replica.state.history.clock };
    const chunk = { handle: this.#replica.handle, version };
    const write = await this.#ports.store.beginLarge(chunk, { uncached: true });
    if (this.#isOver) return write.abort();
    this.#write = write;
    this.pass();
  }

  get isOpen(): boolean {
    return this.#write !== undefined;
  }

  /** Bytes that were taken so far. */
  get bytes(): number {
    return this.#takenBytes;
  }

  /** Takes a record that is durable now, if it is the next one and there is room (C3). */
  take(record: AppendRecord, bytes: Uint8Array | undefined): void {
    if (this.#isReading || this.#isOver || record.seq !== this.#takenSeq + 1) return;
    if (this.#hasRoomFor(dataBytes(record))) this.#put(record, bytes);
  }

  /** What follows this history is replaced. */
  cut(kept: History): void {
    if (this.#isOver || this.#takenSeq <= kept.lastSeq) return;
    this.#takenSeq = kept.lastSeq;
    this.#takenBytes = kept.lengthBytes;
    invariant(this.#givenBytes <= this.#takenBytes, "what is committed is never replaced");
  }

  /** Gives the disk what is full and committed (C1). */
  pass(): void {
    const { history, commitSeq } = this.#replica.state;
    this.#giveUpTo(history.endOf(commitSeq));
  }

  /**
   * Reads from the log what was not taken when it came, as far as there is room.
   *
   * @throws LumeoError CHECKSUM if a record is damaged; what was not written before.
   */
  async extend(): Promise<void> {
    await this.#read({ toSeq: Infinity, pass: () => this.pass(), part: this.#tryTake });
    this.#check();
  }

  /** Makes it the chunk that this seal ends; the seal is committed. @throws LumeoError */
  async finish(seal: AppendRecord): Promise<void> {
    const { seq: toSeq } = seal;
    await this.open(seal.epoch);
    const { parts } = this.#ports;
    // The seal is committed, so all before it is, whether this replica has heard so or not.
    const pass = (): void => this.#giveUpTo(this.#takenBytes);
    await this.#read({ toSeq, pass, part: () => parts.take() });
    this.#check();
    if (this.#takenSeq < toSeq) throw leftHistory(this.#replica.handle);
    while (this.#givenBytes < this.#takenBytes) {
      this.#give(Math.min(PART_BYTES, this.#takenBytes - this.#givenBytes));
    }
    await this.#writing;
    this.#check();
    const crcs = this.#crcs.subarray(0, 4 * Math.ceil(this.#givenBytes / BLOCK_BYTES));
    await this.#write?.finish(contentOf(seal, crcs), chunkOf(this.#replica, seal));
  }

  /** Drops what was written. Harmless after `finish` or a second time. */
  async abort(): Promise<void> {
    this.#isOver = true;
    for (const part of this.#parts.splice(0)) this.#ports.parts.give(part);
    await this.#write?.abort();
    await this.#writing;
  }

  async #read({ toSeq, pass, part }: Reading): Promise<void> {
    this.#isReading = true;
    try {
      for (let record = this.#next(toSeq); record !== undefined; record = this.#next(toSeq)) {
        const bytes = dataBytes(record);
        if (!this.#hasRoomFor(bytes, part)) {
          pass();
          await this.#writing;
          if (this.#isOver) return;
          if (record !== this.#next(toSeq)) continue; // it was replaced meanwhile
          if (!this.#hasRoomFor(bytes, part)) return;
        }
        const data = await this.#replica.read(record);
        if (this.#isOver) return;
        if (record === this.#next(toSeq)) this.#put(record, data); // else it was replaced meanwhile
      }
    } finally {
      this.#isReading = false;
    }
  }

  #next(toSeq: number): AppendRecord | undefined {
    const seq = this.#takenSeq + 1;
    const isThere = seq <= toSeq && this.#replica.isDurable(seq);
    return isThere ? this.#replica.state.history.at(seq) : undefined;
  }

  /** Whether so much more has a place in the parts; takes one more if need be. */
  #hasRoomFor(bytes: number, part: Reading["part"] = this.#tryTake): boolean {
    if (this.#isOver) return false;
    const end = this.#takenBytes - this.#givenBytes + bytes;
    while (this.#parts.length * PART_BYTES < end) {
      if (COPY_PARTS_MAX <= this.#parts.length + this.#writingCount) return false;
      const more = part();
      if (more === undefined) return false;
      this.#parts.push(more);
    }
    return true;
  }

  #put(record: AppendRecord, bytes: Uint8Array = new Uint8Array()): void {
    invariant(bytes.byteLength === dataBytes(record), "a record comes with its bytes");
    let at = this.#takenBytes - this.#givenBytes;
    for (let from = 0; from < bytes.byteLength; ) {
      const part = this.#parts[Math.floor(at / PART_BYTES)];
      invariant(part !== undefined, "what is put has room");
      const piece = bytes.subarray(from, from + PART_BYTES - (at % PART_BYTES));
      part.set(piece, at % PART_BYTES);
      from += piece.byteLength;
      at += piece.byteLength;
    }
    this.#takenBytes += bytes.byteLength;
    this.#takenSeq = record.seq;
  }

  #giveUpTo(committedBytes: number): void {
    const end = Math.min(this.#takenBytes, committedBytes);
    if (this.#write === undefined || this.#isOver) return;
    while (this.#givenBytes + PART_BYTES <= end) this.#give(PART_BYTES);
  }

  readonly #tryTake = (): Uint8Array | undefined => this.#ports.parts.tryTake();

  /** The first part, or what is in it. */
  #give(bytes: number): void {
    const { parts, crc32c } = this.#ports;
    const part = this.#parts.shift();
    const write = this.#write;
    invariant(part !== undefined && write !== undefined, "what was taken is in the parts");
    const filled = part.subarray(0, bytes);
    this.#crcs.set(blockCrcs([filled], crc32c), 4 * (this.#givenBytes / BLOCK_BYTES));
    this.#givenBytes += bytes;
    this.#writingCount++;
    const written = write
      .write([filled])
      .catch((cause: unknown) => {
        this.#failedBy ??= { cause };
      })
      .finally(() => {
        this.#writingCount--;
        parts.give(part);
      });
    this.#writing = Promise.all([this.#writing, written]);
  }

  #check(): void {
    if (this.#failedBy !== undefined) throw this.#failedBy.cause;
    if (this.#isOver) throw new LumeoError("CLOSED", "Cannot go on with a copy that is over");
  }
}

/** A seal that was here when its chunk was to be kept is not here any more: ask again later. */
export function leftHistory(handle: ChunkHandle): LumeoError {
  return new LumeoError(
    "UNAVAILABLE",
    `Cannot seal chunk ${handle}: the seal is not here any more`,
  );
}

/** Under which record a sealed chunk is kept. */
export function chunkOf(
  { handle }: Pick<TailReplica, "handle">,
  { epoch, seq, clock }: AppendRecord,
): CopiedChunk {
  return { handle, version: { epoch, seq, clock } };
}

/** @param crcs  Of its blocks. */
export function contentOf({ content }: AppendRecord, crcs: Uint8Array): ChunkContent {
  invariant(content.kind === "seal", "a chunk ends with its seal");
  const { lengthBytes: length, crc32c } = content;
  const found = crcOfBlocks(crcs, length);
  invariant(found === crc32c, "the seal has the checksum of its records", { found, crc32c });
  return { length, crc32c, crcs };
}
