// Copies and audits of replicas, as the masters order them: how many at once, and what ends them.

import {
  type Cancellation,
  CancelSource,
  type ChunkHandle,
  type Closable,
  crc32cCombine,
  LumeoError,
} from "@lumeofs/base";
import { isOneHistory, showVersion } from "../mutation/version.js";
import { KeyedLock } from "../store/keyed-lock.js";
import { type CopyOrder, type CopyPorts, type CopyResult, ReplicaCopy } from "./replica-copy.js";
import {
  type Holder,
  isBadReplica,
  PIECE_BYTES,
  type Piece,
  readPiece,
  type SealedChunk,
} from "./replica-source.js";

export interface AuditOrder {
  readonly chunk: SealedChunk;
  readonly holder: Holder;
  /** 0 for no limit. */
  readonly bytesPerSecondMax: number;
}

export type AuditResult =
  | { readonly kind: "intact"; readonly readBytes: number }
  | { readonly kind: "bad"; readonly why: string }
  /** The holder was not reached, or broke off: nothing is known. */
  | { readonly kind: "unreached"; readonly why: string }
  | { readonly kind: "twoHistories"; readonly why: string };

export interface CopyServiceOptions extends CopyPorts {
  /** Copies at once; and as many audits. Each holds two pieces of 1 MiB. */
  readonly copiesMax: number;
}

type Kind = "copy" | "audit";

/** Serves the orders. */
export class CopyService implements Closable {
  readonly #options: CopyServiceOptions;
  readonly #running: Record<Kind, Set<Promise<unknown>>> = { copy: new Set(), audit: new Set() };
  readonly #handles = new KeyedLock<ChunkHandle>();
  readonly #closing = new CancelSource();

  constructor(options: CopyServiceOptions) {
    this.#options = options;
  }

  /** Copies and audits under way. */
  get inFlight(): number {
    return this.#running.copy.size + this.#running.audit.size;
  }

  /**
   * Makes or heals the replica here. Two orders for one chunk come one after the other.
   *
   * @throws LumeoError OVERLOADED, and as ReplicaCopy.run.
   */
  copy(order: CopyOrder, signal: Cancellation): Promise<CopyResult> {
    const work = (ended: Cancellation) => new ReplicaCopy(this.#options, order, ended).run();
    return this.#run("copy", signal, (ended) => {
      return this.#handles.run(order.chunk.handle, () => work(ended));
    });
  }

  /** Reads a replica of another server through. @throws LumeoError OVERLOADED, CLOSED. */
  audit(order: AuditOrder, signal: Cancellation): Promise<AuditResult> {
    return this.#run("audit", signal, (ended) => this.#audit(order, ended));
  }

  /** Ends what is under way; nothing is left of copies that were not whole. */
  async close(): Promise<void> {
    this.#closing.abort(new LumeoError("CLOSED", "Cannot go on: the chunkserver is stopping"));
    await Promise.allSettled([...this.#running.copy, ...this.#running.audit]);
  }

  async #run<T>(
    kind: Kind,
    signal: Cancellation,
    work: (ended: Cancellation) => Promise<T>,
  ): Promise<T> {
    this.#closing.throwIfAborted();
    const running = this.#running[kind];
    const { copiesMax } = this.#options;
    if (copiesMax <= running.size) {
      const what = kind === "copy" ? "copies" : "audits";
      const message = `Cannot begin: ${running.size} ${what} are under way here; wait`;
      throw new LumeoError("OVERLOADED", message);
    }
    const ended = new CancelSource();
    const endBy = (by: Cancellation) => () => ended.abort(by.reason);
    const [onSignal, onClosing] = [endBy(signal), endBy(this.#closing)];
    if (signal.aborted) ended.abort(signal.reason);
    signal.addEventListener("abort", onSignal, { once: true });
    this.#closing.addEventListener("abort", onClosing, { once: true });
    const working = work(ended);
    running.add(working);
    try {
      return await working;
    } finally {
      running.delete(working);
      signal.removeEventListener("abort", onSignal);
      this.#closing.removeEventListener("abort", onClosing);
    }
  }

  async #audit(order: AuditOrder, signal: Cancellation): Promise<AuditResult> {
    const { chunk, bytesPerSecondMax } = order;
    let crc = 0;
    let offset = 0;
    do {
      const bytes = Math.min(PIECE_BYTES, chunk.length - offset);
      await this.#options.throttle.take(bytes, bytesPerSecondMax, signal);
      const piece = await this.#piece(order, offset, signal);
      if ("kind" in piece) return piece;
      const why = this.#otherHistory(chunk, piece);
      if (why !== undefined) {
        await this.#options.stopped.stop(chunk.handle, why);
        return { kind: "twoHistories", why };
      }
      crc = crc32cCombine(crc, piece.crc32c, bytes);
      offset += bytes;
    } while (offset < chunk.length);
    if (crc === chunk.crc32c) return { kind: "intact", readBytes: chunk.length };
    return { kind: "bad", why: "its bytes have another checksum" };
  }

  async #piece(
    { chunk, holder }: AuditOrder,
    offset: number,
    signal: Cancellation,
  ): Promise<Piece | Exclude<AuditResult, { readonly kind: "intact" }>> {
    try {
      return await readPiece(this.#options, { holder, chunk, offset }, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof LumeoError)) throw error;
      return { kind: isBadReplica(error) ? "bad" : "unreached", why: error.message };
    }
  }

  /** Rule 21: what is wrong with the holder's record beside the one that is here, if there is one. */
  #otherHistory({ handle }: SealedChunk, { version }: Piece): string | undefined {
    const own = this.#options.store.find(handle)?.version;
    if (own === undefined || isOneHistory(own, version)) return undefined;
    const what = `${showVersion(version)} there and ${showVersion(own)} here`;
    return `chunk ${handle} is ${what}: two primaries wrote it`;
  }
}
