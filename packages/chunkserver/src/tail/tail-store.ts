// All growing chunks of a chunkserver: which there are, what their members ask of them, how they
// end.
//
// S1. A chunk of which nothing is here is new: its first message makes a replica. One that is
//     sealed here, finished or as a chunk of the store, is stale for everybody.
// S2. What is sealed is kept as a chunk of the store before its records are given up.
// S3. The first failure of the disk ends the store, as everywhere.

import {
  type ChunkHandle,
  type Clock,
  type Closable,
  type Crc32c,
  type Disk,
  type Epoch,
  InvariantViolation,
  type Logger,
  LumeoError,
  type Timers,
  type WalPlace,
} from "@lumeofs/base";
import type { AppendRecord, EpochOrNone, WriteId } from "../replication/append-record.js";
import { APPEND_BYTES_MAX, APPEND_RECORDS_MAX } from "../replication/progress.js";
import type { ChunkStore } from "../store/chunk-store.js";
import { KeyedLock } from "../store/keyed-lock.js";
import type { Reservation } from "../store/space.js";
import { HeldTail } from "./held-tail.js";
import { LogRoom } from "./log-room.js";
import type { MemberMessage, MemberReply, SealPlace } from "./member-message.js";
import { leftHistory } from "./sealed-copy.js";
import { type SealedTail, TailLog } from "./tail-log.js";
import { NO_BYTES, type RecordBytes, staleFor, TailReplica } from "./tail-replica.js";
import { findWrite, type WrittenPlace } from "./write-table.js";
import { WritingAhead } from "./writing-ahead.js";

/** Growing chunks of one server, those included of which only a promise is left. */
const TAILS_MAX = 16_384;
/** So long, at least, a sealed chunk's members say what was written. */
export const TABLE_KEPT_MS = 3_600_000;
const ROUND_MS = 200;

export interface TailStoreOptions {
  readonly disk: Disk;
  readonly owner: Uint8Array;
  readonly crc32c: Crc32c;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  /** Where sealed chunks go. */
  readonly store: ChunkStore;
  readonly reserve: (bytes: number) => Promise<Reservation>;
  readonly onDamage: () => void;
  readonly onFailure: (error: LumeoError) => void;
  readonly segmentBytes?: number;
  readonly spareBytes?: number;
  /**
   * Whether something may have been promised for a chunk of which nothing is here, in a log that
   * was lost: it begins in doubt.
   */
  readonly isForgotten?: ((handle: ChunkHandle) => boolean) | undefined;
  /** A growing chunk is written ahead in steps of so much. */
  readonly aheadStepBytes?: number;
}

/** What a server tells of a growing chunk. */
export interface TailReport {
  readonly handle: ChunkHandle;
  readonly promised: EpochOrNone;
  readonly isRemoved: boolean;
  readonly isInDoubt: boolean;
}

/** A write in a sealed chunk. */
export interface FoundWrite extends WrittenPlace {
  /** Of the chunk: its records are of this epoch or of earlier ones. */
  readonly epoch: Epoch;
}

/** The bytes that a reply carries. */
export interface Served {
  readonly reply: MemberReply;
  readonly data: readonly Uint8Array[];
}

/** See the head of this file. */
export class TailStore implements Closable {
  readonly #options: TailStoreOptions;
  readonly #log: TailLog;
  readonly #replicas = new Map<ChunkHandle, TailReplica>();
  readonly #making = new Map<ChunkHandle, Promise<TailReplica>>();
  readonly #sealed: Map<ChunkHandle, SealedTail>;
  readonly #locks = new KeyedLock<ChunkHandle>();
  readonly #room: LogRoom;
  readonly #ahead: WritingAhead;
  readonly #extending = new Map<ChunkHandle, Promise<void>>();
  readonly #damaged = new Set<ChunkHandle>();
  readonly #rounds: { cancel(): void };
  #round: Promise<void> | undefined;
  #failedBy: LumeoError | undefined;
  #isClosed = false;

  private constructor(
    options: TailStoreOptions,
    log: TailLog,
    tails: ReadonlyMap<ChunkHandle, HeldTail>,
    sealed: ReadonlyMap<ChunkHandle, SealedTail>,
  ) {
    this.#options = options;
    this.#log = log;
    this.#sealed = new Map(sealed);
    this.#room = new LogRoom({
      ...{ log, replicas: this.#replicas, sealed: this.#sealed, spareBytes: options.spareBytes },
      io: (work) => this.#io(work),
      forget: (handle) => this.forget(handle),
    });
    const { store, crc32c, aheadStepBytes } = options;
    const due = (replica: TailReplica): void => {
      if (this.#isClosed || this.#failedBy !== undefined) return;
      this.#extend(replica).catch(unlessFailed);
    };
    this.#ahead = new WritingAhead({ store, crc32c, due }, aheadStepBytes);
    for (const held of tails.values()) this.#add(held);
    this.#rounds = options.timers.every(ROUND_MS, () => this.#beginRound());
  }

