// Calls to one address, by whatever network carries them (calls.ts).
//
// A call first waits for the connection, within its own time. So a failure before the request left
// this process is known as such (UNAVAILABLE: try elsewhere at once), and any later one may have
// taken effect (CONNECTION_LOST, TIMEOUT).

import type { MethodDefinition } from "@grpc/grpc-js";
import type { Closable } from "@lumeofs/base";
import type { CallOptions, DuplexOptions, RpcCalls, RpcNetwork, StreamOptions } from "./calls.js";
import { GRPC } from "./grpc.js";
import type { RpcStream } from "./stream.js";

export interface RpcChannelOptions {
  /** How long connecting may take. Default 3 s. */
  readonly connectTimeoutMs?: number;
  /** Default: gRPC. */
  readonly network?: RpcNetwork | undefined;
}

/** Keeps one connection to one address alive. Connects at the first call, reconnects by itself. */
export class RpcChannel implements Closable {
  readonly address: string;
  /** For the functions of this file. */
  readonly calls: RpcCalls;

  /** @param address  `host:port`. No I/O happens here. */
  constructor(address: string, options: RpcChannelOptions = {}) {
    this.address = address;
    this.calls = (options.network ?? GRPC).callsTo(address, options.connectTimeoutMs);
  }

  /** Ends every call in flight with CLOSED. */
  close(): Promise<void> {
    return this.calls.close();
  }

  /**
   * Waits until the connection stands, through failed attempts.
   *
   * @throws LumeoError UNAVAILABLE after `timeoutMs`, ABORTED, CLOSED.
   */
  ready(options: CallOptions): Promise<void> {
    return this.calls.ready(options);
  }
}

/** One request, one answer. @throws LumeoError; see the head of this file for its codes. */
export function unary<Q, A>(
  channel: RpcChannel,
  method: MethodDefinition<Q, A>,
  request: Q,
  options: CallOptions,
): Promise<A> {
  return channel.calls.unary(method, request, options);
}

/** Many requests, one answer: resolves with the answer when all have been taken in. */
export function upload<Q, A>(
  channel: RpcChannel,
  method: MethodDefinition<Q, A>,
  requests: AsyncIterable<Q> | Iterable<Q>,
  options: CallOptions,
): Promise<A> {
  return channel.calls.upload(method, requests, options);
}

/**
 * One request, many answers. Nothing is sent before somebody iterates; leaving the iteration early
 * ends the call. A slow reader slows the sender.
 *
 * @throws LumeoError; what arrived before a failure is given out first.
 */
export function download<Q, A>(
  channel: RpcChannel,
  method: MethodDefinition<Q, A>,
  request: Q,
  options: StreamOptions = {},
): AsyncGenerator<A, void, undefined> {
  return channel.calls.download(method, request, options);
}

/**
 * Opens a stream in both directions. It lives until one side ends it, the connection breaks, the
 * signal aborts or the channel closes.
 */
export function openStream<Q, A>(
  channel: RpcChannel,
  method: MethodDefinition<Q, A>,
  options: DuplexOptions<Q> = {},
): Promise<RpcStream<Q, A>> {
  return channel.calls.openStream(method, options);
}
