// Frames over one socket, both directions, with back-pressure in both.
//
// S1. Frames leave in the order of `send`; those of one turn of the event loop share one writev.
// S2. A payload is read from the socket only when `admit` has given it room: what a connection can
//     hold beyond its permits is one receive buffer.
// S3. `closed` is called once, with the reason; after it nothing is received and `send` throws.
// S4. The memory of a payload that does not become complete is given back, but only when the socket
//     has said "close": until then a read may put bytes into it.

import {
  asLumeoError,
  type Crc32c,
  invariant,
  LumeoError,
  type Permit,
  type Timers,
} from "@lumeofs/base";
import type { ByteSocket } from "./data-network.js";
import { encodeFrameHead, type Frame, FrameDecoder, type FrameHead } from "./frame-codec.js";
import { SEND_QUEUE_BYTES_MAX, STALL_MS } from "./limits.js";
import type { Message } from "./message.js";
import type { PayloadBuffers } from "./payload-buffers.js";

/** How long a connection that ends may take to send what is queued. */
const END_MS = 1_000;

/** A frame whose payload counts against somebody's room until it is released. */
export class ReceivedFrame implements Frame {
  readonly request: number;
  readonly message: Message;
  readonly payload: readonly Uint8Array[];
  readonly payloadBytes: number;
  #permit: Permit | undefined;
  #buffers: PayloadBuffers | undefined;
  #isReleased = false;
  /** Its owner, and those who have retained it. */
  #users = 1;

  constructor(frame: Frame, permit: Permit | undefined, buffers?: PayloadBuffers) {
    this.request = frame.request;
    this.message = frame.message;
    this.payload = frame.payload;
    this.payloadBytes = frame.payloadBytes;
    this.#permit = permit;
    this.#buffers = buffers;
  }

