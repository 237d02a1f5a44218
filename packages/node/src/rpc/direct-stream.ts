// A stream of messages straight over a TCP connection of its own, without HTTP/2: less than half of
// gRPC's time for each message. Both ends of a connection are this class.
//
// On the wire, numbers little-endian. The opener begins with 8 bytes that no gRPC client sends, and
// the method's path as a message. A message is its length (u32) and its bytes. Lengths above all
// possible ones are marks:
//
//   end     nothing more follows from this side
//   error   the next message is an ErrorDetail, and the last one
//   alive   a sign of life, every few seconds
//
// D1. `send` resolves when the kernel has taken the message, or the connection holds little of what
//     it has not taken: a slow peer slows the sender.
// D2. What arrived before a failure is given out before the failure is thrown.
// D3. No more than about RECEIVED_BYTES_MAX waits to be read: above it the connection is not read.
// D4. A connection that ends without `end` or `error` was cut. One without any sign of life is cut
//     by this side.

import type { Socket } from "node:net";
import { KiB, LumeoError, MiB } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import { RPC_MESSAGE_BYTES_MAX } from "./limits.js";
import { decodeErrorDetail, encodeErrorDetail } from "./status.js";
import type { RpcStream } from "./stream.js";

/** gRPC's connections begin with "PRI * HT". */
export const DIRECT_MAGIC = Buffer.from("LUMEO/1\n");

const LENGTH_BYTES = 4;
const MARK = { end: 0xffffffff, error: 0xfffffffe, alive: 0xfffffffd } as const;
const RECEIVED_BYTES_MAX = 1 * MiB;
/** Up to this, the first part of a message is copied behind its length: one write less. */
const COPIED_BYTES_MAX = 16 * KiB;
const ALIVE_MS = 4_000;
/** So many of these intervals without a byte, and the other side is gone. */
const SILENCES_MAX = 2;

/** How messages are written and read here, and what the connection is called in errors. */
export interface DirectEnd<Out, In> {
  /** In parts, one behind the other, which are not changed afterwards. */
  readonly encode: (message: Out) => readonly Uint8Array[];
  readonly decode: (bytes: Buffer) => In;
  /** The failure of a connection that was cut. */
  readonly cut: (cause?: unknown) => LumeoError;
  /** Whether `cancel` closes the connection. Default: it does. */
  readonly cancelCloses?: boolean;
}

interface Received<In> {
  readonly message: In;
  readonly bytes: number;
}

interface Reader<In> {
  readonly resolve: (result: IteratorResult<In, undefined>) => void;
  readonly reject: (error: LumeoError) => void;
}

const NO_BYTES = new Uint8Array(0);
const DONE = { done: true, value: undefined } as const;
const SENT = Promise.resolve();

export class DirectStream<Out, In> implements RpcStream<Out, In> {
  readonly #socket: Socket;
  readonly #end: DirectEnd<Out, In>;
  readonly #pulse: NodeJS.Timeout;
  #pieces: Buffer[] = [];
  #heldBytes = 0;
  /** The pieces mean nothing before there are so many bytes. */
  #neededBytes = LENGTH_BYTES;
  #isError = false;
  #received: Received<In>[] = [];
  #receivedBytes = 0;
  #reader: Reader<In> | undefined;
  #isPaused = false;
  #drained: Promise<void> | undefined;
  #wake: () => void = () => {};
  #failure: LumeoError | undefined;
  #hasEnded = false;
  /** The other side has said that it has ended. */
  #isOver = false;
  /** Intervals that began since the last byte came. */
  #silences = 0;

