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
import type { Removal, ReplicaName } from "../store/chunk-store.js";
import { KeyedLock } from "../store/keyed-lock.js";
import type { Mandates } from "./mandates.js";
import type { RebuildOrder } from "./rebuild-order.js";
import { type CopyOrder, type CopyPorts, type CopyResult, ReplicaCopy } from "./replica-copy.js";
import {
  type Holder,
  isBadReplica,
  PIECE_BYTES,
  type Piece,
  readPiece,
  type SealedChunk,
} from "./replica-source.js";
import { type Settled, settleAll } from "./settle-all.js";

/** A replica that is to be made here: from others like it, or from other units of its chunk. */
export type ReplicaOrder = (CopyOrder | RebuildOrder) & {
  /** Of the leader that gives the order. */
  readonly mandate: number;
};

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

/** Makes a unit out of others. @throws As UnitRebuild.run. */
export type Rebuilder = (order: RebuildOrder, signal: Cancellation) => Promise<CopyResult>;

export interface CopyServiceOptions extends CopyPorts {
  readonly mandates: Pick<Mandates, "obey">;
  readonly rebuild: Rebuilder;
  /**
   * Copies at once, and as many audits: each holds two pieces of 1 MiB. And as many batches of
   * each: of these, each holds a few small chunks.
   */
  readonly copiesMax: number;
}

type Kind = "copy" | "audit" | "batch of copies" | "batch of audits";

/** Which chunks orders to copy were under way for, or came for, since the watch began. */
export interface CopyWatch {
  readonly touched: ReadonlySet<ChunkHandle>;
  end(): void;
}

/** Serves the orders. */
export class CopyService implements Closable {
  readonly #options: CopyServiceOptions;
  readonly #running: Readonly<Record<Kind, Set<Promise<unknown>>>> = {
    copy: new Set(),
    audit: new Set(),
    "batch of copies": new Set(),
    "batch of audits": new Set(),
  };
  #inFlight = 0;
  readonly #handles = new KeyedLock<ChunkHandle>();
  /** Chunks with orders under way, one entry for each order. */
  readonly #ordered: ChunkHandle[] = [];
  readonly #watches = new Set<Set<ChunkHandle>>();
  readonly #closing = new CancelSource();

  constructor(options: CopyServiceOptions) {
    this.#options = options;
  }

  /** Copies and audits under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /**
   * Makes or heals the replica here. Two orders for one chunk come one after the other.
   *
   * @throws LumeoError OVERLOADED; NOT_LEADER; and as ReplicaCopy.run or UnitRebuild.run.
   */
  copy(order: ReplicaOrder, signal: Cancellation): Promise<CopyResult> {
    return this.#run("copy", signal, (ended) => this.#copy(order, ended));
  }

  /** Many copies of small chunks; one that fails leaves the others alone. @throws OVERLOADED. */
  copyAll(
    orders: readonly ReplicaOrder[],
    signal: Cancellation,
  ): Promise<readonly Settled<CopyResult>[]> {
    return this.#run("batch of copies", signal, (ended) =>
      settleAll(orders, (order) => this.#copy(order, ended)),
    );
  }

  /**
   * Begins to note the chunks of orders to copy. What the masters said about a replica before such
   * an order does not count any more.
   */
  watch(): CopyWatch {
    const touched = new Set(this.#ordered);
    this.#watches.add(touched);
    return { touched, end: () => void this.#watches.delete(touched) };
  }

  /** Deletes replicas, each when no copy of it is being made. @throws as ChunkStore.remove. */
  async remove(replicas: readonly ReplicaName[]): Promise<Removal> {
    const { store, stopped } = this.#options;
    const removals = await Promise.all(
      replicas.map((name) => this.#handles.run(name.handle, () => store.remove([name]))),
    );
    const refused = removals.flatMap((removal) => removal.refused);
    const kept = new Set(refused);
    await stopped.forget(replicas.map(({ handle }) => handle).filter((one) => !kept.has(one)));
    return { removedCount: removals.reduce((sum, one) => sum + one.removedCount, 0), refused };
  }

  /** Reads a replica of another server through. @throws LumeoError OVERLOADED, CLOSED. */
  audit(order: AuditOrder, signal: Cancellation): Promise<AuditResult> {
    return this.#run("audit", signal, (ended) => this.#audit(order, ended));
  }

  /** As `copyAll`. */
  auditAll(
    orders: readonly AuditOrder[],
    signal: Cancellation,
  ): Promise<readonly Settled<AuditResult>[]> {
    return this.#run("batch of audits", signal, (ended) =>
      settleAll(orders, (order) => this.#audit(order, ended)),
    );
  }

  /** Ends what is under way; nothing is left of copies that were not whole. */
  async close(): Promise<void> {
    this.#closing.abort(new LumeoError("CLOSED", "Cannot go on: the chunkserver is stopping"));
    await Promise.allSettled(Object.values(this.#running).flatMap((running) => [...running]));
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
      const message = `Cannot begin one more ${kind}: ${running.size} are under way here; wait`;
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

  async #copy(order: ReplicaOrder, signal: Cancellation): Promise<CopyResult> {
    const { mandate, chunk } = order;
    const { handle } = chunk;
    this.#ordered.push(handle);
    for (const touched of this.#watches) touched.add(handle);
    this.#inFlight++;
    const work = async (): Promise<CopyResult> => {
      await this.#options.mandates.obey(mandate);
      return this.#make(order, signal);
    };
    try {
      return await this.#handles.run(handle, work);
    } finally {
      this.#inFlight--;
      this.#ordered.splice(this.#ordered.indexOf(handle), 1);
    }
  }

  #make(order: ReplicaOrder, signal: Cancellation): Promise<CopyResult> {
    if ("rebuild" in order) return this.#options.rebuild(order, signal);
    return new ReplicaCopy(this.#options, order, signal).run();
  }

  async #audit(order: AuditOrder, signal: Cancellation): Promise<AuditResult> {
    this.#inFlight++;
    try {
      return await this.#readThrough(order, signal);
    } finally {
      this.#inFlight--;
    }
  }

  async #readThrough(order: AuditOrder, signal: Cancellation): Promise<AuditResult> {
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

  /** Rule 21: what is wrong with the holder's record beside the one here, if there is one. */
  #otherHistory({ handle }: SealedChunk, { version }: Piece): string | undefined {
    const own = this.#options.store.find(handle)?.version;
    if (own === undefined || isOneHistory(own, version)) return undefined;
    const what = `${showVersion(version)} there and ${showVersion(own)} here`;
    return `chunk ${handle} is ${what}: two primaries wrote it`;
  }
}
