// Records to and from the members of growing chunks (docs/formats/data-plane.md, "Appending").
//
// Appends go on a connection of their own to each server: frames of one connection are taken up in
// their order. Repeating any of these requests is harmless: an append is named for ever.

import {
  Budget,
  type Closable,
  type Crc32c,
  chunkHandle,
  LumeoError,
  sessionId,
  type Timers,
} from "@lumeofs/base";
import {
  blockCrcs,
  crcOfBlocks,
  FramePool,
  type Message,
  REQUESTS_PER_CONNECTION_MAX,
  type ReceivedFrame,
} from "@lumeofs/node/frames";
import type { Replica } from "../grant-book.js";
import type { Ports } from "../ports.js";
import { type RequestLimits, within } from "./answer-wait.js";

const STALL_MS = 30_000;
const CONNECT_TIMEOUT_MS = 1_500;
const LANE_APPENDS = 0;
const LANE_READS = 1;

/** A growing chunk, as its members want to hear of it. */
export interface TailName {
  readonly handle: number;
  readonly token: Uint8Array | undefined;
}

/** One record, under the number that it has for ever. */
export interface NumberedRecord {
  readonly session: number;
  readonly writeSeq: number;
  readonly bytes: Uint8Array;
  readonly sums: RecordSums;
}

/** The checksums that travel with a record, of the whole and of its blocks. */
export interface RecordSums {
  readonly crc32c: number;
  readonly crcs: Uint8Array;
}

/** Where a record stands. */
export interface AppendedRecord {
  readonly epoch: number;
  readonly seq: number;
  /** In the chunk. */
  readonly offset: number;
  /** Who orders the appends. */
  readonly primary: { readonly server: number; readonly address: string };
}

/** What is committed of a growing chunk. */
export interface TailState {
  readonly committedBytes: number;
  readonly epoch: number;
  readonly seq: number;
}

/** Checked bytes of records, beginning where they were asked for. */
export interface TailBytes extends TailState {
  readonly pieces: readonly Uint8Array[];
}

export class TailPool implements Closable {
  readonly #frames: FramePool;
  readonly #crc32c: Crc32c;
  readonly #timers: Timers;
  readonly #slots = new Map<string, Budget>();

