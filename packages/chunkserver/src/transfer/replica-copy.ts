// One replica made or healed from those of other servers.
//
// P1. The next source goes on where the one before it failed: a byte that came checked is not
//     fetched again, unless the whole turns out wrong.
// P2. Nothing is recorded before all bytes are here with the length and the checksum that the
//     masters have for the chunk; and it is durable before the result is told.
// P3. The record of the source is taken over as it is. If it is not of one history with what is
//     known of the chunk, the chunk is stopped (rule 21).
// P4. It holds two pieces of at most 1 MiB at a time, beside a small chunk as a whole.

import {
  type Cancellation,
  invariant,
  LumeoError,
  type ServerId,
  SMALL_CHUNK_BYTES_MAX,
} from "@lumeofs/base";
import { CHUNK_BYTES_MAX } from "@lumeofs/node/frames";
import { type ChunkVersion, isOneHistory, showVersion } from "../mutation/version.js";
import { WriteSession } from "../mutation/write-session.js";
import type { ChunkStore, LargeWrite } from "../store/chunk-store.js";
import {
  type Holder,
  isBadReplica,
  PIECE_BYTES,
  type Piece,
  readPiece,
  type SealedChunk,
  type SourcePorts,
} from "./replica-source.js";
import type { StoppedChunks } from "./stopped-chunks.js";
import type { Throttle } from "./throttle.js";

export interface CopyOrder {
  readonly chunk: SealedChunk;
  /** Asked in this order. */
  readonly sources: readonly Holder[];
  /** 0 for no limit. */
  readonly bytesPerSecondMax: number;
}

/** Why a source did not give what it should have. */
export interface SourceFault {
  readonly server: ServerId;
  /** Its replica is not what it should be; else it was not reached, or broke off. */
  readonly isBad: boolean;
  readonly why: string;
}

export type CopyResult =
  | {
      readonly kind: "copied";
      readonly readBytes: number;
      readonly faults: readonly SourceFault[];
    }
  | { readonly kind: "here" }
  | { readonly kind: "noSource"; readonly faults: readonly SourceFault[] }
  | { readonly kind: "twoHistories"; readonly why: string };

export interface CopyPorts extends SourcePorts {
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

class TwoHistories extends Error {}

/** One copy under way. */
export class ReplicaCopy {
  readonly #ports: CopyPorts;
  readonly #order: CopyOrder;
  readonly #signal: Cancellation;
  readonly #faults: SourceFault[] = [];
  #session = new WriteSession(CHUNK_BYTES_MAX);
  #sink: Sink | undefined;
  /** The write of the last piece; the next one waits for it. */
  #writing: Promise<void> = Promise.resolve();
  #readBytes = 0;

  constructor(ports: CopyPorts, order: CopyOrder, signal: Cancellation) {
    this.#ports = ports;
    this.#order = order;
    this.#signal = signal;
  }

  /**
   * @throws LumeoError STALE_EPOCH, CONFLICT (other intact bytes of the same record are here),
   *         NO_SPACE, STORE_FAILED, CLOSED; the signal's reason, and then nothing is left of it.
   */
  async run(): Promise<CopyResult> {
    const { handle } = this.#order.chunk;
    try {
      if (await this.#isHere()) return { kind: "here" };
      for (const source of this.#order.sources) {
        const fault = await this.#pull(source);
        if (fault === undefined) return await this.#finish();
        this.#faults.push(fault);
      }
      return { kind: "noSource", faults: this.#faults };
    } catch (error) {
      if (!(error instanceof TwoHistories)) throw error;
      await this.#ports.stopped.stop(handle, error.message);
      return { kind: "twoHistories", why: error.message };
    } finally {
      await this.#drop();
    }
  }

  /** Whether the disk has the replica already, as it should be. */
  async #isHere(): Promise<boolean> {
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
    if (known.length !== chunk.length || known.crc32c !== chunk.crc32c) {
      const message = `Cannot copy chunk ${handle}: epoch ${chunk.epoch} is other bytes here`;
      throw new LumeoError("CONFLICT", message);
    }
    if (known.isDamaged) return false;
    const pace = (bytes: number) => throttle.take(bytes, bytesPerSecondMax, this.#signal);
    return (await store.verify(handle, pace)).kind === "intact";
  }

  /** Takes from a source what is missing. @returns Why it did not give all of it, if so. */
  async #pull(source: Holder): Promise<SourceFault | undefined> {
    const { chunk } = this.#order;
    const startedAt = this.#session.length;
    do {
      const piece = await this.#fetch(source);
      if ("why" in piece) return piece;
      await this.#accept(piece);
    } while (this.#session.length < chunk.length);
    if (this.#session.crc32c === chunk.crc32c) return undefined;
    await this.#drop();
    const { server } = source;
    if (startedAt === 0) return { server, isBad: true, why: "its bytes have another checksum" };
    return this.#pull(source); // bytes of two sources: now all of them from this one
  }

  async #fetch(source: Holder): Promise<Piece | SourceFault> {
    const { chunk, bytesPerSecondMax } = this.#order;
    const offset = this.#session.length;
    const bytes = Math.min(PIECE_BYTES, chunk.length - offset);
    await this.#ports.throttle.take(bytes, bytesPerSecondMax, this.#signal);
    try {
      const from = { holder: source, chunk, offset };
      const piece = await readPiece(this.#ports, from, this.#signal);
      this.#readBytes += bytes;
      return piece;
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!(error instanceof LumeoError)) throw error;
      return { server: source.server, isBad: isBadReplica(error), why: error.message };
    }
  }

  /** P3, and the bytes on their way to the disk. */
  async #accept(piece: Piece): Promise<void> {
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

  async #begin(version: ChunkVersion): Promise<Sink> {
    const { handle, length } = this.#order.chunk;
    const isLarge = SMALL_CHUNK_BYTES_MAX < length;
    const large = isLarge ? await this.#ports.store.beginLarge({ handle, version }) : undefined;
    return { version, large, pieces: [] };
  }

  #checkHistory(version: ChunkVersion): void {
    const { handle } = this.#order.chunk;
    for (const other of [this.#ports.store.find(handle)?.version, this.#sink?.version]) {
      if (other === undefined || isOneHistory(other, version)) continue;
      const what = `${showVersion(version)} and ${showVersion(other)}`;
      throw new TwoHistories(`chunk ${handle} is ${what}: two primaries wrote it`);
    }
  }

  /** P2. */
  async #finish(): Promise<CopyResult> {
    const { handle, length, crc32c } = this.#order.chunk;
    invariant(this.#sink !== undefined, "a copy is whole and has come from nowhere", { handle });
    await this.#writing;
    this.#signal.throwIfAborted();
    const content = { length, crc32c, crcs: this.#session.blockCrcs() };
    const { version, large, pieces } = this.#sink;
    if (large !== undefined) await large.finish(content);
    else await this.#ports.store.putSmall({ handle, version }, content, pieces);
    return { kind: "copied", readBytes: this.#readBytes, faults: this.#faults };
  }

  /** Forgets what has come so far. Harmless after the end. */
  async #drop(): Promise<void> {
    const { large } = this.#sink ?? {};
    this.#sink = undefined;
    this.#session = new WriteSession(CHUNK_BYTES_MAX);
    await this.#writing.catch(() => undefined); // the store has told whoever must know
    this.#writing = Promise.resolve();
    await large?.abort();
  }
}
