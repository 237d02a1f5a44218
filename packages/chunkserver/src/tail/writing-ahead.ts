// Which growing chunks are written ahead (sealed-copy.ts), and how far.

import { Budget, type ChunkHandle, type Crc32c, LumeoError, MiB } from "@lumeofs/base";
import type { AppendRecord, Position } from "../replication/append-record.js";
import type { History } from "../replication/history.js";
import type { ChunkStore } from "../store/chunk-store.js";
import { PartPool } from "./part-pool.js";
import { leftHistory, SealedCopy, type SealedCopyPorts } from "./sealed-copy.js";
import { keepSealed } from "./sealing.js";
import type { RecordBytes, TailReplica } from "./tail-replica.js";

/** A chunk with less costs nobody much when it is sealed; and so much more is worth a step. */
const STEP_BYTES = 1 * MiB;
/** Chunks that are written ahead at once: each has an open file and some memory. */
const COPIES_MAX = 16;
/** What is short, and has not grown for so many rounds, gives its memory to others. */
const IDLE_ROUNDS_MAX = 5;
/** Chunks that are sealed at once: each has some of its bytes in memory. */
const SEALS_MAX = 8;

export interface WritingAheadPorts {
  readonly store: ChunkStore;
  readonly crc32c: Crc32c;
  /** A chunk has grown so far that `extend` has something to do. */
  readonly due: (replica: TailReplica) => void;
}

/**
 * See the head of this file. Calls of `extend`, `keep`, `drop` and `dropIdle` for one chunk come in
 * turn.
 */
export class WritingAhead {
  readonly #ports: SealedCopyPorts & { readonly store: ChunkStore };
  readonly #due: (replica: TailReplica) => void;
  readonly #stepBytes: number;
  readonly #copies = new Map<ChunkHandle, SealedCopy>();
  /** Of those without a file: what they had at a round, and how many rounds ago. */
  #idle = new Map<ChunkHandle, { readonly bytes: number; readonly rounds: number }>();
  readonly #seals = new Budget(SEALS_MAX);

  /** @param stepBytes  For tests, with small chunks. */
  constructor({ store, crc32c, due }: WritingAheadPorts, stepBytes = STEP_BYTES) {
    this.#ports = { store, crc32c, parts: new PartPool() };
    this.#due = due;
    this.#stepBytes = stepBytes;
  }

  /** Whether enough was committed that nobody has taken. */
  isDue({ handle, state, isInDoubt }: TailReplica): boolean {
    const { history, commitSeq } = state;
    const bytes = isInDoubt ? 0 : history.endOf(commitSeq);
    const copy = this.#copies.get(handle);
    if (copy?.isOpen === true) return copy.bytes + this.#stepBytes <= bytes;
    if (copy !== undefined) return this.#stepBytes <= bytes;
    // What is sealed is kept by its seal alone: a second copy would be nobody's.
    if (history.sealSeq !== undefined) return false;
    return this.#stepBytes <= bytes && this.#copies.size < COPIES_MAX;
  }

  /** Records of the history are durable, or more is known to be committed. */
  durable(replica: TailReplica, records: readonly AppendRecord[], bytes: RecordBytes): void {
    const copy = this.#copies.get(replica.handle) ?? this.#beginIn(replica, records);
    for (const record of records) copy?.take(record, bytes.get(record.seq));
    copy?.pass();
    if (this.isDue(replica)) this.#due(replica);
  }

  /** What follows this history is replaced. */
  cut(handle: ChunkHandle, kept: History): void {
    this.#copies.get(handle)?.cut(kept);
  }

  /** Takes what is there. What cannot be read or written now is left to the seal. */
  async extend(replica: TailReplica): Promise<void> {
    if (!this.isDue(replica)) return;
    const { handle, state } = replica;
    try {
      const copy = this.#copies.get(handle) ?? this.#begin(replica);
      if (state.promised !== 0) await copy.open(state.promised);
      await copy.extend();
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      await this.drop(handle);
    }
  }

  /** Some time has passed. @returns  What is idle by now: to be given to `dropIdle`. */
  idle(): readonly ChunkHandle[] {
    const before = this.#idle;
    this.#idle = new Map();
    for (const [handle, { isOpen, bytes }] of this.#copies) {
      if (isOpen) continue;
      const last = before.get(handle);
      this.#idle.set(handle, { bytes, rounds: last?.bytes === bytes ? last.rounds + 1 : 0 });
    }
    return [...this.#idle].flatMap(([handle, { rounds }]) => {
      return rounds < IDLE_ROUNDS_MAX ? [] : [handle];
    });
  }

  /** As `drop`, unless it has become worth something meanwhile. */
  async dropIdle(handle: ChunkHandle): Promise<void> {
    const copy = this.#copies.get(handle);
    if (copy?.isOpen === false && copy.bytes === this.#idle.get(handle)?.bytes) {
      await this.drop(handle);
    }
  }

  /** As `keepSealed`. */
  async keep(replica: TailReplica, seal: Position): Promise<void> {
    const place = await this.#seals.take(1);
    try {
      // It was waited for: the replica may have been removed, or found damaged, meanwhile.
      if (!replica.hasSeal({ seal })) throw leftHistory(replica.handle);
      const ahead = this.#copies.get(replica.handle);
      this.#copies.delete(replica.handle);
      await keepSealed(replica, seal, this.#ports, ahead);
    } finally {
      place.release();
    }
  }

  /** The chunk is not needed any more. */
  async drop(handle: ChunkHandle): Promise<void> {
    const copy = this.#copies.get(handle);
    this.#copies.delete(handle);
    await copy?.abort();
  }

  async close(): Promise<void> {
    for (const handle of [...this.#copies.keys()]) {
      await this.drop(handle).catch((error: unknown) => {
        if (!(error instanceof LumeoError)) throw error; // the store has ended, and said so
      });
    }
  }

  /** From the first record on nothing has to be read. */
  #beginIn(replica: TailReplica, [first]: readonly AppendRecord[]): SealedCopy | undefined {
    return first?.seq === 1 && this.#copies.size < COPIES_MAX ? this.#begin(replica) : undefined;
  }

  #begin(replica: TailReplica): SealedCopy {
    const copy = new SealedCopy(replica, this.#ports);
    this.#copies.set(replica.handle, copy);
    return copy;
  }
}
