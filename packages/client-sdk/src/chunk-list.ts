// The chunks of a file that is being written, until the commit names them.
//
// N1. The masters get the chunks in the order of the file, whatever order they are stored in.
// N2. No message names more than CHUNKS_PER_MESSAGE chunks: those of a long file are recorded while
//     it is written.
// N3. Chunks whose grant is about to end are recorded before that, so that a slow source does not
//     lose what it has already given.

import { type Alarm, crc32cCombine, invariant, type MonotonicMs } from "@lumeofs/base";
import type { Call } from "./call.js";
import type { StoredChunk } from "./chunk-sender.js";
import type { Metadata } from "./metadata.js";
import type { ChunkRef } from "./operations.js";
import type { Ports } from "./ports.js";

export const CHUNKS_PER_MESSAGE = 256;
/** How long before the end of its grant a stored chunk is recorded. */
const RECORD_MARGIN_MS = 60_000;

/** All that a commit needs to know about the content. */
export interface FinishedList {
  readonly upload: number | undefined;
  /** Those that the masters have not got yet. */
  readonly chunks: readonly ChunkRef[];
  readonly crc32c: number;
  readonly sizeBytes: number;
  readonly chunkCount: number;
}

/** What is left of a list that nobody commits. */
export interface AbandonedList {
  readonly upload: number | undefined;
  /** Of chunks that are stored, and not in that upload. */
  readonly handles: readonly number[];
}

export class ChunkList {
  readonly #metadata: Metadata;
  readonly #ports: Ports;
  readonly #call: Call;
  readonly #path: string;
  /** Stored ahead of their turn, by position. */
  readonly #early = new Map<number, StoredChunk>();
  #pending: StoredChunk[] = [];
  #recorded = 0;
  #crc32c = 0;
  #sizeBytes = 0;
  #upload: number | undefined;
  #recording: Promise<void> = Promise.resolve();
  #failure: unknown;
  #alarm: Alarm | undefined;
  #isAbandoned = false;
  /** Chunks that the masters were to get and, as far as is known, have not. */
  readonly #unrecorded: StoredChunk[] = [];

  constructor(call: Call, path: string, metadata: Metadata, ports: Ports) {
    this.#call = call;
    this.#path = path;
    this.#metadata = metadata;
    this.#ports = ports;
  }

  /** A chunk is stored. Rejects if an earlier recording failed. */
  async add(position: number, chunk: StoredChunk): Promise<void> {
    this.#early.set(position, chunk);
    for (;;) {
      const next = this.#early.get(this.#recorded + this.#pending.length);
      if (next === undefined) break;
      this.#early.delete(this.#recorded + this.#pending.length);
      this.#append(next);
    }
    if (CHUNKS_PER_MESSAGE <= this.#pending.length) await this.#record();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Every chunk has been added: what is left for the commit. */
  async finish(): Promise<FinishedList> {
    this.#alarm?.cancel();
    await this.#recording;
    if (this.#failure !== undefined) throw this.#failure;
    invariant(this.#early.size === 0, "a chunk is missing", { early: this.#early.size });
    return {
      upload: this.#upload,
      chunks: this.#pending,
      crc32c: this.#crc32c,
      sizeBytes: this.#sizeBytes,
      chunkCount: this.#recorded + this.#pending.length,
    };
  }

  /** After `abandon`: whatever is stored now is not for this list. */
  get isAbandoned(): boolean {
    return this.#isAbandoned;
  }

  /** Nothing will be committed. @returns What the masters may forget, when nothing is recorded. */
  async abandon(): Promise<AbandonedList> {
    this.#isAbandoned = true;
    this.#alarm?.cancel();
    await this.#recording;
    const chunks = [...this.#pending, ...this.#early.values(), ...this.#unrecorded];
    return { upload: this.#upload, handles: chunks.map(({ handle }) => handle) };
  }

  #append(chunk: StoredChunk): void {
    const { usableUntil, lengthBytes, crc32c } = chunk;
    this.#pending.push(chunk);
    this.#crc32c = crc32cCombine(this.#crc32c, crc32c, lengthBytes);
    this.#sizeBytes += lengthBytes;
    if (this.#pending.length === 1) this.#watch(usableUntil);
  }

  /** Records in time for the oldest chunk (N3). */
  #watch(usableUntil: MonotonicMs): void {
    this.#alarm?.cancel();
    const left = usableUntil - RECORD_MARGIN_MS - this.#ports.clock.monotonicMs();
    const wait = Math.max(usableUntil - this.#ports.clock.monotonicMs(), 0) / 2;
    this.#alarm = this.#ports.timers.after(Math.max(left, wait), () => void this.#record());
  }

  /** Hands pending chunks to the masters, one message after the other. Never rejects. */
  #record(): Promise<void> {
    this.#alarm?.cancel();
    const chunks = this.#pending;
    const first = this.#recorded;
    this.#pending = [];
    this.#recorded += chunks.length;
    this.#recording = this.#recording.then(async () => {
      try {
        if (this.#failure !== undefined) throw this.#failure;
        if (0 < chunks.length) await this.#send(first, chunks);
      } catch (error) {
        this.#failure = error;
        this.#unrecorded.push(...chunks);
      }
    });
    return this.#recording;
  }

  async #send(first: number, chunks: readonly ChunkRef[]): Promise<void> {
    if (this.#upload === undefined) {
      const begun = await this.#metadata.mutate(this.#call, "beginUpload", { path: this.#path });
      this.#upload = begun.upload;
    }
    await this.#metadata.mutate(this.#call, "addChunks", { upload: this.#upload, first, chunks });
  }
}
