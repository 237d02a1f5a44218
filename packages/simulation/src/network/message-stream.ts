// One side of a stream of encoded messages, with the promises of RpcStream (R1 to R4 there).

import { LumeoError } from "@lumeofs/base";
import type { BareStream } from "@lumeofs/node/rpc";

/** Messages on their way before `send` waits. */
const WINDOW = 16;

export interface MessageStreamParts {
  /** `delivered` is called when the other side has it, or never will. */
  readonly send: (bytes: Uint8Array, delivered: () => void) => void;
  readonly end: () => void;
  readonly cancel: () => void;
}

export class MessageStream implements BareStream {
  readonly #parts: MessageStreamParts;
  readonly #arrived: Uint8Array[] = [];
  #hasEnded = false;
  #isFinished = false;
  #failure: LumeoError | undefined;
  #inFlight = 0;
  #wakeReader: () => void = () => {};
  #wakeWriters: (() => void)[] = [];

  constructor(parts: MessageStreamParts) {
    this.#parts = parts;
  }

  /** For the network: the other side has sent something. */
  push(bytes: Uint8Array): void {
    this.#arrived.push(bytes);
    this.#wakeReader();
  }

  /** For the network: the other side will send nothing more. */
  finish(): void {
    this.#isFinished = true;
    this.#wakeReader();
  }

  /** For the network: it is lost. The first reason stays. */
  fail(error: LumeoError): void {
    this.#failure ??= error;
    this.#wakeReader();
    this.#wake();
  }

  async send(bytes: Uint8Array): Promise<void> {
    this.#checkOpen();
    while (WINDOW <= this.#inFlight) {
      await new Promise<void>((resolve) => this.#wakeWriters.push(resolve));
      this.#checkOpen();
    }
    this.#inFlight++;
    this.#parts.send(Uint8Array.from(bytes), () => {
      this.#inFlight--;
      this.#wake();
    });
  }

  end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#parts.end();
  }

  cancel(reason?: LumeoError): void {
    this.fail(reason ?? new LumeoError("ABORTED", "Cannot go on with the stream: cancelled"));
    this.#parts.cancel();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    let isAtEnd = false;
    try {
      for (;;) {
        const next = this.#arrived.shift();
        if (next !== undefined) yield next;
        else if (this.#isFinished || this.#failure !== undefined) break;
        else await this.#nextEvent();
      }
      isAtEnd = true;
    } finally {
      if (!isAtEnd) this.cancel();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #nextEvent(): Promise<void> {
    return new Promise((resolve) => {
      this.#wakeReader = resolve;
    });
  }

  #wake(): void {
    const waiting = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of waiting) wake();
  }

  #checkOpen(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#hasEnded) throw new LumeoError("CLOSED", "Cannot send on the stream: it has ended");
  }
}
