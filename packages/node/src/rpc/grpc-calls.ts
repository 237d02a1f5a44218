// Calls to one address over gRPC.
//
// A call first waits for the connection, within its own time. So a failure before the request left
// this process is known as such (UNAVAILABLE: try elsewhere at once), and any later one may have
// taken effect (CONNECTION_LOST, TIMEOUT).

import { setImmediate } from "node:timers/promises";
import {
  Client,
  connectivityState,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceError,
} from "@grpc/grpc-js";
import { LumeoError } from "@lumeofs/base";
import type { CallOptions, DuplexOptions, RpcCalls, StreamOptions } from "./calls.js";
import { openDirect } from "./direct-calls.js";
import { TRANSPORT_OPTIONS } from "./limits.js";
import { fromServiceError } from "./status.js";
import { DuplexStream, incoming, Outgoing, type RpcStream } from "./stream.js";

const CONNECT_TIMEOUT_MS = 3_000;
const RECONNECT_MS_MIN = 100;
const RECONNECT_MS_MAX = 1_000;

/** Keeps one connection to one address alive. Connects at the first call, reconnects by itself. */
export class GrpcCalls implements RpcCalls {
  readonly address: string;
  readonly #client: Client;
  readonly #connectTimeoutMs: number;
  readonly #open = new Set<{ cancel(): void }>();
  #closed = false;

  /** @param address  `host:port`. No I/O happens here. */
  constructor(address: string, connectTimeoutMs = CONNECT_TIMEOUT_MS) {
    this.address = address;
    this.#connectTimeoutMs = connectTimeoutMs;
    this.#client = new Client(address, credentials.createInsecure(), {
      ...TRANSPORT_OPTIONS,
      "grpc.initial_reconnect_backoff_ms": RECONNECT_MS_MIN,
      "grpc.max_reconnect_backoff_ms": RECONNECT_MS_MAX,
      "grpc.use_local_subchannel_pool": 1, // channels to one address do not share a broken link
      "grpc.enable_retries": 0, // only the SDK retries
      "grpc.enable_http_proxy": 0,
      "grpc.service_config_disable_resolution": 1,
    });
  }

  /** Ends every call in flight with CLOSED. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const call of this.#open) call.cancel();
    this.#client.close();
  }

  /**
   * Waits until the connection stands, through failed attempts.
   *
   * @throws LumeoError UNAVAILABLE after `timeoutMs`, ABORTED, CLOSED.
   */
  async ready(options: CallOptions): Promise<void> {
    const deadline = Date.now() + options.timeoutMs;
    for (;;) {
      this.#checkOpen();
      if (options.signal?.aborted) throw abortedError(this.address, options.signal);
      const state = this.#client.getChannel().getConnectivityState(true);
      if (state === connectivityState.READY) return;
      const changed = await this.#stateChange(state, deadline, options.signal);
      if (!changed) throw unavailable(this.address, "no connection in time");
    }
  }

  async #connect(signal: AbortSignal | undefined, timeoutMs = Infinity): Promise<Client> {
    const deadline = Date.now() + Math.min(timeoutMs, this.#connectTimeoutMs);
    const channel = this.#client.getChannel();
    for (;;) {
      this.#checkOpen();
      if (signal?.aborted) throw abortedError(this.address, signal);
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) return this.#client;
      if (state === connectivityState.TRANSIENT_FAILURE) {
        await setImmediate(); // a caller that tries again at once must not starve the event loop
        throw unavailable(this.address, "the last attempt failed");
      }
      const changed = await this.#stateChange(state, deadline, signal);
      if (!changed) throw unavailable(this.address, "no connection in time");
    }
  }

  /** Keeps a call in the list of those that `close` ends. */
  track(call: { cancel(): void }): () => void {
    this.#open.add(call);
    return () => this.#open.delete(call);
  }

  #checkOpen(): void {
    if (this.#closed) {
      throw new LumeoError("CLOSED", `Cannot call ${this.address}: the channel is closed`);
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  async unary<Q, A>(method: MethodDefinition<Q, A>, request: Q, options: CallOptions): Promise<A> {
    const deadline = Date.now() + options.timeoutMs;
    const client = await this.#connect(options.signal, options.timeoutMs);
    return settle(this, options.signal, (done) =>
      client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        new Metadata(),
        { deadline },
        done,
      ),
    );
  }

  async upload<Q, A>(
    method: MethodDefinition<Q, A>,
    requests: AsyncIterable<Q> | Iterable<Q>,
    options: CallOptions,
  ): Promise<A> {
    const deadline = Date.now() + options.timeoutMs;
    const client = await this.#connect(options.signal, options.timeoutMs);
    return settle(this, options.signal, (done, giveUp) => {
      const call = client.makeClientStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        new Metadata(),
        { deadline },
        (error, answer) => {
          outgoing.fail(closedError(this.address)); // so that the source is not read any further
          done(error, answer);
        },
      );
      const outgoing = new Outgoing<Q>(call, (error) => translate(this, error));
      void pump(requests, outgoing).catch(giveUp);
      return call;
    });
  }

  async *download<Q, A>(
    method: MethodDefinition<Q, A>,
    request: Q,
    options: StreamOptions = {},
  ): AsyncGenerator<A, void, undefined> {
    const { signal } = options;
    const client = await this.#connect(signal);
    const call = client.makeServerStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      request,
      new Metadata(),
      {},
    );
    const untrack = this.track(call);
    const abort = (): void => call.cancel();
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
    try {
      yield* incoming<A>(call, (error) => {
        return signal?.aborted ? abortedError(this.address, signal) : translate(this, error);
      });
    } finally {
      untrack();
      signal?.removeEventListener("abort", abort);
      call.on("error", () => {}); // of our own cancelling: nobody iterates any more
      call.cancel();
    }
  }

  async openStream<Q, A>(
    method: MethodDefinition<Q, A>,
    options: DuplexOptions<Q> = {},
  ): Promise<RpcStream<Q, A>> {
    const { signal } = options;
    if (options.direct === true) return this.#openDirect(method, options);
    const client = await this.#connect(signal);
    const call = client.makeBidiStreamRequest(
      method.path,
      method.requestSerialize,
      method.responseDeserialize,
      new Metadata(),
      {},
    );
    const stream = new DuplexStream<Q, A>(call, {
      cancel: () => call.cancel(),
      translate: (error) => translate(this, error),
    });
    const abort = (): void => stream.cancel(signal && abortedError(this.address, signal));
    const untrack = this.track({ cancel: () => stream.cancel(closedError(this.address)) });
    signal?.addEventListener("abort", abort, { once: true });
    call.on("status", () => {
      untrack();
      signal?.removeEventListener("abort", abort);
    });
    return stream;
  }

  async #openDirect<Q, A>(
    method: MethodDefinition<Q, A>,
    { signal, inParts }: DuplexOptions<Q>,
  ): Promise<RpcStream<Q, A>> {
    this.#checkOpen();
    const { address } = this;
    const cut = (cause?: unknown): LumeoError => translate(this, cause);
    const opening = { address, timeoutMs: this.#connectTimeoutMs, signal, cut, inParts };
    const stream = await openDirect(method, opening);
    const abort = (): void => stream.cancel(signal && abortedError(address, signal));
    const close = (): void => stream.cancel(closedError(address));
    const untrack = this.track({ cancel: close });
    signal?.addEventListener("abort", abort, { once: true });
    stream.whenClosed(() => {
      untrack();
      signal?.removeEventListener("abort", abort);
    });
    if (this.#closed) close();
    else if (signal?.aborted) abort();
    return stream;
  }

  #stateChange(
    from: connectivityState,
    deadline: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    return new Promise((resolve) => {
      const abort = (): void => resolve(true); // the caller looks at the signal
      signal?.addEventListener("abort", abort, { once: true });
      this.#client.getChannel().watchConnectivityState(from, deadline, (late) => {
        signal?.removeEventListener("abort", abort);
        resolve(late === undefined || late === null);
      });
    });
  }
}

