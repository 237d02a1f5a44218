// A gRPC server from handlers that are plain async functions.
//
// V1. A handler's error becomes a status with the whole error in the trailer (status.ts).
// V2. More calls than the limit are refused with OVERLOADED, not queued.
// V3. `close` ends streams at once (their callers see CONNECTION_LOST), lets unary calls end
//     within the grace, and then cuts what is left.
// V4. Streams are also served without HTTP/2, on connections of their own to the same port
//     (direct-server.ts).
// V5. A broken invariant in a handler ends the process: it is thrown where nobody catches it.

import { setMaxListeners } from "node:events";
import { logVerbosity, Server, ServerCredentials, setLogVerbosity } from "@grpc/grpc-js";
import { type Closable, InvariantViolation, type Logger, LumeoError } from "@lumeofs/base";
import { refuseDirect } from "./direct-server.js";
import { Entrance } from "./entrance.js";
import { type CallGate, type RpcMethod, register } from "./handlers.js";
import { TRANSPORT_OPTIONS } from "./limits.js";

const CALLS_MAX = 1_024;
const STREAMS_PER_CONNECTION_MAX = 256;
const CLOSE_GRACE_MS = 2_000;
/** Whoever is refused for want of room should not come back sooner. */
const RETRY_AFTER_MS = 200;

export interface RpcServerOptions {
  readonly host: string;
  /** 0 takes a free port. */
  readonly port: number;
  /** Calls and streams at once, over all connections. Default 1,024. */
  readonly callsMax?: number;
  /** How long running calls may take at `close`. Default 2 s. */
  readonly closeGraceMs?: number;
  readonly logger: Logger;
}

/** Serves methods at one address until closed. */
export class RpcServer implements Closable {
  readonly host: string;
  /** The real one, also if 0 was asked for. */
  readonly port: number;
  readonly #server: Server;
  readonly #entrance: Entrance;
  readonly #gate: Gate;
  readonly #graceMs: number;
  #closing: Promise<void> | undefined;

  private constructor(server: Server, entrance: Entrance, gate: Gate, options: RpcServerOptions) {
    this.#server = server;
    this.#entrance = entrance;
    this.#gate = gate;
    this.#graceMs = options.closeGraceMs ?? CLOSE_GRACE_MS;
    this.host = options.host;
    this.port = entrance.port;
  }

  /** @throws LumeoError CONFIG if the address cannot be used. */
  static async start(options: RpcServerOptions, methods: readonly RpcMethod[]): Promise<RpcServer> {
    setLogVerbosity(logVerbosity.NONE); // what it would print reaches us as errors
    const server = new Server({
      ...TRANSPORT_OPTIONS,
      "grpc.max_concurrent_streams": STREAMS_PER_CONNECTION_MAX,
    });
    const gate = new Gate(options.callsMax ?? CALLS_MAX, options.logger);
    for (const method of methods) register(server, gate, method);
    const grpc = server.createConnectionInjector(ServerCredentials.createInsecure());
    const entrance = await Entrance.listen(options.host, options.port, {
      grpc: (socket) => grpc.injectConnection(socket),
      direct: (path, socket) => {
        const serve = methods.find((method) => method.path === path)?.direct;
        if (serve === undefined) refuseDirect(path, socket);
        else serve(socket, gate);
      },
    });
    return new RpcServer(server, entrance, gate, options);
  }

  /** `host:port`, for those on this machine. */
  get address(): string {
    return `${this.host}:${this.port}`;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#gate.close();
    const emptied = this.#entrance.close();
    await new Promise<void>((resolve) => {
      const force = setTimeout(() => {
        this.#server.forceShutdown();
        this.#entrance.clear();
        resolve();
      }, this.#graceMs);
      this.#server.tryShutdown(() => {
        void emptied.then(() => {
          clearTimeout(force);
          resolve();
        });
      });
    });
  }
}

/** Counts what runs, refuses what is too much, tells everybody to stop. */
class Gate implements CallGate {
  readonly #stopping = new AbortController();
  #running = 0;

  constructor(
    private readonly callsMax: number,
    private readonly logger: Logger,
  ) {
    // Every stream listens until it ends: as many as there are calls, and no leak.
    setMaxListeners(0, this.#stopping.signal);
  }

  get stopping(): AbortSignal {
    return this.#stopping.signal;
  }

  enter(path: string): () => void {
    if (this.#stopping.signal.aborted) {
      throw new LumeoError("UNAVAILABLE", `Cannot serve ${path}: the server is stopping`);
    }
    if (this.callsMax <= this.#running) {
      throw new LumeoError(
        "OVERLOADED",
        `Cannot serve ${path}: ${this.#running} calls are running, the limit is ${this.callsMax}`,
        { retryAfterMs: RETRY_AFTER_MS },
      );
    }
    this.#running++;
    return () => {
      this.#running--;
    };
  }

  failed(path: string, peer: string, error: unknown): void {
    if (error instanceof InvariantViolation) {
      setImmediate(() => {
        throw error; // V5
      });
      return;
    }
    const isOurs = error instanceof LumeoError;
    const fields = { path, peer, error };
    if (isOurs && error.code !== "INTERNAL") this.logger.debug("call refused", fields);
    else this.logger.error("call failed", fields);
  }

  close(): void {
    this.#stopping.abort(new LumeoError("CLOSED", "The server is stopping"));
  }
}
