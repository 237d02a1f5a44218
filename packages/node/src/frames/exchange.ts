// One request on a connection: the frames of one number, in both directions.

import { LumeoError } from "@lumeofs/base";
import type { FrameSocket, ReceivedFrame } from "./frame-socket.js";
import { FRAMES_WAITING_MAX } from "./limits.js";
import { endsAnswer, type Message } from "./message.js";

interface Receiver {
  readonly resolve: (frame: ReceivedFrame) => void;
  readonly reject: (reason: LumeoError) => void;
}

/** One side's view of a request. Whoever holds it calls `finish` in the end. */
export class Exchange {
  readonly #socket: FrameSocket;
  readonly #forget: (isAnswered: boolean) => void;
  readonly #waiting: ReceivedFrame[] = [];
  #receiver: Receiver | undefined;
  #failedBy: LumeoError | undefined;
  #isAnswered = false;
  #isFinished = false;

  constructor(
    readonly request: number,
    socket: FrameSocket,
    /** Told whether the other side has ended the request too. */
    forget: (isAnswered: boolean) => void,
  ) {
    this.#socket = socket;
    this.#forget = forget;
  }

  /**
   * Sends a frame of this request; see FrameSocket.send for when `sent` is called and what the
   * answer means.
   *
   * @throws LumeoError CONNECTION_LOST or the reason for which the connection was closed.
   */
  send(
    message: Message,
    payload?: readonly Uint8Array[],
    sent?: () => void,
  ): Promise<void> | undefined {
    return this.#socket.send(this.request, message, payload, sent);
  }

  /**
   * The next frame of this request. The caller releases it when its payload is not needed any more.
   * One call at a time.
   *
   * @throws LumeoError as the other side answered, or the reason for which the connection was
   *         closed.
   */
  receive(): Promise<ReceivedFrame> {
    const frame = this.#waiting.shift();
    if (frame !== undefined) return Promise.resolve(frame);
    if (this.#failedBy !== undefined) return Promise.reject(this.#failedBy);
    if (this.#isFinished || this.#receiver !== undefined) {
      return Promise.reject(
        new LumeoError("CLOSED", "Cannot receive: the request is finished or already awaited"),
      );
    }
    return new Promise((resolve, reject) => {
      this.#receiver = { resolve, reject };
    });
  }

  /** Frames as they come. Leaving the loop finishes the request. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ReceivedFrame, void, void> {
    try {
      while (true) yield await this.receive();
    } finally {
      this.finish();
    }
  }

  /** Gives the number free and drops what still comes for it. Harmless the second time. */
  finish(): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    for (const frame of this.#waiting.splice(0)) frame.release();
    this.#forget(this.#isAnswered);
    this.#receiver?.reject(new LumeoError("CLOSED", "Request was finished while it was awaited"));
    this.#receiver = undefined;
  }

  /** For the connection: a frame has come. */
  deliver(frame: ReceivedFrame): void {
    const { type } = frame.message;
    this.#isAnswered ||= endsAnswer(type);
    const receiver = this.#receiver;
    if (receiver !== undefined) {
      this.#receiver = undefined;
      receiver.resolve(frame);
      return;
    }
    if (FRAMES_WAITING_MAX <= this.#waiting.length) {
      frame.release();
      throw new LumeoError("PROTOCOL", "Cannot go on: the other side sends more than it may");
    }
    this.#waiting.push(frame);
  }

  /** For the connection: nothing more will come, except what is already waiting. */
  fail(reason: LumeoError): void {
    this.#failedBy ??= reason;
    this.#isAnswered = true;
    this.#receiver?.reject(this.#failedBy);
    this.#receiver = undefined;
  }
}
