// A replica on its way to the store: what has come so far, and what it has to be.
//
// I1. Nothing is recorded before all bytes are here with the length and the checksum that the
//     masters have for the replica; and it is durable before `finish` resolves.
// I2. The record of its source is taken over as it is. If it is not of one history with what is
//     known of the chunk, that is said, and the chunk is to be stopped (rule 21).
// I3. Of a coded chunk, another unit than this may be here, from a time when the server was another
//     member: it goes when the new one is whole, not before.

import { type Cancellation, invariant, LumeoError, SMALL_CHUNK_BYTES_MAX } from "@lumeofs/base";
import { CHUNK_BYTES_MAX } from "@lumeofs/node/frames";
import { type ChunkVersion, isOneHistory, showVersion } from "../mutation/version.js";
import { WriteSession } from "../mutation/write-session.js";
import type { ChunkStore, KnownChunk, LargeWrite } from "../store/chunk-store.js";
import type { Piece, SealedChunk } from "./replica-source.js";
import type { StoppedChunks } from "./stopped-chunks.js";
import type { Throttle } from "./throttle.js";

export interface IncomingOrder {
  readonly chunk: SealedChunk;
  /** 0 for no limit. */
  readonly bytesPerSecondMax: number;
  /** It is a unit of a coded chunk (I3). */
  readonly isUnit?: boolean | undefined;
}

export interface IncomingPorts {
  readonly store: ChunkStore;
  readonly throttle: Throttle;
  readonly stopped: StoppedChunks;
}

/** Where the bytes go: a large chunk to its file, a small one to memory until it is whole. */
interface Sink {
  readonly version: ChunkVersion;
  readonly large: LargeWrite | undefined;
  readonly pieces: Uint8Array[];
}

/** Two primaries wrote a chunk without knowing of each other; the message says how that shows. */
export class TwoHistories extends Error {}

/** See the head of this file. */
export class IncomingReplica {
  readonly #ports: IncomingPorts;
  readonly #order: IncomingOrder;
  readonly #signal: Cancellation;
  #session = new WriteSession(CHUNK_BYTES_MAX);
  #sink: Sink | undefined;
  /** The write of the last piece; the next one waits for it. */
  #writing: Promise<void> = Promise.resolve();

  constructor(ports: IncomingPorts, order: IncomingOrder, signal: Cancellation) {
    this.#ports = ports;
    this.#order = order;
    this.#signal = signal;
  }

  /** Bytes that have come. */
  get length(): number {
    return this.#session.length;
  }

  /** Of the bytes that have come. */
  get crc32c(): number {
    return this.#session.crc32c;
  }

  /**
   * Whether the disk has the replica already, as it should be.
   *
   * @throws LumeoError STALE_EPOCH; CONFLICT if other intact bytes of the same epoch are here.
   * @throws TwoHistories
   */
  async isHere(): Promise<boolean> {
    const { chunk, bytesPerSecondMax } = this.#order;
    const { store, stopped, throttle } = this.#ports;
    const { handle } = chunk;
    if (stopped.has(handle)) throw new TwoHistories(`chunk ${handle} was stopped here before`);
    const known = store.find(handle);
    if (known === undefined || known.version.epoch < chunk.epoch) return false;
    if (chunk.epoch < known.version.epoch) {
      const found = known.version.epoch;
      const message = `Cannot copy chunk ${handle}: its epoch here is ${found}, not ${chunk.epoch}`;
      throw new LumeoError("STALE_EPOCH", message);
    }
    if (!this.#isMeant(known)) {
      if (this.#order.isUnit === true) return false;
      const message = `Cannot copy chunk ${handle}: epoch ${chunk.epoch} is other bytes here`;
      throw new LumeoError("CONFLICT", message);
    }
    if (known.isDamaged) return false;
    const pace = (bytes: number) => throttle.take(bytes, bytesPerSecondMax, this.#signal);
    return (await store.verify(handle, pace)).kind === "intact";
  }

  /**
   * Takes the next bytes; they stay as they are until `written`, those of a small chunk until the
   * end.
   *
   * @throws TwoHistories
   */
  async accept(piece: Piece): Promise<void> {
    const { bytes, offset, crc32c, crcs } = piece;
    this.#checkHistory(piece.version);
    this.#sink ??= await this.#begin(piece.version);
    if (bytes.byteLength === 0) return;
    const accepted = this.#session.accept({ offset, length: bytes.byteLength, crc32c, crcs });
    if (accepted.kind === "refused") throw new LumeoError(accepted.code, accepted.why);
    await this.#writing;
    const { large, pieces } = this.#sink;
    if (large === undefined) pieces.push(bytes);
    else this.#writing = large.write([bytes]);
    this.#writing.catch(() => undefined); // it is awaited before the next step
  }

  /** The bytes of the last piece may be changed again, unless the chunk is small. */
  written(): Promise<void> {
    return this.#writing;
  }

  /** Records it (I1). @throws LumeoError as ChunkStore.putSmall. */
  async finish(): Promise<void> {
    const { handle, length, crc32c } = this.#order.chunk;
    invariant(this.#sink !== undefined, "a copy is whole and has come from nowhere", { handle });
    await this.#writing;
    this.#signal.throwIfAborted();
    await this.#makeRoom();
    const content = { length, crc32c, crcs: this.#session.blockCrcs() };
    const { version, large, pieces } = this.#sink;
    if (large !== undefined) await large.finish(content);
    else await this.#ports.store.putSmall({ handle, version }, content, pieces);
  }

  /** Forgets what has come so far. Harmless after the end. */
  async drop(): Promise<void> {
    const { large } = this.#sink ?? {};
    this.#sink = undefined;
    this.#session = new WriteSession(CHUNK_BYTES_MAX);
    await this.#writing.catch(() => undefined); // the store has told whoever must know
    this.#writing = Promise.resolve();
    await large?.abort();
  }

  async #begin(version: ChunkVersion): Promise<Sink> {
    const { handle, length } = this.#order.chunk;
    const isLarge = SMALL_CHUNK_BYTES_MAX < length;
    const large = isLarge ? await this.#ports.store.beginLarge({ handle, version }) : undefined;
    return { version, large, pieces: [] };
  }

  /** I2. */
  #checkHistory(version: ChunkVersion): void {
    const { handle } = this.#order.chunk;
    for (const other of [this.#ports.store.find(handle)?.version, this.#sink?.version]) {
      if (other === undefined || isOneHistory(other, version)) continue;
      const what = `${showVersion(version)} and ${showVersion(other)}`;
      throw new TwoHistories(`chunk ${handle} is ${what}: two primaries wrote it`);
    }
  }

  /** I3. */
  async #makeRoom(): Promise<void> {
    const { chunk, isUnit } = this.#order;
    const { handle, epoch } = chunk;
    const known = this.#ports.store.find(handle);
    if (isUnit !== true || known === undefined || this.#isMeant(known)) return;
    if (known.version.epoch === epoch) await this.#ports.store.remove([{ handle, epoch }]);
  }

  #isMeant({ length, crc32c }: KnownChunk): boolean {
    const { chunk } = this.#order;
    return length === chunk.length && crc32c === chunk.crc32c;
  }
}
