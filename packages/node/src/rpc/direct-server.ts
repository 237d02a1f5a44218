// The server's end of direct streams (direct-stream.ts).

import type { Socket } from "node:net";
import type { MethodDefinition } from "@grpc/grpc-js";
import { asLumeoError, LumeoError } from "@lumeofs/base";
import { DirectStream } from "./direct-stream.js";
import type { CallContext, CallGate } from "./handlers.js";
import type { RpcStream } from "./stream.js";

/** Serves one stream on a connection that has named its method. */
export type DirectHandler = (socket: Socket, gate: CallGate) => void;

/** Serves one stream; the end of the handler's promise is its end. */
export async function serveDirect<Q, A>(
  method: MethodDefinition<Q, A>,
  handle: (stream: RpcStream<A, Q>, context: CallContext) => Promise<void>,
  socket: Socket,
  gate: CallGate,
): Promise<void> {
  const peer = `${socket.remoteAddress}:${socket.remotePort}`;
  const stream = new DirectStream<A, Q>(socket, {
    encode: (message) => [method.responseSerialize(message)],
    decode: method.requestDeserialize,
    cut: (cause) => lost(`Cannot go on with the stream of ${peer}: it was cut off`, cause),
    cancelCloses: false, // the handler's end does
  });
  const gone = new AbortController();
  stream.whenClosed(() => gone.abort(new LumeoError("ABORTED", `The caller ${peer} has gone`)));
  const stop = (): void => {
    const reason = lost("Cannot go on with the stream: the server is stopping");
    stream.fail(reason);
    stream.finish(reason);
  };
  gate.stopping.addEventListener("abort", stop, { once: true });
  const signal = AbortSignal.any([gone.signal, gate.stopping]);
  let leave: (() => void) | undefined;
  try {
    leave = gate.enter(method.path);
    await handle(stream, { signal, peer, remainingMs: () => Infinity });
    stream.finish();
  } catch (error) {
    gate.failed(method.path, peer, error);
    stream.finish(asLumeoError(error));
  } finally {
    leave?.();
    gate.stopping.removeEventListener("abort", stop);
  }
}

/** Answers a connection that wants what is not served here. */
export function refuseDirect(path: string, socket: Socket): void {
  const why = "it is another kind of server, or of another version, and does not know this call";
  const nothing = (): never => {
    throw new LumeoError("PROTOCOL", `Cannot serve ${path}`);
  };
  const cut = (cause?: unknown): LumeoError => lost("The stream was refused", cause);
  const stream = new DirectStream(socket, { encode: nothing, decode: nothing, cut });
  stream.finish(new LumeoError("PROTOCOL", `Cannot serve ${path}: ${why}`));
}

function lost(message: string, cause?: unknown): LumeoError {
  return new LumeoError("CONNECTION_LOST", message, { cause });
}
