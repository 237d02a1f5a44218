// What comes over the data plane about growing chunks: appends and questions of clients, and what
// primaries say to the replicas here.
//
// V1. An append that is not for this server is passed on once, to the primary that has spoken to
//     the replica here last. Its outcome is unknown whenever its answer is lost.

import { assertNever, type ChunkHandle, type Crc32c, LumeoError } from "@lumeofs/base";
import {
  type Append,
  type AppendLookup,
  type ChainLink,
  crcOfBlocks,
  type Exchange,
  type FramePool,
  firstBadBlock,
  type ReceivedFrame,
  type TailMessage,
  type TailOpening,
} from "@lumeofs/node/frames";
import type { Gate } from "../access/token-gate.js";
import { RECORD_BYTES_MAX } from "../replication/append-record.js";
import { checkedBytes, inOnePiece } from "./member-link.js";
import { decodeMessage, encodeReply } from "./member-message.js";
import type { TailPrimaries } from "./tail-primaries.js";
import { serveTailRead } from "./tail-reads.js";
import { NO_BYTES } from "./tail-replica.js";
import type { TailStore } from "./tail-store.js";

const FORWARD_LANE = 110;
/** Primaries that are remembered; of others appends are not passed on. */
const HINTS_MAX = 16_384;

export interface TailServicePorts {
  readonly tails: TailStore;
  readonly primaries: TailPrimaries;
  readonly pool: FramePool;
  readonly gate: Gate;
  readonly crc32c: Crc32c;
  /** This server, as others reach it. @throws LumeoError UNAVAILABLE before the masters know it. */
  readonly self: () => ChainLink;
}

/** See the head of this file. */
export class TailService {
  readonly #ports: TailServicePorts;
  readonly #hints = new Map<ChunkHandle, ChainLink>();

  constructor(ports: TailServicePorts) {
    this.#ports = ports;
  }

  /** Serves one request to its end. @throws LumeoError (docs/formats/data-plane.md) */
  async serve(first: ReceivedFrame, message: TailOpening, exchange: Exchange): Promise<void> {
    switch (message.type) {
      case "append":
        return this.#append(first, message, exchange);
      case "tailRead": {
        const { token, handle } = message;
        await this.#ports.gate.check(token, { rights: ["read"], handle, epoch: undefined });
        return serveTailRead(this.#ports, message, exchange);
      }
      case "appendLookup":
        return this.#lookUp(message, exchange);
      case "tailMessage":
        return this.#member(first, message, exchange);
      default:
        return assertNever(message);
    }
  }

  async #append(first: ReceivedFrame, message: Append, exchange: Exchange): Promise<void> {
    const { gate, primaries } = this.#ports;
    const { token, handle, length } = message;
    const checked = gate.check(token, { rights: ["append"], handle, epoch: undefined });
    if (checked !== undefined) await checked;
    if (RECORD_BYTES_MAX < length) {
      const what = `a record has at most ${RECORD_BYTES_MAX} bytes, this one ${length}`;
      throw new LumeoError("INVALID_ARGUMENT", `Cannot append to chunk ${handle}: ${what}`);
    }
    const primary = primaries.find(handle);
    if (primary === undefined) return this.#elsewhere(first, message, exchange);
    const bytes = this.#checked(first, message);
    const write = { client: message.session, writeSeq: message.writeSeq };
    const { crc32c } = message;
    const retain = () => first.retain();
    const { position, offset } = await primary.append({ write, crc32c, bytes, retain });
    if (position.epoch === 0) throw new LumeoError("INTERNAL", "A record without an epoch");
    const { epoch, seq } = position;
    exchange.send({ type: "appended", epoch, seq, offset, primary: primary.self });
  }

  #checked(first: ReceivedFrame, { length, crc32c, crcs, handle }: Append): Uint8Array {
    const bytes = inOnePiece(first.payload);
    const bad = firstBadBlock([bytes], crcs, this.#ports.crc32c);
    if (bad === undefined && crcOfBlocks(crcs, length) === crc32c) return bytes;
    const why = "the record came with another checksum than it was sent with";
    throw new LumeoError("CHECKSUM", `Cannot append to chunk ${handle}: ${why}`);
  }

