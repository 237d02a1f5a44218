// Where the file of a chunk lies, asked of its server (docs/design/0032).

import { CancelSource, chunkHandle, epoch, LumeoError, type Timers } from "@lumeofs/base";
import type { FileFound, FramePool } from "@lumeofs/node/frames";
import { within } from "./answer-wait.js";
import type { ChunkPart } from "./chunkserver-pool.js";

export interface FileLookupPorts {
  readonly frames: FramePool;
  readonly timers: Timers;
  /** Connections of their own: a server of an earlier version closes them. */
  readonly lane: number;
}

/** @throws LumeoError as the server refuses; if it cannot be reached or is silent. */
export async function findFile(
  { frames, timers, lane }: FileLookupPorts,
  address: string,
  { chunk, token }: Pick<ChunkPart, "chunk" | "token">,
  timeoutMs: number,
): Promise<FileFound> {
  const connection = await frames.shared({ address, lane });
  const exchange = connection.request({
    type: "fileLookup",
    handle: chunkHandle(chunk.handle),
    epoch: epoch(chunk.epoch),
    ...(token === undefined ? {} : { token }),
  });
  try {
    const limits = { timeoutMs, signal: new CancelSource() };
    const frame = await within(timers, exchange.receive(), exchange, limits);
    frame.release();
    if (frame.message.type === "fileFound") return frame.message;
    const what = `Cannot go on: "${frame.message.type}" is no answer here`;
    throw new LumeoError("PROTOCOL", what);
  } finally {
    exchange.finish();
  }
}