  /** Takes the socket over; what it has read already is still in it. */
  constructor(socket: Socket, end: DirectEnd<Out, In>) {
    this.#socket = socket;
    this.#end = end;
    socket.on("error", (cause) => this.#cut(cause));
    socket.on("close", () => this.#cut());
    socket.on("end", () => this.#cut());
    socket.on("drain", () => this.#wake());
    socket.on("data", (piece) => this.#take(piece));
    socket.resume();
    this.#pulse = setInterval(() => this.#feelPulse(), ALIVE_MS);
    this.#pulse.unref();
  }

  /** Calls back when the connection has closed. */
  whenClosed(callback: () => void): void {
    if (this.#socket.destroyed) callback();
    else this.#socket.once("close", callback);
  }

  send(message: Out): Promise<void> {
    if (this.#drained !== undefined) return this.#drained.then(() => this.send(message));
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#hasEnded) {
      const error = new LumeoError("CLOSED", "Cannot send on the stream: it has ended");
      return Promise.reject(error);
    }
    if (this.#write(this.#end.encode(message))) return SENT;
    this.#drained = new Promise((resolve) => {
      this.#wake = () => {
        this.#drained = undefined;
        resolve();
      };
    });
    return this.#drained;
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#mark(MARK.end);
    if (this.#isOver) this.#socket.end();
  }

  /** Ends both directions; the other side hears why, if it is told a reason. */
  finish(reason?: LumeoError): void {
    if (reason === undefined) this.end();
    else if (!this.#hasEnded) {
      this.#hasEnded = true;
      this.#mark(MARK.error);
      this.#write([lumeo.common.v1.ErrorDetail.encode(encodeErrorDetail(reason)).finish()]);
    }
    this.#socket.destroySoon();
  }

  cancel(reason?: LumeoError): void {
    this.fail(reason ?? new LumeoError("ABORTED", "Cannot go on with the stream: cancelled"));
    if (this.#end.cancelCloses !== false) this.#socket.destroy();
  }

  /** From now on every `send` and every iteration fails; the connection stays as it is. */
  fail(error: LumeoError): void {
    this.#failure ??= error;
    this.#wake();
    this.#reader?.reject(this.#failure);
    this.#reader = undefined;
  }

  [Symbol.asyncIterator](): AsyncIterator<In, undefined> {
    return {
      next: () => this.#next(),
      return: () => {
        this.cancel();
        return Promise.resolve(DONE);
      },
    };
  }

  #next(): Promise<IteratorResult<In, undefined>> {
    const next = this.#received.shift();
    if (next !== undefined) {
      this.#receivedBytes -= next.bytes;
      if (this.#isPaused && this.#receivedBytes < RECEIVED_BYTES_MAX / 2) this.#resume();
      return Promise.resolve({ done: false, value: next.message });
    }
    if (this.#isOver) return Promise.resolve(DONE);
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject };
    });
  }

  #resume(): void {
    this.#isPaused = false;
    this.#socket.resume();
  }

  #write([first = NO_BYTES, ...rest]: readonly Uint8Array[]): boolean {
    const length = rest.reduce((sum, part) => sum + part.byteLength, first.byteLength);
    const isCopied = first.byteLength <= COPIED_BYTES_MAX;
    const head = Buffer.allocUnsafe(LENGTH_BYTES + (isCopied ? first.byteLength : 0));
    head.writeUInt32LE(length, 0);
    if (isCopied) head.set(first, LENGTH_BYTES);
    const parts = isCopied ? rest : [first, ...rest];
    if (parts.length === 0) return this.#socket.write(head);
    this.#socket.cork();
    let isTaken = this.#socket.write(head);
    for (const part of parts) isTaken = this.#socket.write(part);
    this.#socket.uncork();
    return isTaken;
  }

  #mark(mark: number): void {
    const bytes = Buffer.allocUnsafe(LENGTH_BYTES);
    bytes.writeUInt32LE(mark, 0);
    this.#socket.write(bytes);
  }

  #take(piece: Buffer): void {
    this.#silences = 0;
    this.#pieces.push(piece);
    this.#heldBytes += piece.byteLength;
    if (this.#heldBytes < this.#neededBytes) return;
    const bytes = this.#pieces.length === 1 ? piece : Buffer.concat(this.#pieces);
    try {
      const left = bytes.subarray(this.#readAll(bytes));
      this.#heldBytes = left.byteLength;
      this.#pieces = left.byteLength === 0 ? [] : [left];
    } catch (cause) {
      this.fail(cause instanceof LumeoError ? cause : malformed("a message", cause));
      this.#socket.destroy();
    }
  }

  /** Reads all that is whole. @returns How many bytes that was. */
  #readAll(bytes: Buffer): number {
    let at = 0;
    for (;;) {
      this.#neededBytes = LENGTH_BYTES;
      if (bytes.byteLength < at + LENGTH_BYTES) return at;
      const length = bytes.readUInt32LE(at);
      if (MARK.alive <= length) {
        at += LENGTH_BYTES;
        this.#readMark(length);
        continue;
      }
      if (RPC_MESSAGE_BYTES_MAX < length) throw malformed(`a message of ${length} bytes`);
      this.#neededBytes = LENGTH_BYTES + length;
      const end = at + this.#neededBytes;
      if (bytes.byteLength < end) return at;
      this.#readMessage(bytes.subarray(at + LENGTH_BYTES, end));
      at = end;
    }
  }

  #readMark(mark: number): void {
    switch (mark) {
      case MARK.end:
        this.#isOver = true;
        this.#reader?.resolve(DONE);
        this.#reader = undefined;
        if (this.#hasEnded) this.#socket.end();
        return;
      case MARK.error:
        this.#isError = true;
        return;
      default: // a sign of life
    }
  }

  #readMessage(bytes: Buffer): void {
    if (this.#isError)
      return this.fail(decodeErrorDetail(lumeo.common.v1.ErrorDetail.decode(bytes)));
    const message = this.#end.decode(bytes);
    if (this.#reader !== undefined) {
      this.#reader.resolve({ done: false, value: message });
      this.#reader = undefined;
      return;
    }
    this.#received.push({ message, bytes: bytes.byteLength });
    this.#receivedBytes += bytes.byteLength;
    if (this.#isPaused || this.#receivedBytes < RECEIVED_BYTES_MAX) return;
    this.#isPaused = true;
    this.#socket.pause();
  }

  #cut(cause?: unknown): void {
    clearInterval(this.#pulse);
    if (!this.#isOver || !this.#hasEnded) this.fail(this.#end.cut(cause));
    this.#socket.destroySoon();
  }

  /** Whoever is not read cannot be heard: then its silence says nothing. */
  #feelPulse(): void {
    if (!this.#isPaused) this.#silences += 1;
    if (this.#silences <= SILENCES_MAX) {
      if (!this.#hasEnded) this.#mark(MARK.alive);
      return;
    }
    this.fail(this.#end.cut(new Error("no sign of life")));
    this.#socket.destroy();
  }
}

function malformed(what: string, cause?: unknown): LumeoError {
  const message = `Cannot go on with the stream: ${what} cannot be read`;
  return new LumeoError("PROTOCOL", message, { cause });
}
