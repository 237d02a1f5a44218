// The accepter's end of the data plane: one handler call for each request.
//
// A1. Nothing is served before a hello that `greet` accepts.
// A2. A LumeoError of a handler becomes an `error` frame; anything else ends the process.
// A3. Frames that continue a finished request are dropped: its answer is already on the way.
// A4. A payload is read only when the budget that `roomFor` names has room for it.

import {
  type Budget,
  type Closable,
  type Crc32c,
  type Logger,
  LumeoError,
  type Permit,
  type Timers,
} from "@lumeofs/base";
import { nativeCrc32c } from "../native-crc32c.js";
import type { ByteListener, ByteSocket, DataNetwork } from "./data-network.js";
import { Exchange } from "./exchange.js";
import type { FrameHead } from "./frame-codec.js";
import { FrameSocket, type FrameSocketOwner, type ReceivedFrame } from "./frame-socket.js";
import { REQUESTS_PER_CONNECTION_MAX, TEXT_BYTES_MAX } from "./limits.js";
import { type Hello, type OpeningMessage, opensRequest, type Welcome } from "./message.js";
import { PayloadBuffers } from "./payload-buffers.js";
import { TCP } from "./tcp.js";

/** How long `close` lets requests in flight go on. */
const CLOSE_GRACE_MS = 3_000;
const CONNECTIONS_MAX = 512;
/** Of an error's message, which may repeat what a client has sent: the other side takes no more. */
const ERROR_TEXT_MAX = TEXT_BYTES_MAX;

/**
 * Serves one request: `first` is its opening frame. Its payload, like that of every frame that the
 * exchange receives, is valid until the frame is released, and used for others after that.
 */
export type RequestHandler = (
  first: ReceivedFrame & { readonly message: OpeningMessage },
  exchange: Exchange,
) => Promise<void>;

export interface FrameServerOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Answers a hello, or throws the LumeoError with which it is refused. */
  readonly greet: (hello: Hello) => Welcome;
  /** The budget that payloads of a request count against (A4). */
  readonly roomFor: (first: OpeningMessage) => Budget;
  readonly handle: RequestHandler;
  readonly logger: Logger;
  readonly crc32c?: Crc32c;
  /** Silence that ends a connection with open requests. */
  readonly stallMs?: number;
  /** Default: TCP. */
  readonly network?: DataNetwork | undefined;
}

/** Listens for data-plane connections. */
export class FrameServer implements Closable {
  readonly #options: FrameServerOptions;
  readonly #network: DataNetwork;
  #listener: ByteListener | undefined;
  readonly #connections = new Set<AcceptedConnection>();
  readonly #buffers = new PayloadBuffers();
  #isClosing = false;

  private constructor(options: FrameServerOptions) {
    this.#options = options;
    this.#network = options.network ?? TCP;
  }

  /** @throws LumeoError UNAVAILABLE if the address cannot be taken. */
  static async listen(options: FrameServerOptions): Promise<FrameServer> {
    const server = new FrameServer(options);
    await server.#listen();
    return server;
  }

  /** The port that it listens on. */
  get port(): number {
    return this.#listener?.port ?? 0;
  }

  /** Requests that are being served. */
  get openRequests(): number {
    let count = 0;
    for (const connection of this.#connections) count += connection.openRequests;
    return count;
  }

  /** Refuses new requests, waits shortly for those in flight, and closes all connections. */
  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    const closed = this.#listener?.close();
    const served = Promise.all([...this.#connections].map((connection) => connection.drain()));
    const late = new Promise<void>((resolve) => {
      const alarm = this.#network.timers.after(CLOSE_GRACE_MS, resolve);
      void served.then(() => alarm.cancel());
    });
    await Promise.race([served, late]);
    const reason = new LumeoError("CLOSED", "Server is stopping");
    for (const connection of [...this.#connections]) connection.end(reason);
    await Promise.all([served, closed]);
  }

  async #listen(): Promise<void> {
    const { host, port, logger } = this.#options;
    const where = { host, port, connectionsMax: CONNECTIONS_MAX };
    this.#listener = await this.#network.listen(where, {
      accepted: (socket) => this.#accept(socket),
      failed: (error) => logger.error("data plane cannot accept", { error }),
    });
  }

  #accept(socket: ByteSocket): void {
    const { timers } = this.#network;
    const options = { ...this.#options, timers, buffers: this.#buffers };
    const connection = new AcceptedConnection(socket, options, () => {
      this.#connections.delete(connection);
    });
    this.#connections.add(connection);
    if (this.#isClosing) connection.end(new LumeoError("UNAVAILABLE", "Server is stopping"));
  }
}

const NOTHING: Permit = { release: () => undefined };

interface OpenRequest {
  readonly exchange: Exchange;
  readonly room: Budget;
}

class AcceptedConnection {
  readonly #options: FrameServerOptions;
  readonly #frames: FrameSocket;
  readonly #requests = new Map<number, OpenRequest>();
  readonly #forget: () => void;
  readonly #address: string;
  #isGreeted = false;
  #isDraining = false;
  #whenIdle: (() => void)[] = [];
  #running = 0;

  constructor(
    socket: ByteSocket,
    options: FrameServerOptions & { readonly timers: Timers; readonly buffers: PayloadBuffers },
    forget: () => void,
  ) {
    this.#options = options;
    this.#forget = forget;
    this.#address = `${socket.remoteAddress}:${socket.remotePort}`;
    this.#frames = new FrameSocket(socket, this.#owner(), {
      crc32c: options.crc32c ?? nativeCrc32c,
      timers: options.timers,
      buffers: options.buffers,
      ...(options.stallMs === undefined ? {} : { stallMs: options.stallMs }),
    });
  }