  constructor({ crc32c, timers, dataNetwork }: Ports) {
    this.#crc32c = crc32c;
    this.#timers = timers;
    this.#frames = new FramePool({
      hello: () => ({ type: "hello", role: "client", clusterId: "", name: "client" }),
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      stallMs: STALL_MS,
      network: dataNetwork,
    });
  }

  sumsOf(bytes: Uint8Array): RecordSums {
    const crcs = blockCrcs([bytes], this.#crc32c);
    return { crc32c: crcOfBlocks(crcs, bytes.byteLength), crcs };
  }

  /** @throws LumeoError as docs/formats/data-plane.md says of `append`. */
  async append(
    to: Replica,
    tail: TailName,
    record: NumberedRecord,
    limits: RequestLimits,
  ): Promise<AppendedRecord> {
    const message: Message = {
      type: "append",
      ...named(tail),
      session: sessionId(record.session),
      writeSeq: record.writeSeq,
      isForwarded: false,
      length: record.bytes.byteLength,
      ...record.sums,
    };
    const request = { lane: LANE_APPENDS, message, payload: [record.bytes], limits };
    return this.#exchange(to, request, async (receive) => {
      const { message: answer } = await receive();
      if (answer.type !== "appended") throw unexpected(answer);
      const { epoch, seq, offset, primary } = answer;
      return { epoch, seq, offset, primary };
    });
  }

  /**
   * Where a write stands in a chunk; undefined if it is not in there, and never will be.
   *
   * @throws LumeoError UNKNOWN_OUTCOME if this member cannot tell (yet).
   */
  async lookUp(
    at: Replica,
    tail: TailName,
    write: Pick<NumberedRecord, "session" | "writeSeq">,
    limits: RequestLimits,
  ): Promise<number | undefined> {
    const { writeSeq } = write;
    const session = sessionId(write.session);
    const message: Message = { type: "appendLookup", ...named(tail), session, writeSeq };
    return this.#exchange(at, { lane: LANE_READS, message, limits }, async (receive) => {
      const { message: answer } = await receive();
      if (answer.type !== "appendFound") throw unexpected(answer);
      return answer.outcome === "written" ? answer.offset : undefined;
    });
  }

  /**
   * Committed bytes from `offset` on: of whole records, so often more than `length`; fewer at the
   * end of what is committed.
   *
   * @param seen  Any member may answer that has committed so far; undefined: only the primary.
   */
  async read(
    from: Replica,
    tail: TailName,
    wish: {
      readonly offset: number;
      readonly length: number;
      readonly seen: { readonly epoch: number; readonly seq: number } | undefined;
    },
    limits: RequestLimits,
  ): Promise<TailBytes> {
    const { offset, length, seen } = wish;
    const range = { offset, length, ...(seen === undefined ? {} : { seen }) };
    const message: Message = { type: "tailRead", ...named(tail), ...range };
    return this.#exchange(from, { lane: LANE_READS, message, limits }, async (receive) => {
      const pieces: Uint8Array[] = [];
      for (let at = offset; ; ) {
        const frame = await receive();
        const { message: answer } = frame;
        if (answer.type === "tailEnd") {
          const { length: committedBytes, epoch, seq } = answer;
          return { pieces, committedBytes, epoch, seq };
        }
        if (answer.type !== "tailData") throw unexpected(answer);
        const bytes = joined(frame.payload);
        this.#checkRecords(from, answer, bytes);
        const skipped = at - answer.offset;
        if (skipped < 0 || bytes.byteLength < skipped) throw gap(from, at, answer.offset);
        if (skipped < bytes.byteLength) pieces.push(bytes.subarray(skipped));
        at = answer.offset + bytes.byteLength;
      }
    });
  }

  async close(): Promise<void> {
    await this.#frames.close();
  }

  #checkRecords(
    from: Replica,
    answer: { readonly lengths: Uint8Array; readonly recordCrcs: Uint8Array },
    bytes: Uint8Array,
  ): void {
    const lengths = view(answer.lengths);
    const crcs = view(answer.recordCrcs);
    let at = 0;
    for (let i = 0; i < lengths.byteLength; i += 4) {
      const end = at + lengths.getUint32(i, true);
      if (this.#crc32c(bytes.subarray(at, end)) === crcs.getUint32(i, true)) {
        at = end;
        continue;
      }
      const message = `A record from "${from.name}" is not what was written: its checksum is wrong`;
      throw new LumeoError("CHECKSUM", message, { servers: [from.server] });
    }
  }

  async #exchange<T>(
    to: Replica,
    request: {
      readonly lane: number;
      readonly message: Message;
      readonly payload?: readonly Uint8Array[];
      readonly limits: RequestLimits;
    },
    answered: (receive: () => Promise<ReceivedFrame>) => Promise<T>,
  ): Promise<T> {
    const { lane, message, payload, limits } = request;
    const slots = this.#slotsOf(`${lane} ${to.address}`);
    const slot = slots.tryTake(1) ?? (await slots.take(1, limits.signal));
    try {
      const connection = await this.#frames.shared({ address: to.address, lane });
      limits.signal.throwIfAborted();
      const exchange = connection.request(message as never, payload);
      try {
        return await answered(async () => {
          const frame = await within(this.#timers, exchange.receive(), exchange, limits);
          frame.release();
          return frame;
        });
      } finally {
        exchange.finish();
      }
    } finally {
      slot.release();
    }
  }

  #slotsOf(key: string): Budget {
    const known = this.#slots.get(key);
    if (known !== undefined) return known;
    const slots = new Budget(REQUESTS_PER_CONNECTION_MAX);
    this.#slots.set(key, slots);
    return slots;
  }
}

function named({ handle, token }: TailName) {
  return { handle: chunkHandle(handle), ...(token === undefined ? {} : { token }) };
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function gap(from: Replica, expected: number, is: number): LumeoError {
  const message = `"${from.name}" sent records from byte ${is} on, expected byte ${expected}`;
  return new LumeoError("PROTOCOL", message, { servers: [from.server] });
}

function unexpected(message: Message): LumeoError {
  return new LumeoError("PROTOCOL", `Cannot go on: "${message.type}" is no answer here`);
}
