// One replica of a growing chunk: the shell around replication/replica.ts.
//
// R1. A message is decided at once, in the order of coming; its change is appended to the log in
//     the same turn, so the log has the changes in the order of the decisions. The answer leaves
//     when its change and all before it are durable (rule 19).
// R2. A chunk that is sealed and finished, or in doubt, takes nothing any more.
// R3. A record that cannot be read as it was written is a change, too: the replica says so to
//     everybody from then on (rule 20).

import {
  type ChunkHandle,
  type Crc32c,
  invariant,
  type Logger,
  LumeoError,
  RECORD_BODY_BYTES_MAX,
  type WallMs,
} from "@lumeofs/base";
import { type AppendRecord, dataBytes, type EpochOrNone } from "../replication/append-record.js";
import type { History } from "../replication/history.js";
import type { ReplicaMessage, ReplicaReply } from "../replication/message.js";
import { APPEND_BYTES_MAX, APPEND_RECORDS_MAX } from "../replication/progress.js";
import { type ReplicaChange, type ReplicaState, stepReplica } from "../replication/replica.js";
import type { Reservation } from "../store/space.js";
import { type HeldTail, keepPlaces } from "./held-tail.js";
import type { SealPlace } from "./member-message.js";
import { type KeptBytes, TailBytes } from "./tail-bytes.js";
import type { SealedTail, TailLog } from "./tail-log.js";
import type { SealedFacts, TailRecord } from "./tail-record.js";
import { encodeWriteTable } from "./write-table.js";

/** What a record of the log takes beside the data: headers, clocks and frames. */
const CHANGE_ROOM_BYTES = RECORD_BODY_BYTES_MAX - APPEND_BYTES_MAX;

/** The bytes of data records, by sequence number. */
export type RecordBytes = ReadonlyMap<number, Uint8Array>;

export const NO_BYTES: RecordBytes = new Map();

export interface TailReplicaPorts {
  readonly log: Pick<TailLog, "write" | "body">;
  readonly crc32c: Crc32c;
  readonly logger: Logger;
  /** Makes sure that so much can be written. @throws LumeoError NO_SPACE */
  readonly reserve: (bytes: number) => Promise<Reservation>;
  /** Runs work on the disk: its failure is the end of the store. */
  readonly io: <T>(work: () => Promise<T>) => Promise<T>;
  /** The replica has found damage. */
  readonly damaged: (handle: ChunkHandle) => void;
  /** Hears what becomes of the history. */
  readonly follower: TailFollower | undefined;
}

/** Whoever keeps the bytes of a growing chunk in another form, too. */
export interface TailFollower {
  /** What follows this history is replaced. */
  cut(handle: ChunkHandle, kept: History): void;
  /**
   * These records of the history are durable, or more is known to be committed.
   *
   * @param bytes  Of these records; valid during the call.
   */
  durable(replica: TailReplica, records: readonly AppendRecord[], bytes: RecordBytes): void;
}

/** See the head of this file. */
export class TailReplica {
  readonly #ports: TailReplicaPorts;
  readonly #held: HeldTail;
  /** The last write: everything before it is durable when it is. */
  #written: Promise<void> = Promise.resolve();
  /** While the whole replica is being moved inside the log, nothing else is written. */
  #moving: Promise<void> | undefined;
  #ended: SealedFacts | undefined;
  /** So far everything was known to be committed once, though it may be lost here since. */
  #committedSeq = 0;

  constructor(held: HeldTail, ports: TailReplicaPorts) {
    this.#held = held;
    this.#ports = ports;
  }

  get handle(): ChunkHandle {
    return this.#held.handle;
  }

  get state(): ReplicaState {
    return this.#held.state;
  }

  get isInDoubt(): boolean {
    return this.#held.isInDoubt;
  }

  get oldestSegment(): number | undefined {
    return this.#held.oldestSegment;
  }

