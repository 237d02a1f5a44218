// Which growing chunks are written ahead (sealing.ts), and how far.

import { type ChunkHandle, LumeoError, MiB } from "@lumeofs/base";
import type { EpochOrNone, Position } from "../replication/append-record.js";
import { keepSealed, SealedCopy, type SealingPorts } from "./sealing.js";
import type { TailReplica } from "./tail-replica.js";

/** So much more is worth a step; at the seal about so much is left to write. */
const STEP_BYTES = 2 * MiB;
/** A chunk with fewer steps costs nobody much when it is sealed. */
const BEGIN_STEPS = 4;
/** Chunks that are written ahead at once: each has an open file and some memory. */
const COPIES_MAX = 32;

/** See the head of this file. Calls for one chunk come one after the other. */
export class WritingAhead {
  readonly #ports: SealingPorts;
  readonly #beginBytes: number;
  readonly #stepBytes: number;
  readonly #copies = new Map<ChunkHandle, SealedCopy>();

  /** @param stepBytes  For tests, with small chunks. */
  constructor(ports: SealingPorts, stepBytes = STEP_BYTES) {
    this.#ports = ports;
    this.#stepBytes = stepBytes;
    this.#beginBytes = BEGIN_STEPS * stepBytes;
  }

  /** Whether enough was committed since the last step. */
  isDue({ handle, state, isInDoubt }: TailReplica): boolean {
    const { history, commitSeq } = state;
    const bytes = isInDoubt ? 0 : history.endOf(commitSeq);
    const copy = this.#copies.get(handle);
    if (copy !== undefined) return copy.bytes + this.#stepBytes <= bytes;
    return this.#beginBytes <= bytes && this.#copies.size < COPIES_MAX;
  }

  /** Takes what is committed. What cannot be read or written now is left to the seal. */
  async extend(replica: TailReplica): Promise<void> {
    if (!this.isDue(replica)) return;
    const { handle, state } = replica;
    try {
      const copy = this.#copies.get(handle) ?? (await this.#begin(replica, state.promised));
      await copy?.extend(state.history, state.commitSeq);
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      await this.drop(handle);
    }
  }

  /** As `keepSealed`. */
  async keep(replica: TailReplica, seal: Position): Promise<void> {
    const ahead = this.#copies.get(replica.handle);
    this.#copies.delete(replica.handle);
    await keepSealed(replica, seal, this.#ports, ahead);
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

  async #begin(replica: TailReplica, epoch: EpochOrNone): Promise<SealedCopy | undefined> {
    if (epoch === 0) return undefined;
    const copy = await SealedCopy.begin(replica, this.#ports, epoch);
    this.#copies.set(replica.handle, copy);
    return copy;
  }
}