  /**
   * Says that the payload is not needed any more: its memory may be used again. Harmless the second
   * time.
   */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#leave();
  }

  /**
   * Keeps the payload, and its room, for somebody besides the owner, who may release it before.
   *
   * @returns Ends that, to be called once.
   */
  retain(): () => void {
    invariant(0 < this.#users, "what is retained is still there");
    this.#users++;
    return () => this.#leave();
  }

  #leave(): void {
    invariant(0 < this.#users, "a payload is left once by each of its users");
    this.#users--;
    if (0 < this.#users) return;
    this.#permit?.release();
    this.#permit = undefined;
    const buffers = this.#buffers;
    this.#buffers = undefined;
    if (buffers !== undefined) for (const piece of this.payload) buffers.give(piece);
  }
}

/** What the owner of a socket is told. */
export interface FrameSocketOwner {
  /** Finds room for a payload. Called for frames with payload only, one at a time. */
  admit(head: FrameHead): Permit | Promise<Permit>;
  /** Takes a frame over. A thrown LumeoError closes the connection with it. */
  received(frame: ReceivedFrame): void;
  closed(reason: LumeoError): void;
  /** Whether answers or frames are awaited, so that silence is a fault. */
  isBusy(): boolean;
}

export interface FrameSocketOptions {
  readonly crc32c: Crc32c;
  readonly timers: Timers;
  /** Silence that ends a busy connection. */
  readonly stallMs?: number;
  /** Memory for payloads; without it each has its own, which stays valid after its release. */
  readonly buffers?: PayloadBuffers | undefined;
}

/** One connection as a row of frames. Takes the socket over. */
export class FrameSocket {
  readonly #socket: ByteSocket;
  readonly #owner: FrameSocketOwner;
  readonly #crc32c: Crc32c;
  readonly #timers: Timers;
  readonly #decoder: FrameDecoder;
  readonly #buffers: PayloadBuffers | undefined;
  readonly #stallMs: number;
  #permit: Permit | undefined;
  #isAdmitting = false;
  #isCorked = false;
  #queuedBytes = 0;
  #waitingForQueue: (() => void)[] = [];
  #closedBy: LumeoError | undefined;

  constructor(socket: ByteSocket, owner: FrameSocketOwner, options: FrameSocketOptions) {
    this.#socket = socket;
    this.#owner = owner;
    this.#crc32c = options.crc32c;
    this.#timers = options.timers;
    const { buffers } = options;
    this.#buffers = buffers;
    this.#decoder = new FrameDecoder(options.crc32c, buffers && ((bytes) => buffers.take(bytes)));
    this.#stallMs = options.stallMs ?? STALL_MS;
    this.#listen();
  }

  /** Why nothing goes through any more, or undefined while it is open. */
  get closedBy(): LumeoError | undefined {
    return this.#closedBy;
  }

  /** Bytes that `send` has taken and the kernel has not. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /**
   * Queues a frame. Its payload must stay unchanged until `sent` is called, which happens once:
   * when the kernel has the bytes, or when the connection broke.
   *
   * @returns A promise to await before the next frame if the queue is full, else undefined. It
   *          never rejects: that the connection broke shows at the next call.
   * @throws  LumeoError (the reason of the close) if the connection is closed.
   */
  send(
    request: number,
    message: Message,
    payload: readonly Uint8Array[] = [],
    sent?: () => void,
  ): Promise<void> | undefined {
    if (this.#closedBy !== undefined) {
      sent?.();
      throw this.#closedBy;
    }
    const payloadBytes = payload.reduce((sum, piece) => sum + piece.byteLength, 0);
    const head = encodeFrameHead(request, message, payloadBytes, this.#crc32c);
    const bytes = head.byteLength + payloadBytes;
    this.#queuedBytes += bytes;
    this.#cork();
    const done = () => this.#left(bytes, sent);
    const last = payload.length - 1;
    if (last < 0) this.#socket.write(head, done);
    else this.#socket.write(head);
    for (let i = 0; i <= last; i++) {
      const piece = payload[i] as Uint8Array;
      if (i === last) this.#socket.write(piece, done);
      else this.#socket.write(piece);
    }
    if (this.#queuedBytes <= SEND_QUEUE_BYTES_MAX) return undefined;
    return new Promise((resolve) => this.#waitingForQueue.push(resolve));
  }

  /** Sends what is queued, as far as the other side takes it soon, then closes. */
  end(reason: LumeoError): void {
    if (this.#closedBy !== undefined) return;
    this.#fail(reason);
    this.#socket.destroySoon();
    const late = this.#timers.after(END_MS, () => this.#socket.destroy());
    this.#socket.once("close", () => late.cancel());
  }

  /** Closes at once. */
  destroy(reason: LumeoError): void {
    this.#fail(reason);
    this.#socket.destroy();
  }

  #listen(): void {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, this.#stallMs);
    socket.setTimeout(this.#stallMs);
    if (socket.receiveInto === undefined) socket.on("data", (bytes) => this.#onBytes(bytes));
    else {
      socket.receiveInto({
        gap: () => (this.#closedBy === undefined ? this.#decoder.gap : undefined),
        filled: (count) => {
          this.#decoder.fill(count);
          this.#advance();
        },
        received: (bytes) => this.#onBytes(bytes),
      });
    }
    socket.on("timeout", () => this.#onSilence());
    socket.on("error", (cause) => {
      this.destroy(lost(cause.message, cause));
    });
    socket.on("end", () => this.destroy(lost("the other side closed it")));
    socket.on("close", () => {
      this.destroy(lost("it was closed"));
      const rest = this.#decoder.abandon(); // S4
      if (rest !== undefined) this.#buffers?.give(rest);
    });
  }

  #onBytes(bytes: Uint8Array): void {
    if (this.#closedBy !== undefined) return; // S3
    this.#decoder.push(bytes);
    this.#advance();
    this.#decoder.keep();
  }

  #onSilence(): void {
    // A connection that is held back by us is silent for our own reasons: it is looked at again.
    if (this.#isAdmitting) return void this.#socket.setTimeout(this.#stallMs);
    // The rest of a frame is awaited too: the room for its payload is already taken.
    const isWithinFrame = this.#permit !== undefined || 0 < this.#decoder.bufferedBytes;
    if (!isWithinFrame && !this.#owner.isBusy()) return;
    const seconds = Math.round(this.#stallMs / 1000);
    this.destroy(new LumeoError("TIMEOUT", `Cannot go on: the connection was silent ${seconds} s`));
  }

  #advance(): void {
    try {
      while (this.#closedBy === undefined && !this.#isAdmitting && this.#step());
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error;
      this.destroy(error);
    }
  }

  /** Takes one frame out of the decoder; false if there is none yet. */
  #step(): boolean {
    const head = this.#decoder.head();
    if (head === undefined) return false;
    if (this.#permit === undefined && 0 < head.payloadBytes) {
      const permit = this.#owner.admit(head);
      if (permit instanceof Promise) {
        this.#waitForRoom(permit);
        return false;
      }
      this.#permit = permit;
    }
    const frame = this.#decoder.body();
    if (frame === undefined) return false;
    const permit = this.#permit;
    this.#permit = undefined;
    this.#owner.received(new ReceivedFrame(frame, permit, this.#buffers));
    return true;
  }

  #waitForRoom(room: Promise<Permit>): void {
    this.#isAdmitting = true;
    this.#socket.pause();
    const admitted = (permit: Permit): void => {
      this.#isAdmitting = false;
      if (this.#closedBy !== undefined) return permit.release();
      this.#permit = permit;
      this.#socket.resume();
      this.#advance();
    };
    room.then(admitted, (error: unknown) => this.destroy(asLumeoError(error)));
  }

  #cork(): void {
    if (this.#isCorked) return;
    this.#isCorked = true;
    this.#socket.cork();
    process.nextTick(() => {
      this.#isCorked = false;
      this.#socket.uncork();
    });
  }

  #left(bytes: number, sent: (() => void) | undefined): void {
    this.#queuedBytes -= bytes;
    sent?.();
    if (this.#queuedBytes <= SEND_QUEUE_BYTES_MAX) this.#wakeSenders();
  }

  #wakeSenders(): void {
    const waiting = this.#waitingForQueue;
    this.#waitingForQueue = [];
    for (const wake of waiting) wake();
  }

  #fail(reason: LumeoError): void {
    if (this.#closedBy !== undefined) return;
    this.#closedBy = reason;
    this.#permit?.release();
    this.#permit = undefined;
    this.#wakeSenders();
    this.#owner.closed(reason);
  }
}

function lost(what: string, cause?: unknown): LumeoError {
  const message = `Connection lost: ${what}`;
  return new LumeoError("CONNECTION_LOST", message, cause === undefined ? {} : { cause });
}
