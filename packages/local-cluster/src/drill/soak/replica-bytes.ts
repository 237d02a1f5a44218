// The bytes that one chunkserver has of one chunk, asked of it alone, past everything that the SDK
// does to find good ones.

import { chunkHandle, epoch, LumeoError } from "@lumeofs/base";
import type { ChunkInfo, ReplicaInfo } from "@lumeofs/client";
import { nativeCrc32c, SystemTimers } from "@lumeofs/node";
import { type Exchange, FramePool, firstBadBlock } from "@lumeofs/node/frames";

const ANSWER_MS = 30_000;
/** Its own connections. */
const LANE = 900;

export class ReplicaBytes implements AsyncDisposable {
  readonly #timers = new SystemTimers();
  readonly #pool = new FramePool({
    hello: () => ({ type: "hello", role: "client", clusterId: "", name: "audit" }),
    exclusiveMax: 1,
  });

  /** @throws LumeoError if the server refuses, is silent, or sends bad blocks. */
  async *read(chunk: ChunkInfo, replica: ReplicaInfo): AsyncGenerator<Uint8Array> {
    const connection = await this.#pool.shared({ address: replica.address, lane: LANE });
    const exchange = connection.request({
      type: "read",
      handle: chunkHandle(chunk.handle),
      epoch: epoch(chunk.epoch),
      offset: 0,
      length: chunk.length,
    });
    try {
      yield* this.#pieces(exchange, replica.id);
    } finally {
      exchange.finish();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool.close();
  }

  async *#pieces(exchange: Exchange, name: string): AsyncGenerator<Uint8Array> {
    for (;;) {
      const late = this.#timers.after(ANSWER_MS, () => exchange.finish());
      const { message, payload, release } = await exchange.receive().then((frame) => ({
        message: frame.message,
        payload: frame.payload.map((piece) => piece.slice()),
        release: () => frame.release(),
      }));
      late.cancel();
      release();
      if (message.type === "readEnd") return;
      if (message.type !== "readData" || firstBadBlock(payload, message.crcs, nativeCrc32c)) {
        throw new LumeoError("CHECKSUM", `"${name}" answered with "${message.type}", or badly`);
      }
      yield* payload;
    }
  }
}
