// The opener's end of a data-plane connection: says hello, numbers requests, gives each its frames.

import { Budget, type Crc32c, LumeoError, type Permit } from "@lumeofs/base";
import { nativeCrc32c } from "../native-crc32c.js";
import type { ByteSocket, DataNetwork } from "./data-network.js";
import { Exchange } from "./exchange.js";
import type { FrameHead } from "./frame-codec.js";
import { FrameSocket, type FrameSocketOwner, type ReceivedFrame } from "./frame-socket.js";
import { RECEIVED_BYTES_MAX, REQUESTS_PER_CONNECTION_MAX } from "./limits.js";
import { type Hello, isAnswer, type OpeningMessage, type Welcome } from "./message.js";
import { TCP } from "./tcp.js";

const REQUEST_NUMBER_MAX = 0xffffffff;

export interface ConnectOptions {
  readonly hello: Hello;
  readonly timeoutMs: number;
  readonly crc32c?: Crc32c;
  /** Silence that ends a connection on which something is awaited. */
  readonly stallMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** Default: TCP. */
  readonly network?: DataNetwork | undefined;
}

/** A connection that this side has opened. */
export class FrameConnection {
  readonly #frames: FrameSocket;
  readonly #exchanges = new Map<number, Exchange>();
  readonly #room = new Budget(RECEIVED_BYTES_MAX);
  readonly #onClosed: (() => void)[] = [];
  #onAnswered: (() => void)[] = [];
  #welcome: Welcome | undefined;
  #lastRequest = 0;
  #hasAbandoned = false;

  private constructor(
    readonly address: string,
    socket: ByteSocket,
    options: ConnectOptions & { readonly network: DataNetwork },
  ) {
    this.#frames = new FrameSocket(socket, this.#owner(), {
      crc32c: options.crc32c ?? nativeCrc32c,
      timers: options.network.timers,
      ...(options.stallMs === undefined ? {} : { stallMs: options.stallMs }),
    });
  }

  /**
   * Opens a connection and says hello. Does not wait for the welcome.
   *
   * @param address  host:port
   * @throws LumeoError UNAVAILABLE if nobody answers there in time: nothing was asked yet.
   */
  static async connect(address: string, options: ConnectOptions): Promise<FrameConnection> {
    const { network = TCP } = options;
    const socket = await network.connect(address, options);
    const connection = new FrameConnection(address, socket, { ...options, network });
    connection.#frames.send(0, options.hello);
    return connection;
  }

  /** What the other side said about itself, once it has. */
  get welcome(): Welcome | undefined {
    return this.#welcome;
  }

  /** Calls back once when the other side has answered the hello, or the connection has closed. */
  whenAnswered(callback: () => void): void {
    if (this.#welcome === undefined && this.#frames.closedBy === undefined) {
      this.#onAnswered.push(callback);
    } else callback();
  }

  /** Requests that are not finished. */
  get openRequests(): number {
    return this.#exchanges.size;
  }

  get isUsable(): boolean {
    return this.#frames.closedBy === undefined && this.#lastRequest < REQUEST_NUMBER_MAX;
  }

  /** Whether a request was finished here that the other side still serves, or waits for. */
  get hasAbandoned(): boolean {
    return this.#hasAbandoned;
  }

  /** Calls back once when the connection has closed, at once if it already has. */
  whenClosed(callback: () => void): void {
    if (this.#frames.closedBy === undefined) this.#onClosed.push(callback);
    else callback();
  }

  /**
   * Starts a request. The caller finishes the exchange in the end.
   *
   * @param sent  Called when the payload may be changed again.
   * @throws LumeoError OVERLOADED at REQUESTS_PER_CONNECTION_MAX open requests, or the reason for
   *         which the connection was closed.
   */
  request(first: OpeningMessage, payload: readonly Uint8Array[] = [], sent?: () => void): Exchange {
    if (REQUESTS_PER_CONNECTION_MAX <= this.#exchanges.size) {
      throw new LumeoError(
        "OVERLOADED",
        `Cannot ask "${this.address}": ${this.#exchanges.size} requests are open`,
      );
    }
    const number = this.#lastRequest + 1;
    const exchange = new Exchange(number, this.#frames, (isAnswered) => {
      this.#exchanges.delete(number);
      this.#hasAbandoned ||= !isAnswered;
    });
    this.#frames.send(number, first, payload, sent);
    this.#lastRequest = number;
    this.#exchanges.set(number, exchange);
    return exchange;
  }

  /** Ends the connection; open requests fail with the reason. */
  close(reason = new LumeoError("CLOSED", `Connection to "${this.address}" was closed`)): void {
    this.#frames.destroy(reason);
  }

  #owner(): FrameSocketOwner {
    return {
      admit: (head) => this.#admit(head),
      received: (frame) => this.#received(frame),
      closed: (reason) => {
        for (const exchange of [...this.#exchanges.values()]) exchange.fail(reason);
        for (const callback of this.#onClosed.splice(0)) callback();
        this.#tellAnswered();
      },
      isBusy: () => 0 < this.#exchanges.size,
    };
  }

  #admit(head: FrameHead): Permit | Promise<Permit> {
    return this.#room.tryTake(head.payloadBytes) ?? this.#room.take(head.payloadBytes);
  }

  #received(frame: ReceivedFrame): void {
    const { message } = frame;
    if (frame.request === 0) return this.#receivedAboutConnection(frame);
    const exchange = this.#exchanges.get(frame.request);
    if (exchange === undefined) return frame.release(); // finished meanwhile
    if (message.type === "error") {
      const { code, servers } = message;
      return exchange.fail(new LumeoError(code, message.message, { servers }));
    }
    if (isAnswer(message.type)) return exchange.deliver(frame);
    throw new LumeoError("PROTOCOL", `Cannot go on: "${message.type}" is no answer`);
  }

  #receivedAboutConnection({ message }: ReceivedFrame): void {
    if (message.type === "welcome") {
      this.#welcome = message;
      this.#tellAnswered();
    } else if (message.type === "error") throw new LumeoError(message.code, message.message);
    else throw new LumeoError("PROTOCOL", `Cannot go on: "${message.type}" has no request`);
  }

  #tellAnswered(): void {
    const waiting = this.#onAnswered;
    this.#onAnswered = [];
    for (const callback of waiting) callback();
  }
}