  /** Opens the log and reads it. */
  static async open(options: TailStoreOptions): Promise<TailStore> {
    const { log, content } = await TailLog.open(options);
    const store = new TailStore(options, log, content.tails, content.sealed);
    for (const replica of store.#replicas.values()) {
      if (replica.isInDoubt) options.logger.error("tail in doubt", { chunk: replica.handle });
    }
    return store;
  }

  /** As TailLog.lastDurable. */
  get lastDurable(): WalPlace | undefined {
    return this.#log.lastDurable;
  }

  /** Of the log. */
  get bytes(): number {
    return this.#log.bytes;
  }

  /** Records of all growing chunks: the headers of all of them are in memory. */
  get recordCount(): number {
    let count = 0;
    for (const { state } of this.#replicas.values()) count += state.history.lastSeq;
    return count;
  }

  /** The replica of a growing chunk, if there is one. */
  find(handle: ChunkHandle): TailReplica | undefined {
    return this.#replicas.get(handle);
  }

  /** Whether the chunk was sealed, and its end is known here. */
  isSealed(handle: ChunkHandle): boolean {
    return this.#sealed.has(handle) || this.#sealedEpoch(handle) !== undefined;
  }

  /** The replica, made if the chunk is new here; undefined if it is sealed (S1). */
  async replicaOf(handle: ChunkHandle): Promise<TailReplica | undefined> {
    this.#checkOpen();
    const known = this.#replicas.get(handle);
    if (known !== undefined) return known;
    if (this.isSealed(handle)) return undefined;
    const making = this.#making.get(handle) ?? this.#make(handle);
    return making;
  }

  /**
   * Takes a message of another member, or of the primary here.
   *
   * @param bytes  As for TailReplica.serve.
   * @throws LumeoError as TailReplica.serve; UNAVAILABLE if a seal is not here yet; CHECKSUM.
   */
  async serve(
    handle: ChunkHandle,
    message: MemberMessage,
    bytes: RecordBytes = NO_BYTES,
  ): Promise<Served> {
    switch (message.kind) {
      case "give":
        return this.#give(handle, message);
      case "settle":
        return bare(await this.#settle(handle, message));
      case "finish":
        return bare(await this.#finish(handle, message));
      default: {
        const replica = await this.replicaOf(handle);
        if (replica === undefined) return bare(this.#stale(handle, message.epoch));
        const reply = await replica.serve(message, bytes);
        if (reply.kind === "removed") throw new InvariantViolation("no member removes another");
        return bare(reply);
      }
    }
  }

  /** The masters need this copy no more: what stays is the promise (rule 22). */
  async remove(handle: ChunkHandle, epoch: Epoch): Promise<"removed" | "refused"> {
    this.#checkOpen();
    const replica = this.#replicas.get(handle);
    if (replica === undefined) return "removed";
    const reply = await replica.serve({ kind: "remove", epoch });
    if (reply.kind !== "removed") return "refused";
    await this.#locks.run(handle, () => this.#ahead.drop(handle));
    this.#damaged.delete(handle);
    return "removed";
  }

  /** Nobody needs anything of it, not even the promise. */
  async forget(handle: ChunkHandle): Promise<void> {
    this.#checkOpen();
    if (!this.#replicas.has(handle) && !this.#sealed.has(handle)) return;
    await this.#locks.run(handle, () => this.#ahead.drop(handle));
    await this.#io(async () => {
      await this.#log.write({ kind: "forgotten", handle }, [], () => undefined);
      this.#replicas.delete(handle);
      this.#sealed.delete(handle);
      this.#damaged.delete(handle);
      await this.#log.unknow(handle);
    });
    // One may have begun while the log was written.
    await this.#locks.run(handle, () => this.#ahead.drop(handle));
  }

  /** The masters have named the newest grant of a chunk that is in doubt here. */
  async resolve(handle: ChunkHandle, newest: EpochOrNone): Promise<void> {
    await this.#replicas.get(handle)?.resolve(newest);
  }

  /**
   * The masters say that the chunk is sealed: who has it, keeps it; who has less, drops it.
   *
   * @throws LumeoError as `serve`.
   */
  async end(handle: ChunkHandle, chunkEpoch: Epoch): Promise<void> {
    const replica = this.#replicas.get(handle);
    if (replica === undefined) return;
    const { promised, history } = replica.state;
    const seq = history.sealSeq;
    const seal = seq === undefined ? undefined : history.positionAt(seq);
    const epoch = Math.max(promised, chunkEpoch) as Epoch;
    if (seal?.epoch === chunkEpoch && !replica.isInDoubt) {
      await this.#finish(handle, { epoch, seal });
    } else if (replica.isInDoubt || history.lastSeq === 0) {
      if (this.#sealedEpoch(handle) !== undefined) await this.forget(handle);
    } else {
      await this.remove(handle, epoch);
    }
  }

  /**
   * What is known of a write to a sealed chunk; undefined if nothing is known of the chunk.
   *
   * @throws LumeoError STORE_FAILED, CLOSED.
   */
  async lookUp(handle: ChunkHandle, write: WriteId): Promise<FoundWrite | "absent" | undefined> {
    this.#checkOpen();
    const sealed = this.#sealed.get(handle);
    if (sealed === undefined) return undefined;
    const body = await this.#io(() => this.#log.body(sealed.place));
    if (body === undefined) return undefined; // its record is damaged: nobody can say here
    const found = findWrite(body.subarray(sealed.tableAt), write);
    return found === undefined ? "absent" : { ...found, epoch: sealed.facts.chunkEpoch };
  }

  /** Up to `count` growing chunks with handles above `after`, rising. */
  page(after: number, count: number): readonly TailReport[] {
    const handles = [...this.#replicas.keys()].filter((handle) => after < handle);
    return handles
      .sort((a, b) => a - b)
      .slice(0, count)
      .flatMap((handle) => {
        const replica = this.#replicas.get(handle);
        if (replica === undefined) return [];
        const { promised, history } = replica.state;
        const { isInDoubt } = replica;
        return [{ handle, promised, isRemoved: history.lastSeq === 0 && !isInDoubt, isInDoubt }];
      });
  }

  /** Growing chunks that were found damaged and do not testify. */
  damaged(): readonly ChunkHandle[] {
    return [...this.#damaged];
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#rounds.cancel();
    await this.#round;
    await Promise.allSettled(this.#extending.values());
    await this.#ahead.close();
    await this.#log.close();
  }

  async #give(
    handle: ChunkHandle,
    { epoch, first, count }: Extract<MemberMessage, { readonly kind: "give" }>,
  ): Promise<Served> {
    const replica = await this.replicaOf(handle);
    if (replica === undefined) return bare(this.#stale(handle, epoch));
    const { promised, history } = replica.state;
    if (epoch < promised) return bare({ kind: "stale", epoch, promised });
    const records: AppendRecord[] = [];
    const data: Uint8Array[] = [];
    let bytes = 0;
    for (const record of history.slice(first, Math.min(count, APPEND_RECORDS_MAX))) {
      const read = await replica.read(record);
      bytes += read.byteLength;
      if (0 < records.length && APPEND_BYTES_MAX < bytes) break;
      records.push(record);
      data.push(read);
    }
    return { reply: { kind: "given", epoch, first, records }, data };
  }

  /** S2. */
  #settle(handle: ChunkHandle, { epoch, seal }: SealPlace): Promise<MemberReply> {
    return this.#locks.run(handle, async () => {
      const replica = this.#replicas.get(handle);
      if (replica === undefined) {
        if (this.isSealed(handle)) return { kind: "settled", epoch };
        throw missing(handle);
      }
      const { promised } = replica.state;
      if (epoch < promised) return { kind: "stale", epoch, promised };
      await this.#keep(replica, { epoch, seal });
      return { kind: "settled", epoch };
    });
  }

  #finish(handle: ChunkHandle, { epoch, seal }: SealPlace): Promise<MemberReply> {
    return this.#locks.run(handle, async () => {
      const replica = this.#replicas.get(handle);
      if (replica === undefined) {
        if (this.isSealed(handle)) return { kind: "finished", epoch };
        throw missing(handle); // else nobody would notice that this member has never had it
      }
      await this.#keep(replica, { epoch, seal });
      if (!replica.hasSeal({ seal })) throw leftHistory(handle);
      const sealed = await replica.finish({ seal }, this.#options.clock.wallMs());
      this.#sealed.set(handle, sealed);
      this.#replicas.delete(handle);
      this.#damaged.delete(handle);
      return { kind: "finished", epoch };
    });
  }

  async #keep(replica: TailReplica, place: SealPlace): Promise<void> {
    if (!replica.hasSeal(place)) {
      const why = "the seal is not here yet";
      throw new LumeoError("UNAVAILABLE", `Cannot seal chunk ${replica.handle}: ${why}`);
    }
    await replica.written;
    await this.#ahead.keep(replica, place.seal);
  }

  #stale(handle: ChunkHandle, epoch: Epoch): MemberReply {
    const promised = this.#sealed.get(handle)?.facts.promised ?? this.#sealedEpoch(handle) ?? 0;
    return { kind: "stale", epoch, promised: staleFor(epoch, { promised }) };
  }

