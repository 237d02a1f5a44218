// One message to another member of a growing chunk, and its answer. What is lost on the way is said
// again by the primary, at its next tick.

import {
  Budget,
  type ChunkHandle,
  type Crc32c,
  LumeoError,
  MiB,
  type Permit,
  type Timers,
} from "@lumeofs/base";
import type { ChainLink, FramePool, ReceivedFrame } from "@lumeofs/node/frames";
import type { AppendRecord } from "../replication/append-record.js";
import {
  decodeReply,
  encodeMessage,
  type MemberMessage,
  type MemberReply,
} from "./member-message.js";
import { bytesOf, cutBytes } from "./record-rows.js";
import { NO_BYTES, type RecordBytes } from "./tail-replica.js";

/** Connections to one server for this, so that many chunks may have many messages under way. */
const LANE = 101;
const LANES = 8;
/** An answer that takes longer counts as lost; settling a chunk may read and write all of it. */
const REPLY_MS = 3_000;
/** Bytes of records that are on their way into a server's connections; more wait. */
const SENDING_BYTES_MAX = 4 * MiB;
const SETTLE_MS = 60_000;

export interface MemberLinkPorts {
  readonly pool: FramePool;
  readonly timers: Timers;
  readonly crc32c: Crc32c;
}

/** What is said about one chunk. */
export interface Addressed {
  readonly handle: ChunkHandle;
  readonly to: ChainLink;
  /** The primary that speaks. */
  readonly from: ChainLink;
  /** The masters' word that it is one; undefined where tokens are not used. */
  readonly token: Uint8Array | undefined;
}

export interface Answered {
  readonly reply: MemberReply;
  /** Of the records of `given`, checked. */
  readonly bytes: RecordBytes;
}

/** See the head of this file. */
export class MemberLink {
  readonly #ports: MemberLinkPorts;

  readonly #sending = new Map<string, Budget>();

  constructor(ports: MemberLinkPorts) {
    this.#ports = ports;
  }

  /** Room for bytes that are to be sent to a member; given back when its connection has them. */
  async room(to: ChainLink, bytes: number): Promise<Permit> {
    const room = this.#sending.get(to.address) ?? new Budget(SENDING_BYTES_MAX);
    this.#sending.set(to.address, room);
    const permit = room.tryTake(bytes) ?? (await room.take(bytes));
    return {
      release: () => {
        permit.release();
        if (room.used === 0 && room.waiting === 0) this.#sending.delete(to.address);
      },
    };
  }

  /**
   * Asks a member. Nobody waits for one that takes nothing any more: its connection is cut.
   *
   * @param data  The bytes of the message's records, in their order.
   * @param sent  Called when they may change again, unless this rejects before.
   * @throws LumeoError as the member answered; UNAVAILABLE, CONNECTION_LOST, TIMEOUT, PROTOCOL.
   */
  async ask(
    about: Addressed,
    message: MemberMessage,
    data: readonly Uint8Array[],
    sent: () => void = () => undefined,
  ): Promise<Answered> {
    const { pool, crc32c } = this.#ports;
    const { handle, to, from, token } = about;
    const connection = await pool.shared({
      address: to.address,
      lane: LANE + (handle % LANES),
    });
    const head = encodeMessage(message);
    let isSent = false;
    const exchange = connection.request(
      {
        type: "tailMessage",
        handle,
        primary: from,
        headCrc32c: crc32c(head),
        ...(token === undefined ? {} : { token }),
      },
      [head, ...data],
      () => {
        isSent = true;
        sent();
      },
    );
    const late = this.#ports.timers.after(waitMs(message), () => {
      if (!isSent) connection.close(stuck(to));
      exchange.finish();
    });
    try {
      const frame = await exchange.receive();
      try {
        return this.#read(frame, to);
      } finally {
        frame.release();
      }
    } finally {
      late.cancel();
      exchange.finish();
    }
  }

  #read(frame: ReceivedFrame, to: ChainLink): Answered {
    const { message, payload } = frame;
    if (message.type !== "tailReply" || message.server !== to.server) {
      throw new LumeoError("PROTOCOL", `Cannot go on: "${to.address}" is not server ${to.server}`);
    }
    const { said: reply, head, bytes } = decodeReply(inOnePiece(payload));
    if (this.#ports.crc32c(head) !== message.headCrc32c) {
      throw new LumeoError("CONNECTION_LOST", "A reply came with another checksum");
    }
    if (reply.kind !== "given") return { reply, bytes: NO_BYTES };
    return { reply, bytes: checkedBytes(reply.records, bytes, this.#ports.crc32c) };
  }
}

/**
 * The bytes of records that came behind a message, each compared with its checksum.
 *
 * @throws LumeoError PROTOCOL if they are of another length; CHECKSUM.
 */
export function checkedBytes(
  records: readonly AppendRecord[],
  bytes: Uint8Array,
  crc32c: Crc32c,
): RecordBytes {
  if (bytes.byteLength !== bytesOf(records)) {
    throw new LumeoError("PROTOCOL", "Cannot go on: records came without their bytes");
  }
  const cut = cutBytes(records, bytes);
  for (const { seq, content } of records) {
    const found = cut.get(seq);
    if (content.kind !== "data" || found === undefined) continue;
    if (crc32c(found) === content.crc32c) continue;
    throw new LumeoError("CHECKSUM", `Record ${seq} came with another checksum`);
  }
  return cut;
}

/** A payload in one piece, as it was received: valid as long as its frame. */
export function inOnePiece(pieces: readonly Uint8Array[]): Uint8Array {
  const [only = new Uint8Array()] = pieces;
  return pieces.length < 2 ? only : Buffer.concat(pieces);
}

function stuck({ address }: ChainLink): LumeoError {
  return new LumeoError("CONNECTION_LOST", `Cannot go on: "${address}" takes nothing any more`);
}

function waitMs({ kind }: MemberMessage): number {
  return kind === "settle" || kind === "finish" ? SETTLE_MS : REPLY_MS;
}
