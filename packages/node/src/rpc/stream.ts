// A gRPC stream as an AsyncIterable with a `send` that waits.
//
// R1. `send` resolves when the transport has taken the message or holds it as one of its few (16)
//     waiting ones: a slow peer slows the sender.
// R2. Messages that arrived before a failure are given out before it is thrown.
// R3. Leaving the iteration early cancels the call.
// R4. After a failure, every `send` and every iteration throws that failure.
// R5. On a server, the end of the iteration does not prove that the caller had sent all: Node.js
//     ends a stream that is being reset before it resets it. What must be complete carries its
//     length.

import type { Readable, Writable } from "node:stream";
import { LumeoError } from "@lumeofs/base";

/** One open stream: iterate for what the other side sends. It can be iterated once. */
export interface RpcStream<Out, In> extends AsyncIterable<In> {
  /** Waits while the other side is slower. Rejects once the stream has failed or ended. */
  send(message: Out): Promise<void>;
  /** Says that nothing more will be sent; the other side's messages still arrive. */
  end(): void;
  /** Gives the call up: both directions end. Harmless afterwards. */
  cancel(reason?: LumeoError): void;
}

/** How a side of gRPC is cancelled, and how its errors read. */
export interface StreamSide {
  readonly cancel: () => void;
  readonly translate: (error: unknown) => LumeoError;
}

type WritableEnd = Pick<Writable, "write" | "end" | "on" | "off" | "destroyed" | "writableEnded">;
type ReadableEnd = Pick<Readable, "iterator">;

/** The sending half: messages go out one behind the other, as fast as they are taken. */
export class Outgoing<Out> {
  readonly #writable: WritableEnd;
  #failure: LumeoError | undefined;
  #drained: Promise<void> | undefined;
  #wake: () => void = () => {};

  constructor(writable: WritableEnd, translate: StreamSide["translate"]) {
    this.#writable = writable;
    writable.on("error", (error) => this.fail(translate(error)));
  }

  /** The first failure of the stream, if there was one. */
  get failure(): LumeoError | undefined {
    return this.#failure;
  }

  async send(message: Out): Promise<void> {
    this.#checkOpen();
    while (this.#drained !== undefined) {
      await this.#drained;
      this.#checkOpen();
    }
    if (!this.#writable.write(message)) this.#drained = this.#untilDrained();
  }

  end(): void {
    if (!this.#writable.destroyed && !this.#writable.writableEnded) this.#writable.end();
  }

  /** Makes every `send` fail from now on, also those that wait. The first reason stays. */
  fail(error: LumeoError): void {
    this.#failure ??= error;
    this.#wake();
  }

  #checkOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#writable.writableEnded || this.#writable.destroyed) {
      throw new LumeoError("CLOSED", "Cannot send on the stream: it has ended");
    }
  }

  /** Resolves when there is room, or when there will never be any (the next check tells). */
  #untilDrained(): Promise<void> {
    const events = ["drain", "close", "finish"] as const;
    return new Promise((resolve) => {
      const done = (): void => {
        for (const event of events) this.#writable.off(event, done);
        this.#drained = undefined;
        resolve();
      };
      this.#wake = done;
      for (const event of events) this.#writable.on(event, done);
    });
  }
}

/**
 * The receiving half, as grpc-js gives it, until it ends.
 *
 * @throws LumeoError if the stream fails (R2).
 */
export async function* incoming<In>(
  readable: ReadableEnd,
  translate: StreamSide["translate"],
): AsyncGenerator<In, void, undefined> {
  try {
    for await (const message of readable.iterator({ destroyOnReturn: false })) {
      yield message as In;
    }
  } catch (error) {
    throw translate(error);
  }
}

/** Either side's stream over the Duplex that grpc-js gives. */
export class DuplexStream<Out, In> implements RpcStream<Out, In> {
  readonly #outgoing: Outgoing<Out>;
  readonly #readable: ReadableEnd;
  readonly #side: StreamSide;

  constructor(duplex: WritableEnd & ReadableEnd, side: StreamSide) {
    this.#outgoing = new Outgoing(duplex, side.translate);
    this.#readable = duplex;
    this.#side = side;
  }

  send(message: Out): Promise<void> {
    return this.#outgoing.send(message);
  }

  end(): void {
    this.#outgoing.end();
  }

  cancel(reason?: LumeoError): void {
    const error = reason ?? new LumeoError("ABORTED", "Cannot go on with the stream: cancelled");
    this.#outgoing.fail(error);
    this.#side.cancel();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<In, void, undefined> {
    let finished = false;
    try {
      yield* incoming<In>(this.#readable, this.#side.translate);
      finished = true;
    } catch (error) {
      finished = true;
      this.#outgoing.fail(this.#side.translate(error));
    } finally {
      if (!finished) this.cancel(); // R3
    }
    if (this.#outgoing.failure !== undefined) throw this.#outgoing.failure;
  }
}