  get openRequests(): number {
    return this.#requests.size;
  }

  /** Lets nothing new begin; resolves when no handler runs. */
  drain(): Promise<void> {
    this.#isDraining = true;
    if (this.#running === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenIdle.push(resolve));
  }

  end(reason: LumeoError): void {
    this.#frames.end(reason);
  }

  #owner(): FrameSocketOwner {
    return {
      admit: (head) => this.#admit(head),
      received: (frame) => this.#received(frame),
      closed: (reason) => this.#closed(reason),
      isBusy: () => 0 < this.#requests.size || !this.#isGreeted,
    };
  }

  #closed(reason: LumeoError): void {
    if (reason.code !== "CONNECTION_LOST" && reason.code !== "CLOSED") {
      this.#options.logger.warn("data connection closed", {
        address: this.#address,
        error: reason,
      });
    }
    for (const { exchange } of [...this.#requests.values()]) exchange.fail(reason);
    this.#forget();
  }

  #admit(head: FrameHead): Permit | Promise<Permit> {
    const room = opensRequest(head.message)
      ? this.#options.roomFor(head.message)
      : this.#requests.get(head.request)?.room;
    if (room === undefined) return NOTHING; // dropped as soon as it is here (A3)
    return room.tryTake(head.payloadBytes) ?? room.take(head.payloadBytes);
  }

  #received(frame: ReceivedFrame): void {
    const { message } = frame;
    if (!this.#isGreeted) {
      frame.release(); // it may be a write that came without a hello
      return this.#greet(message);
    }
    if (opensRequest(message)) return this.#open(frame, message);
    switch (message.type) {
      case "writeData":
      case "writeClose":
      case "writeAbort":
      case "readCancel": {
        const request = this.#requests.get(frame.request);
        if (request === undefined) return frame.release(); // A3
        return request.exchange.deliver(frame);
      }
      default:
        frame.release();
        throw new LumeoError("PROTOCOL", `Cannot go on: "${message.type}" is not for this side`);
    }
  }

  #greet(message: ReceivedFrame["message"]): void {
    try {
      if (message.type !== "hello") {
        throw new LumeoError("PROTOCOL", `Cannot go on: "${message.type}" came before hello`);
      }
      this.#frames.send(0, this.#options.greet(message));
      this.#isGreeted = true;
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      this.#refuse(0, error);
      this.#frames.end(error);
    }
  }

  #open(frame: ReceivedFrame, message: OpeningMessage): void {
    const number = frame.request;
    if (number === 0 || this.#requests.has(number)) {
      frame.release();
      throw new LumeoError("PROTOCOL", `Cannot go on: request number ${number} is in use`);
    }
    if (this.#isDraining || REQUESTS_PER_CONNECTION_MAX <= this.#requests.size) {
      frame.release();
      const code = this.#isDraining ? "UNAVAILABLE" : "OVERLOADED";
      const why = this.#isDraining ? "it is stopping" : "too many requests are open";
      return this.#refuse(number, new LumeoError(code, `Server takes no request: ${why}`));
    }
    const exchange = new Exchange(number, this.#frames, () => this.#requests.delete(number));
    this.#requests.set(number, { exchange, room: this.#options.roomFor(message) });
    void this.#serve(frame as ReceivedFrame & { readonly message: OpeningMessage }, exchange);
  }

  async #serve(
    first: ReceivedFrame & { readonly message: OpeningMessage },
    exchange: Exchange,
  ): Promise<void> {
    this.#running++;
    try {
      await this.#options.handle(first, exchange);
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error; // A2
      if (this.#frames.closedBy === undefined) this.#refuse(exchange.request, error);
    } finally {
      first.release();
      exchange.finish();
      this.#running--;
      if (this.#running === 0) for (const wake of this.#whenIdle.splice(0)) wake();
    }
  }

  #refuse(request: number, error: LumeoError): void {
    this.#frames.send(request, {
      type: "error",
      code: error.code,
      message: error.message.slice(0, ERROR_TEXT_MAX),
      servers: error.details.servers ?? [],
    });
  }
}