  /**
   * Takes a message; resolves to the answer when it may leave.
   *
   * @param bytes  Of the records of `append`, whose checksums are verified; unchanged until then,
   *               and not used any more afterwards.
   * @throws LumeoError NO_SPACE, UNAVAILABLE (in doubt), STORE_FAILED, CLOSED.
   */
  async serve(message: ReplicaMessage, bytes: RecordBytes = NO_BYTES): Promise<ReplicaReply> {
    const reservation = await this.#room(message);
    try {
      while (this.#moving !== undefined) await this.#moving;
      const { epoch } = message;
      const ended = this.#ended;
      if (ended !== undefined) return { kind: "stale", epoch, promised: staleFor(epoch, ended) };
      if (this.isInDoubt) throw this.#doubtful();
      const { write, state } = stepReplica(this.state, message);
      if (write.change === undefined) await this.#written;
      else await this.#change(write.change, bytes, { decided: state });
      if (write.change !== undefined) reservation.spend();
      return write.then;
    } finally {
      reservation.release();
    }
  }

  /** Whether the bytes of a record are in the log; of one without data nothing else is asked. */
  isDurable(seq: number): boolean {
    const kept = this.#held.bytes.at(seq);
    return kept === undefined || kept.place !== undefined;
  }

  /** What an answer that was given now would rest on. */
  get written(): Promise<void> {
    return this.#written;
  }

  /**
   * The bytes of a record that is in the history of this replica.
   *
   * @throws LumeoError CHECKSUM if they are not what was written (R3); UNAVAILABLE if it has left
   *         the history since the caller looked; STORE_FAILED, CLOSED.
   */
  async read(record: AppendRecord): Promise<Uint8Array> {
    const { content, seq } = record;
    if (content.kind !== "data") return new Uint8Array();
    if (this.state.history.at(seq) !== record) {
      const why = "it is no longer in the history";
      throw new LumeoError("UNAVAILABLE", `Cannot read record ${seq} of ${this.handle}: ${why}`);
    }
    const kept = this.#held.bytes.at(seq);
    invariant(kept !== undefined, "a record's bytes are somewhere", { seq });
    const { bytes, place } = kept;
    if (bytes !== undefined) return this.#copyOf(record, bytes);
    invariant(place !== undefined, "what is not in memory is in the log", { seq });
    const { log, io, crc32c } = this.#ports;
    const body = await io(() => log.body(place));
    const found = body?.subarray(kept.at, kept.at + content.lengthBytes);
    if (found !== undefined && crc32c(found) === content.crc32c) return found;
    const moved = this.#held.bytes.at(seq);
    if (moved !== undefined && moved !== kept && this.state.history.at(seq) === record) {
      return this.read(record); // moved inside the log meanwhile
    }
    if (moved === kept && this.#ended === undefined) await this.#foundDamage(seq);
    throw new LumeoError("CHECKSUM", `Cannot read record ${seq} of chunk ${this.handle}: damaged`);
  }

  /** What was promised may be lost, and the masters have named the newest grant.         (H1) */
  async resolve(newest: EpochOrNone): Promise<void> {
    if (!this.isInDoubt) return;
    const change: ReplicaChange = { kind: "damage", intactTo: 0 };
    this.#held.isInDoubt = false;
    await this.#change(change, NO_BYTES, { promised: newest });
    this.#ports.damaged(this.handle);
  }

  /** Whether this seal is in the history: then everything before it is as it was committed. */
  hasSeal({ seal }: Pick<SealPlace, "seal">): boolean {
    const record = this.state.history.at(seal.seq);
    return !this.isInDoubt && record?.epoch === seal.epoch && record.content.kind === "seal";
  }

  /**
   * Ends the replica: the chunk is sealed, and kept as such where it has to be. What stays is the
   * table of what was written.
   */
  async finish({ seal }: Pick<SealPlace, "seal">, sealedAt: WallMs): Promise<SealedTail> {
    const { history, promised } = this.state;
    const record = history.at(seal.seq);
    invariant(record?.content.kind === "seal" && this.hasSeal({ seal }), "the seal is here");
    const { lengthBytes, crc32c } = record.content;
    const { seq, epoch: chunkEpoch } = record;
    const facts = { chunkEpoch, seq, lengthBytes, crc32c, promised, sealedAt };
    const table = encodeWriteTable(history.upTo(seq));
    this.#ended = facts;
    const { log, io } = this.#ports;
    let sealed: SealedTail | undefined;
    await io(() => {
      return log.write({ kind: "sealed", handle: this.handle, facts, table }, [], (place) => {
        sealed = { facts, place, tableAt: place.bodyBytes - table.byteLength };
      });
    });
    invariant(sealed !== undefined, "what was written has a place");
    return sealed;
  }

  /** Appends the whole replica to the log again, so that the segments before can go. */
  async move(): Promise<void> {
    if (this.isInDoubt || this.#ended !== undefined || this.#moving !== undefined) return;
    this.#moving = this.#move().finally(() => {
      this.#moving = undefined;
    });
    await this.#moving;
  }

  async #move(): Promise<void> {
    const { log, io } = this.#ports;
    await this.#written;
    const { promised, damagedIn, commitSeq, history } = this.state;
    const bytes = new TailBytes();
    let oldest: number | undefined;
    let firstSeq = 1;
    do {
      const records = pageFrom(history.slice(firstSeq, APPEND_RECORDS_MAX));
      const data: Uint8Array[] = [];
      for (const record of records) data.push(await this.read(record));
      const isLast = history.lastSeq < firstSeq + records.length;
      const at = { handle: this.handle, firstSeq, isLast, records };
      const page: TailRecord = { kind: "moved", promised, damagedIn, commitSeq, ...at };
      await io(() => {
        return log.write(page, data, (place, dataAt) => {
          oldest ??= place.segment;
          keepPlaces(bytes, records, { place, dataAt });
        });
      });
      firstSeq += records.length;
    } while (firstSeq <= history.lastSeq);
    if (this.#ended !== undefined || this.state.history !== history) return; // damage was found
    this.#held.bytes = bytes;
    this.#held.oldestSegment = oldest;
  }

  /** R1: the state and the log take the change in the same turn. */
  #change(
    change: ReplicaChange,
    bytes: RecordBytes,
    known: { readonly promised?: EpochOrNone; readonly decided?: ReplicaState } = {},
  ): Promise<void> {
    const held = this.#held;
    this.#cutBy(change);
    held.change(change, known.promised, known.decided);
    const fresh: { readonly kept: KeptBytes; readonly data: Uint8Array }[] = [];
    for (const record of change.kind === "log" ? change.records : []) {
      const data = bytes.get(record.seq);
      invariant((data?.byteLength ?? 0) === dataBytes(record), "a record comes with its bytes");
      if (data === undefined) continue;
      const kept: KeptBytes = { bytes: data, place: undefined, at: 0 };
      held.bytes.set(record.seq, kept);
      fresh.push({ kept, data });
    }
    const { log, io, follower } = this.#ports;
    const said = known.promised ?? held.state.promised;
    const record: TailRecord = { kind: "change", handle: this.handle, change, promised: said };
    const data = fresh.map((one) => one.data);
    this.#written = io(() => {
      return log.write(record, data, (place, dataAt) => {
        held.written(change, place);
        let at = dataAt;
        for (const { kept, data } of fresh) {
          kept.place = place;
          kept.at = at;
          kept.bytes = undefined;
          at += data.byteLength;
        }
        if (change.kind !== "log") return;
        const { history } = held.state;
        const there = change.records.filter((one) => history.at(one.seq) === one);
        follower?.durable(this, there, bytes);
      });
    });
    this.#written.catch(() => undefined); // whoever waits for it is told
    return this.#written;
  }

  /** What is committed stays what it is, even where this replica has lost it. */
  #cutBy(change: ReplicaChange): void {
    const { history, commitSeq } = this.state;
    if (change.kind === "removal") return;
    this.#committedSeq = Math.max(this.#committedSeq, commitSeq);
    const isLog = change.kind === "log";
    const toSeq = isLog ? change.keepTo : Math.max(change.intactTo, this.#committedSeq);
    if (toSeq < history.lastSeq) this.#ports.follower?.cut(this.handle, history.upTo(toSeq));
  }

  /** The memory of what is not durable yet belongs to somebody else, who uses it again soon. */
  #copyOf({ content, seq }: AppendRecord, bytes: Uint8Array): Uint8Array {
    const copy = new Uint8Array(bytes);
    if (content.kind === "data" && this.#ports.crc32c(copy) === content.crc32c) return copy;
    const why = "it was not written, and is not in memory any more";
    throw new LumeoError("CHECKSUM", `Cannot read record ${seq} of chunk ${this.handle}: ${why}`);
  }

  async #foundDamage(seq: number): Promise<void> {
    const { logger, damaged } = this.#ports;
    logger.error("record damaged", { chunk: this.handle, index: seq, code: "CHECKSUM" });
    await this.#change({ kind: "damage", intactTo: seq - 1 }, NO_BYTES);
    damaged(this.handle);
  }

  #room(message: ReplicaMessage): Promise<Reservation> {
    const records = message.kind === "append" ? message.records : [];
    const bytes = records.reduce((sum, record) => sum + dataBytes(record), CHANGE_ROOM_BYTES);
    return this.#ports.reserve(bytes);
  }

  #doubtful(): LumeoError {
    const why = "its log was damaged, and the masters have not said yet what was granted last";
    return new LumeoError("UNAVAILABLE", `Cannot serve chunk ${this.handle}: ${why}`);
  }
}

/** Nobody is granted anything behind a seal: whoever asks is stale, whatever it believes. */
export function staleFor(epoch: number, { promised }: Pick<SealedFacts, "promised">): EpochOrNone {
  return Math.max(promised, epoch + 1) as EpochOrNone;
}

function pageFrom(records: readonly AppendRecord[]): readonly AppendRecord[] {
  let bytes = 0;
  const count = records.findIndex((record, i) => {
    bytes += dataBytes(record);
    return 0 < i && APPEND_BYTES_MAX < bytes;
  });
  return count === -1 ? records : records.slice(0, count);
}