  /** V1, and what is known of a chunk that is sealed. */
  async #elsewhere(first: ReceivedFrame, message: Append, exchange: Exchange): Promise<void> {
    const { tails, self } = this.#ports;
    const { handle, session, writeSeq } = message;
    if (tails.find(handle) === undefined && tails.isSealed(handle)) {
      const found = await tails.lookUp(handle, { client: session, writeSeq });
      if (found === undefined)
        throw unknownOutcome(handle, "what was written is not known any more");
      if (found === "absent") {
        const way = "append to the next of its file";
        throw new LumeoError("SEALED", `Cannot append to chunk ${handle}: it is sealed; ${way}`);
      }
      const { epoch, seq, offset } = found;
      return void exchange.send({ type: "appended", epoch, seq, offset, primary: self() });
    }
    const hint = this.#hints.get(handle);
    if (message.isForwarded || hint === undefined || hint.server === self().server) {
      const why = "this server does not order what is appended; ask the masters who does";
      throw new LumeoError("NOT_PRIMARY", `Cannot append to chunk ${handle}: ${why}`);
    }
    await this.#passOn(hint, first, message, exchange);
  }

  async #passOn(
    to: ChainLink,
    first: ReceivedFrame,
    message: Append,
    exchange: Exchange,
  ): Promise<void> {
    const { pool } = this.#ports;
    const connection = await pool.shared({ address: to.address, lane: FORWARD_LANE });
    const passed = connection.request({ ...message, isForwarded: true }, first.payload);
    try {
      // Behind the answer, and behind the end of the connection, nobody reads the payload.
      const answer = await passed.receive();
      answer.release();
      if (answer.message.type !== "appended") {
        throw new LumeoError("PROTOCOL", `"${answer.message.type}" answers no append`);
      }
      exchange.send(answer.message);
    } finally {
      passed.finish();
    }
  }

  async #lookUp(message: AppendLookup, exchange: Exchange): Promise<void> {
    const { gate, tails } = this.#ports;
    const { token, handle, session, writeSeq } = message;
    const rights = ["append", "read"] as const;
    await gate.check(token, { rights, handle, epoch: undefined });
    const found = await tails.lookUp(handle, { client: session, writeSeq });
    if (found === undefined) {
      throw unknownOutcome(handle, "it still grows, or nothing is known here any more");
    }
    if (found === "absent") {
      exchange.send({ type: "appendFound", outcome: "absent", offset: 0, length: 0 });
      return;
    }
    const { offset, lengthBytes: length } = found;
    exchange.send({ type: "appendFound", outcome: "written", offset, length });
  }

  async #member(first: ReceivedFrame, message: TailMessage, exchange: Exchange): Promise<void> {
    const { tails, gate, crc32c, self } = this.#ports;
    const { handle, token, primary } = message;
    const payload = inOnePiece(first.payload);
    const { said, head, bytes } = decodeMessage(payload);
    if (crc32c(head) !== message.headCrc32c) {
      throw new LumeoError("CHECKSUM", "A message of a primary came with another checksum");
    }
    await gate.check(token, { rights: ["lead"], handle, epoch: said.epoch });
    const carried = said.kind === "append" ? checkedBytes(said.records, bytes, crc32c) : NO_BYTES;
    const { reply, data } = await tails.serve(handle, said, carried);
    if (reply.kind !== "stale") this.#learn(handle, primary);
    const answer = encodeReply(reply);
    const headCrc32c = crc32c(answer);
    exchange.send({ type: "tailReply", server: self().server, headCrc32c }, [answer, ...data]);
  }

  #learn(handle: ChunkHandle, primary: ChainLink): void {
    this.#hints.delete(handle);
    this.#hints.set(handle, primary);
    const [oldest] = this.#hints.keys();
    if (HINTS_MAX < this.#hints.size && oldest !== undefined) this.#hints.delete(oldest);
  }
}

function unknownOutcome(handle: ChunkHandle, why: string): LumeoError {
  return new LumeoError(
    "UNKNOWN_OUTCOME",
    `Cannot say what became of it in chunk ${handle}: ${why}`,
  );
}
