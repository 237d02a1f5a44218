// Small chunks of one server in one frame each way (docs/design/0010).

import { type Crc32c, chunkHandle, epoch, LumeoError } from "@lumeofs/base";
import type { AskedChunk, FramePool } from "@lumeofs/node/frames";
import type { LocatedChunk } from "../operations.js";

export interface JointReadPorts {
  readonly frames: FramePool;
  readonly crc32c: Crc32c;
  /** The connections that these reads have to themselves. */
  readonly lane: number;
}

/** Where to ask, and until when the answer is wanted. */
export interface JointReadOptions {
  readonly address: string;
  /** Called with what gives the request up. */
  readonly begun: (giveUp: () => void) => void;
}

/**
 * Reads whole chunks, each of at most a block.
 *
 * @returns Their bytes in the order of the chunks, in memory of their own; undefined for each that
 *          the server did not give, or gave otherwise than the metadata describes it.
 * @throws  LumeoError if the server cannot be reached or refuses the whole.
 */
export async function readTogether(
  { frames, crc32c, lane }: JointReadPorts,
  chunks: readonly LocatedChunk[],
  { address, begun }: JointReadOptions,
): Promise<readonly (Uint8Array | undefined)[]> {
  const connection = await frames.shared({ address, lane });
  const exchange = connection.request({ type: "readMany", chunks: chunks.map(asked) });
  begun(() => exchange.finish());
  try {
    const frame = await exchange.receive();
    frame.release();
    const { message, payload } = frame;
    if (message.type !== "manyData" || message.lengths.byteLength !== 4 * chunks.length) {
      throw new LumeoError("PROTOCOL", `Cannot go on: "${message.type}" is no answer here`);
    }
    const lengths = new DataView(message.lengths.buffer, message.lengths.byteOffset);
    const all = payload[0] ?? new Uint8Array();
    let at = 0;
    return chunks.map((chunk, i) => {
      const length = lengths.getUint32(4 * i, true);
      const bytes = all.subarray(at, at + length);
      at += length;
      if (length !== chunk.lengthBytes || crc32c(bytes) !== chunk.crc32c) return undefined;
      // Whoever keeps one chunk shall not keep the whole frame.
      return chunks.length === 1 ? bytes : Uint8Array.prototype.slice.call(bytes);
    });
  } finally {
    exchange.finish();
  }
}

function asked({ handle, epoch: term, token }: LocatedChunk): AskedChunk {
  const chunk = { handle: chunkHandle(handle), epoch: epoch(term) };
  return token === undefined ? chunk : { ...chunk, token };
}
