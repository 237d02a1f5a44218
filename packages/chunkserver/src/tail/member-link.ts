// One message to another member of a growing chunk, and its answer. What is lost on the way is said
// again by the primary, at its next tick.

import { type ChunkHandle, type Crc32c, LumeoError, type Timers } from "@lumeofs/base";
import {
  blockCrcs,
  type ChainLink,
  type FramePool,
  firstBadBlock,
  type ReceivedFrame,
} from "@lumeofs/node/frames";
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

  constructor(ports: MemberLinkPorts) {
    this.#ports = ports;
  }

  /**
   * Asks a member.
   *
   * @param data  The bytes of the message's records, in their order.
   * @throws LumeoError as the member answered; UNAVAILABLE, CONNECTION_LOST, TIMEOUT, PROTOCOL.
   */
  async ask(
    about: Addressed,
    message: MemberMessage,
    data: readonly Uint8Array[],
  ): Promise<Answered> {
    const { pool, crc32c } = this.#ports;
    const { handle, to, from, token } = about;
    const connection = await pool.shared({
      address: to.address,
      lane: LANE + (handle % LANES),
    });
    const payload = [encodeMessage(message), ...data];
    const exchange = connection.request(
      {
        type: "tailMessage",
        handle,
        primary: from,
        crcs: blockCrcs(payload, crc32c),
        ...(token === undefined ? {} : { token }),
      },
      payload,
    );
    const late = this.#ports.timers.after(waitMs(message), () => exchange.finish());
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
    if (firstBadBlock(payload, message.crcs, this.#ports.crc32c) !== undefined) {
      throw new LumeoError("CONNECTION_LOST", "A reply came with another checksum");
    }
    const { said: reply, bytes } = decodeReply(joined(payload));
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

/** A copy of a payload, in one piece: the memory of what was received is used again. */
export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(pieces);
}

function waitMs({ kind }: MemberMessage): number {
  return kind === "settle" || kind === "finish" ? SETTLE_MS : REPLY_MS;
}