  /** Of a sealed chunk in the store under this handle, unless it is a growing one here. */
  #sealedEpoch(handle: ChunkHandle): Epoch | undefined {
    return this.#options.store.find(handle)?.version.epoch;
  }

  #make(handle: ChunkHandle): Promise<TailReplica> {
    if (TAILS_MAX <= this.#replicas.size) {
      const why = `${TAILS_MAX} chunks grow here`;
      throw new LumeoError("OVERLOADED", `Cannot begin chunk ${handle}: ${why}`);
    }
    const making = this.#io(() => this.#log.know(handle))
      .then(() => this.#begun(handle))
      .finally(() => this.#making.delete(handle));
    this.#making.set(handle, making);
    return making;
  }

  #begun(handle: ChunkHandle): TailReplica {
    const held = new HeldTail(handle);
    if (this.#options.isForgotten?.(handle) !== true) return this.#add(held);
    held.doubt();
    this.#options.logger.warn("tail in doubt", { chunk: handle });
    const replica = this.#add(held);
    this.#options.onDamage(); // the masters say at once what was granted last
    return replica;
  }

  #add(held: HeldTail): TailReplica {
    const { crc32c, logger, reserve } = this.#options;
    const io = <T>(work: () => Promise<T>): Promise<T> => this.#io(work);
    const damaged = (handle: ChunkHandle): void => {
      this.#damaged.add(handle);
      this.#options.onDamage();
    };
    const ports = { log: this.#log, crc32c, logger, reserve, io, damaged, follower: this.#ahead };
    const replica = new TailReplica(held, ports);
    this.#replicas.set(held.handle, replica);
    if (held.state.damagedIn !== 0) this.#damaged.add(held.handle);
    return replica;
  }

  #beginRound(): void {
    if (this.#round !== undefined || this.#isClosed || this.#failedBy !== undefined) return;
    this.#round = this.#runRound()
      .catch(unlessFailed)
      .finally(() => {
        this.#round = undefined;
      });
  }

  async #runRound(): Promise<void> {
    await this.#io(() => this.#log.markWhenQuiet());
    const now = this.#options.clock.wallMs();
    for (const [handle, { facts }] of this.#sealed) {
      if (facts.sealedAt + TABLE_KEPT_MS < now) await this.forget(handle);
    }
    for (const [handle, { state, isInDoubt }] of this.#replicas) {
      const isHealed = !isInDoubt && state.damagedIn < state.history.last.epoch;
      if (this.#damaged.has(handle) && isHealed) this.#damaged.delete(handle);
    }
    for (const replica of [...this.#replicas.values()]) {
      if (this.#ahead.isDue(replica)) await this.#extend(replica);
    }
    for (const handle of this.#ahead.idle()) {
      await this.#locks.run(handle, () => this.#ahead.dropIdle(handle));
    }
    await this.#room.make();
  }

  /** Once at a time for each chunk. */
  #extend(replica: TailReplica): Promise<void> {
    const { handle } = replica;
    const known = this.#extending.get(handle);
    if (known !== undefined) return known;
    const extending = this.#locks
      .run(handle, async () => {
        if (this.#replicas.get(handle) === replica) await this.#ahead.extend(replica);
      })
      .finally(() => this.#extending.delete(handle));
    this.#extending.set(handle, extending);
    return extending;
  }

  /** S3. */
  async #io<T>(work: () => Promise<T>): Promise<T> {
    if (this.#failedBy !== undefined) throw this.#failedBy;
    try {
      return await work();
    } catch (error) {
      if (error instanceof InvariantViolation) throw error;
      if (error instanceof LumeoError && error.code === "CLOSED") throw error;
      throw this.#fail(error);
    }
  }

  #fail(cause: unknown): LumeoError {
    if (this.#failedBy === undefined) {
      const why = cause instanceof Error ? cause.message : String(cause);
      const message = `The log of tails has failed: ${why}; see to the disk, then start again`;
      this.#failedBy = new LumeoError("STORE_FAILED", message, { cause });
      this.#options.onFailure(this.#failedBy);
    }
    return this.#failedBy;
  }

  #checkOpen(): void {
    if (this.#failedBy !== undefined) throw this.#failedBy;
    if (this.#isClosed) throw new LumeoError("CLOSED", "Cannot use the tails: they are closed");
  }
}

/** Of a failed disk everybody has been told. */
function unlessFailed(error: unknown): void {
  if (error instanceof InvariantViolation) throw error;
}

function bare(reply: MemberReply): Served {
  return { reply, data: [] };
}

function missing(handle: ChunkHandle): LumeoError {
  return new LumeoError("REPLICA_MISSING", `Cannot seal chunk ${handle}: nothing of it is here`);
}
