// The records of one chunk, from the first on.
//
// A history never changes: appending and shortening give another one. Histories share what they
// have in common. The newest one appends in place, where no older one can see it; only a history
// that branches off is copied.
//
// H1. The record at index i has sequence number i + 1, and epochs never fall.
// H2. Every record's vector clock is after that of the record before.                   (rule 21)
// H3. What lies in `Shared` is never overwritten, so each history finds there, up to its own
//     count, what it was made of.

import { crc32cCombine, invariant } from "@lumeofs/base";
import { compare, EMPTY_CLOCK, type VectorClock } from "../mutation/vector-clock.js";
import { type AppendRecord, NOWHERE, type Position, type WriteId } from "./append-record.js";

interface Shared {
  readonly records: AppendRecord[];
  /** Bytes and checksum of the chunk behind each record. */
  readonly ends: number[];
  readonly crcs: number[];
  /** Where each write is: a write stands in a history at most once. */
  readonly writes: Map<string, number>;
  sealSeq: number | undefined;
}

export class History {
  readonly #shared: Shared;
  readonly #count: number;

  private constructor(shared: Shared, count: number) {
    this.#shared = shared;
    this.#count = count;
  }

  static empty(): History {
    const shared = { records: [], ends: [], crcs: [], writes: new Map(), sealSeq: undefined };
    return new History(shared, 0);
  }

  /** @throws InvariantViolation if the records are no history. */
  static of(records: readonly AppendRecord[]): History {
    return History.empty().appendAll(records);
  }

  /** Sequence number of the last record; 0 if there is none. */
  get lastSeq(): number {
    return this.#count;
  }

  get last(): Position {
    return this.positionAt(this.#count) ?? NOWHERE;
  }

  get clock(): VectorClock {
    return this.at(this.#count)?.clock ?? EMPTY_CLOCK;
  }

  /** Bytes of data. */
  get lengthBytes(): number {
    return this.endOf(this.#count);
  }

  /** Of all data. */
  get crc32c(): number {
    return this.#shared.crcs[this.#count - 1] ?? 0;
  }

  /** Where the seal stands, if there is one. */
  get sealSeq(): number | undefined {
    const { sealSeq } = this.#shared;
    return sealSeq === undefined || this.#count < sealSeq ? undefined : sealSeq;
  }

  at(seq: number): AppendRecord | undefined {
    return seq <= this.#count ? this.#shared.records[seq - 1] : undefined;
  }

  /** The place of a record, or before the first for 0; undefined if it is not here. */
  positionAt(seq: number): Position | undefined {
    if (seq === 0) return NOWHERE;
    const record = this.at(seq);
    return record === undefined ? undefined : { epoch: record.epoch, seq };
  }

  /** Bytes of data up to and with this record, which is here or 0. */
  endOf(seq: number): number {
    if (seq === 0) return 0;
    const end = seq <= this.#count ? this.#shared.ends[seq - 1] : undefined;
    invariant(end !== undefined, "a record is here", { seq, count: this.#count });
    return end;
  }

  /** At most `count` records from `seq` on. */
  slice(seq: number, count: number): readonly AppendRecord[] {
    return this.#shared.records.slice(seq - 1, Math.min(this.#count, seq - 1 + count));
  }

  /** Where this write stands, if it is here. */
  find(write: WriteId): number | undefined {
    const seq = this.#shared.writes.get(keyOf(write));
    return seq !== undefined && seq <= this.#count ? seq : undefined;
  }

  /** @throws InvariantViolation if the record does not follow the last one. */
  append(record: AppendRecord): History {
    const { last } = this;
    invariant(record.seq === last.seq + 1, "records have no gaps", { last, seq: record.seq });
    invariant(last.epoch <= record.epoch, "epochs never fall", { last, epoch: record.epoch });
    invariant(compare(this.clock, record.clock) === "BEFORE", "clocks grow with the records", {
      last,
      seq: record.seq,
    });
    const isNewest = this.#shared.records.length === this.#count;
    const shared = isNewest ? this.#shared : this.#copy();
    push(shared, record, { end: this.lengthBytes, crc32c: this.crc32c });
    return new History(shared, this.#count + 1);
  }

  /** @throws InvariantViolation if the records do not follow the last one. */
  appendAll(records: readonly AppendRecord[]): History {
    return records.reduce((history: History, record) => history.append(record), this);
  }

  /** The records up to this one, which is here or 0. */
  upTo(seq: number): History {
    invariant(0 <= seq && seq <= this.#count, "a history is cut inside", { seq });
    return seq === this.#count ? this : new History(this.#shared, seq);
  }

  #copy(): Shared {
    return History.of(this.#shared.records.slice(0, this.#count)).#shared;
  }
}

function push(
  shared: Shared,
  record: AppendRecord,
  before: { readonly end: number; readonly crc32c: number },
): void {
  const { content, seq } = record;
  const isData = content.kind === "data";
  shared.records.push(record);
  shared.ends.push(before.end + (isData ? content.lengthBytes : 0));
  shared.crcs.push(
    isData ? crc32cCombine(before.crc32c, content.crc32c, content.lengthBytes) : before.crc32c,
  );
  if (isData && !shared.writes.has(keyOf(content.write))) {
    shared.writes.set(keyOf(content.write), seq);
  }
  if (content.kind === "seal") shared.sealSeq ??= seq;
}

function keyOf({ client, writeSeq }: WriteId): string {
  return `${client}.${writeSeq}`;
}
