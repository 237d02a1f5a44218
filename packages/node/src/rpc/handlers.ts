// From an async function to a gRPC handler, one for each shape of call.

import type {
  MethodDefinition,
  Server,
  ServerDuplexStream,
  ServerReadableStream,
  ServerUnaryCall,
  ServerWritableStream,
  sendUnaryData,
} from "@grpc/grpc-js";
import { LumeoError } from "@lumeofs/base";
import { type BareMethod, bareDownload, bareStream, bareUnary, bareUpload } from "./bare-method.js";
import { type DirectHandler, serveDirect } from "./direct-server.js";
import { toStatus } from "./status.js";
import { DuplexStream, incoming, Outgoing, type RpcStream } from "./stream.js";

/** What a handler knows about its call. */
export interface CallContext {
  /** Aborts when the caller has gone, its deadline has passed, or (streams) the server stops. */
  readonly signal: AbortSignal;
  /** Address of the caller. */
  readonly peer: string;
  /** What is left of the caller's time; Infinity if it set none. */
  remainingMs(): number;
}

/** One method with its handler, ready for `RpcServer.start`. */
export interface RpcMethod {
  readonly path: string;
  /** The same without gRPC, for a network that carries messages by other means. */
  readonly bare: BareMethod;
  /** Set if it is served on connections of its own, too. */
  readonly direct?: DirectHandler;
  attach(server: Server, gate: CallGate): void;
}

/** The server's side of every call: limits, stopping, reporting. */
export interface CallGate {
  readonly stopping: AbortSignal;
  /** Throws if the call cannot be taken now; the result is called when it has ended. */
  enter(path: string): () => void;
  failed(path: string, peer: string, error: unknown): void;
}

export function register(server: Server, gate: CallGate, method: RpcMethod): void {
  method.attach(server, gate);
}

/** One request, one answer. */
export function serveUnary<Q, A>(
  method: MethodDefinition<Q, A>,
  handle: (request: Q, context: CallContext) => Promise<A>,
): RpcMethod {
  return {
    path: method.path,
    bare: bareUnary(method, handle),
    attach: (server, gate) => {
      const handler = (call: ServerUnaryCall<Q, A>, done: sendUnaryData<A>): void => {
        const run = () => handle(call.request, contextOf(call));
        void answer(gate, call, run, done);
      };
      add(server, method, handler, "unary");
    },
  };
}

/**
 * Many requests, one answer. Leaving the iteration early is allowed. The end of the requests does
 * not prove that all were sent (R5 of stream.ts).
 */
export function serveUpload<Q, A>(
  method: MethodDefinition<Q, A>,
  handle: (requests: AsyncIterable<Q>, context: CallContext) => Promise<A>,
): RpcMethod {
  return {
    path: method.path,
    bare: bareUpload(method, handle),
    attach: (server, gate) => {
      const handler = (call: ServerReadableStream<Q, A>, done: sendUnaryData<A>): void => {
        const requests = incoming<Q>(call, (error) => lostError(call, error));
        const cut = cutWhenStopping(gate, call);
        const run = () => handle(requests, contextOf(call, gate.stopping));
        void answer(gate, call, run, (error, value) => {
          if (!cut()) done(error, value);
        });
      };
      add(server, method, handler, "clientStream");
    },
  };
}

/**
 * One request, many answers: the next one is asked for when the transport has taken the last. When
 * the caller has gone, `signal` aborts and the iteration ends.
 */
export function serveDownload<Q, A>(
  method: MethodDefinition<Q, A>,
  handle: (request: Q, context: CallContext) => AsyncIterable<A>,
): RpcMethod {
  return {
    path: method.path,
    bare: bareDownload(method, handle),
    attach: (server, gate) => {
      const handler = (call: ServerWritableStream<Q, A>): void => {
        const outgoing = new Outgoing<A>(call, (error) => lostError(call, error));
        const context = contextOf(call, gate.stopping);
        const gone = (): void => outgoing.fail(lostError(call, context.signal.reason));
        context.signal.addEventListener("abort", gone, { once: true });
        const cut = cutWhenStopping(gate, call);
        const run = async (): Promise<void> => {
          for await (const message of handle(call.request, context)) await outgoing.send(message);
        };
        void answer(gate, call, run, (error) => {
          if (cut() || call.destroyed) return;
          if (error === null) outgoing.end();
          else call.emit("error", error);
        });
      };
      add(server, method, handler, "serverStream");
    },
  };
}

