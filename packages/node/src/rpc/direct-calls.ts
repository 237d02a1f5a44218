// Opens direct streams (direct-stream.ts): a connection for each.

import type { MethodDefinition } from "@grpc/grpc-js";
import type { LumeoError } from "@lumeofs/base";
import { connectTcp } from "../frames/tcp.js";
import { DIRECT_MAGIC, DirectStream } from "./direct-stream.js";

export interface DirectOpening<Q> {
  /** `host:port` */
  readonly address: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** What a stream that was cut is told. */
  readonly cut: (cause?: unknown) => LumeoError;
  /** How messages are written; default: as the method says. */
  readonly inParts?: ((message: Q) => readonly Uint8Array[]) | undefined;
}

/**
 * Connects, and says which method is wanted.
 *
 * @throws LumeoError UNAVAILABLE if nobody answers there in time; the signal's reason.
 */
export async function openDirect<Q, A>(
  method: MethodDefinition<Q, A>,
  opening: DirectOpening<Q>,
): Promise<DirectStream<Q, A>> {
  const socket = await connectTcp(opening.address, opening);
  const path = Buffer.from(method.path);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(path.byteLength);
  socket.write(Buffer.concat([DIRECT_MAGIC, length, path]));
  return new DirectStream(socket, {
    encode: opening.inParts ?? ((message) => [method.requestSerialize(message)]),
    decode: method.responseDeserialize,
    cut: opening.cut,
  });
}