async function pump<Q>(
  requests: AsyncIterable<Q> | Iterable<Q>,
  outgoing: Outgoing<Q>,
): Promise<void> {
  for await (const request of requests) await outgoing.send(request);
  outgoing.end();
}

type Done<A> = (error: ServiceError | null, answer?: A) => void;

/** Begins a call that has one answer; `giveUp` cancels it and makes `reason` its error. */
function settle<A>(
  channel: GrpcCalls,
  signal: AbortSignal | undefined,
  begin: (done: Done<A>, giveUp: (reason: unknown) => void) => { cancel(): void },
): Promise<A> {
  return new Promise((resolve, reject) => {
    const done: Done<A> = (error, answer) => {
      untrack();
      signal?.removeEventListener("abort", abort);
      if (error === null) resolve(answer as A);
      else reject(translate(channel, error));
    };
    const giveUp = (reason: unknown): void => {
      reject(reason);
      call.cancel();
    };
    const call = begin(done, giveUp);
    const abort = (): void => giveUp(signal && abortedError(channel.address, signal));
    const untrack = channel.track(call);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
  });
}

function translate(channel: GrpcCalls, error: unknown): LumeoError {
  if (error instanceof LumeoError) return error;
  if (channel.closed) return closedError(channel.address);
  const failed = (error ?? {}) as Partial<ServiceError>;
  if (typeof failed.code !== "number" || failed.details === undefined) {
    return new LumeoError("CONNECTION_LOST", `Lost the stream to ${channel.address}`, {
      cause: error,
    });
  }
  return fromServiceError(failed as ServiceError, channel.address, true);
}

function unavailable(address: string, why: string): LumeoError {
  return new LumeoError("UNAVAILABLE", `Cannot connect to ${address}: ${why}`);
}

function closedError(address: string): LumeoError {
  return new LumeoError("CLOSED", `Cannot finish the call to ${address}: the channel is closed`);
}

function abortedError(address: string, signal: AbortSignal): LumeoError {
  return new LumeoError("ABORTED", `Gave up the call to ${address}`, { cause: signal.reason });
}