/** Both sides send. The stream ends when the handler's promise does. */
export function serveStream<Q, A>(
  method: MethodDefinition<Q, A>,
  handle: (stream: RpcStream<A, Q>, context: CallContext) => Promise<void>,
): RpcMethod {
  return {
    path: method.path,
    bare: bareStream(method, handle),
    direct: (socket, gate) => void serveDirect(method, handle, socket, gate),
    attach: (server, gate) => {
      const handler = (call: ServerDuplexStream<Q, A>): void => {
        const stream = new DuplexStream<A, Q>(call, {
          cancel: () => {}, // the handler's end decides the status
          translate: (error) => lostError(call, error),
        });
        const cut = cutWhenStopping(gate, call);
        const run = () => handle(stream, contextOf(call, gate.stopping));
        void answer(gate, call, run, (error) => {
          if (cut() || call.destroyed) return;
          if (error === null) stream.end();
          else call.emit("error", error);
        });
      };
      add(server, method, handler, "bidi");
    },
  };
}

/** What all shapes of call have. */
interface AnyCall {
  on(event: "cancelled", listener: () => void): unknown;
  getPeer(): string;
  getPath(): string;
  getDeadline(): Date | number;
}

async function answer<A>(
  gate: CallGate,
  call: AnyCall,
  run: () => Promise<A>,
  done: (error: ReturnType<typeof toStatus> | null, value?: A) => void,
): Promise<void> {
  let leave: (() => void) | undefined;
  try {
    leave = gate.enter(call.getPath());
    done(null, await run());
  } catch (error) {
    gate.failed(call.getPath(), call.getPeer(), error);
    done(toStatus(error));
  } finally {
    leave?.();
  }
}

/**
 * Ends a stream when the server stops: the caller hears that it was cut, and the handler's
 * iteration throws. The result tells, at the handler's end, whether that has happened.
 */
function cutWhenStopping(
  gate: CallGate,
  call: AnyCall & { emit(event: "error", error: unknown): unknown },
): () => boolean {
  let isCut = false;
  const cut = (): void => {
    isCut = true;
    const message = "Cannot go on with the stream: the server is stopping";
    call.emit("error", toStatus(new LumeoError("CONNECTION_LOST", message)));
  };
  gate.stopping.addEventListener("abort", cut, { once: true });
  return () => {
    gate.stopping.removeEventListener("abort", cut);
    return isCut;
  };
}

function lostError(call: AnyCall, cause: unknown): LumeoError {
  if (cause instanceof LumeoError) return cause;
  const message = `Cannot go on with the stream of ${call.getPeer()}: it was cut off`;
  return new LumeoError("CONNECTION_LOST", message, { cause });
}

function contextOf(call: AnyCall, stopping?: AbortSignal): CallContext {
  const gone = new AbortController();
  call.on("cancelled", () => {
    gone.abort(new LumeoError("ABORTED", `The caller ${call.getPeer()} has gone`));
  });
  return {
    signal: stopping === undefined ? gone.signal : AbortSignal.any([gone.signal, stopping]),
    peer: call.getPeer(),
    remainingMs: () => Number(call.getDeadline()) - Date.now(),
  };
}

function add<Q, A>(
  server: Server,
  method: MethodDefinition<Q, A>,
  handler: unknown,
  kind: "unary" | "clientStream" | "serverStream" | "bidi",
): void {
  server.register(
    method.path,
    handler as Parameters<Server["register"]>[1],
    method.responseSerialize as (message: unknown) => Buffer,
    method.requestDeserialize as (bytes: Buffer) => unknown,
    kind,
  );
}
