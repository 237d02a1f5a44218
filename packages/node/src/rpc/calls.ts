// What a process needs of whatever carries its calls: gRPC between real processes (grpc.ts), or
// simulated wires. Callers use RpcChannel and the functions beside it; servers give RpcMethods.

import type { MethodDefinition } from "@grpc/grpc-js";
import type { Closable } from "@lumeofs/base";
import type { RpcMethod } from "./handlers.js";
import type { RpcServerOptions } from "./server.js";
import type { RpcStream } from "./stream.js";

/** How a call is named, and its messages written; made from protos/. */
export type { MethodDefinition };

/** What bounds a unary call. */
export interface CallOptions {
  /** For the whole call, connecting included. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface StreamOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Carry it over a connection of its own, without HTTP/2 (direct-stream.ts): for streams between
   * our own processes of many small messages. A network may ignore it.
   */
  readonly direct?: boolean;
}

/** What is said of a stream in both directions. */
export interface DuplexOptions<Q> extends StreamOptions {
  /**
   * How a message is written in parts, one behind the other, some of which are bytes of the message
   * itself: whoever sends it never changes them. A network that joins all parts may ignore it.
   */
  readonly inParts?: (message: Q) => readonly Uint8Array[];
}

/** Calls to one address; see the functions of channel.ts for what each promises. */
export interface RpcCalls extends Closable {
  ready(options: CallOptions): Promise<void>;
  unary<Q, A>(method: MethodDefinition<Q, A>, request: Q, options: CallOptions): Promise<A>;
  upload<Q, A>(
    method: MethodDefinition<Q, A>,
    requests: AsyncIterable<Q> | Iterable<Q>,
    options: CallOptions,
  ): Promise<A>;
  download<Q, A>(
    method: MethodDefinition<Q, A>,
    request: Q,
    options: StreamOptions,
  ): AsyncGenerator<A, void, undefined>;
  openStream<Q, A>(
    method: MethodDefinition<Q, A>,
    options: DuplexOptions<Q>,
  ): Promise<RpcStream<Q, A>>;
}

/** Something that serves until it is closed. */
export interface RpcListener extends Closable {
  readonly host: string;
  readonly port: number;
  /** `host:port`, for those on this machine. */
  readonly address: string;
}

/** Port: how calls travel between processes. */
export interface RpcNetwork {
  /** Does no I/O. @param connectTimeoutMs  How long connecting may take; undefined: as usual. */
  callsTo(address: string, connectTimeoutMs: number | undefined): RpcCalls;
  /** @throws LumeoError CONFIG if the address cannot be used. */
  listen(options: RpcServerOptions, methods: readonly RpcMethod[]): Promise<RpcListener>;
}
