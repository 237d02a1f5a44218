// A client of growing chunks, with the least that appends and reads need: it asks again under the
// same number until it has an answer that counts.

import { type ChunkHandle, LumeoError, type SessionId, sessionId } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { type Appended, blockCrcs, FramePool } from "@lumeofs/node/frames";
import type { Replica } from "../replicas.js";

export interface ReadBack {
  readonly bytes: Buffer;
  readonly records: readonly string[];
  readonly length: number;
  readonly seq: number;
}

export class AppendClient {
  readonly pool = new FramePool({
    hello: () => ({ type: "hello", role: "client", clusterId: "", name: "test" }),
  });
  readonly session: SessionId;
  #writeSeq = 0;

  constructor(number: number) {
    this.session = sessionId(number);
  }

  /** The next number of this client. */
  next(): number {
    return ++this.#writeSeq;
  }

  /** One try. @throws LumeoError as the server answers. */
  async append(
    to: Replica,
    handle: ChunkHandle,
    text: string | Uint8Array,
    writeSeq = this.next(),
  ): Promise<Appended> {
    const bytes = typeof text === "string" ? Buffer.from(text) : text;
    const connection = await this.pool.shared({ address: to.address });
    const exchange = connection.request(
      {
        type: "append",
        ...{ handle, session: this.session, writeSeq, isForwarded: false },
        ...{ length: bytes.byteLength, crc32c: nativeCrc32c(bytes) },
        crcs: blockCrcs([bytes], nativeCrc32c),
      },
      [bytes],
    );
    try {
      const { message } = await exchange.receive();
      if (message.type === "appended") return message;
      throw new LumeoError("PROTOCOL", `"${message.type}" answers no append`);
    } finally {
      exchange.finish();
    }
  }

  /** Reads a range of what is committed. */
  async read(
    from: Replica,
    handle: ChunkHandle,
    range: {
      readonly offset?: number;
      readonly length?: number;
      readonly seen?: { readonly epoch: number; readonly seq: number };
    } = {},
  ): Promise<ReadBack> {
    const { offset = 0, length = 64 * 2 ** 20, seen } = range;
    const connection = await this.pool.shared({ address: from.address });
    const about = seen === undefined ? {} : { seen };
    const exchange = connection.request({ type: "tailRead", handle, offset, length, ...about });
    const parts: Buffer[] = [];
    const records: string[] = [];
    try {
      for (;;) {
        const frame = await exchange.receive();
        const { message, payload } = frame;
        if (message.type === "tailEnd") {
          return { bytes: Buffer.concat(parts), records, length: message.length, seq: message.seq };
        }
        if (message.type !== "tailData") throw new LumeoError("PROTOCOL", message.type);
        const data = Buffer.concat(payload);
        frame.release();
        const crcs = Buffer.from(message.recordCrcs);
        let at = 0;
        for (let i = 0; 4 * i < message.lengths.byteLength; i++) {
          const bytes = Buffer.from(message.lengths).readUInt32LE(4 * i);
          const record = data.subarray(at, at + bytes);
          if (nativeCrc32c(record) !== crcs.readUInt32LE(4 * i)) {
            throw new LumeoError("CHECKSUM", "A record came damaged");
          }
          records.push(record.toString());
          at += bytes;
        }
        parts.push(data);
      }
    } finally {
      exchange.finish();
    }
  }

  async lookUp(at: Replica, handle: ChunkHandle, writeSeq: number) {
    const connection = await this.pool.shared({ address: at.address });
    const { session } = this;
    const exchange = connection.request({ type: "appendLookup", handle, session, writeSeq });
    try {
      const { message } = await exchange.receive();
      if (message.type === "appendFound") return message;
      throw new LumeoError("PROTOCOL", message.type);
    } finally {
      exchange.finish();
    }
  }

  close(): Promise<void> {
    return this.pool.close();
  }
}
