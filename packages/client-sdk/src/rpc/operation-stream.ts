// Operations on one master over one long-lived stream, many in a message.
//
// O1. Operations that are asked for in one turn of the event loop leave in one message. An idle
//     stream sends at the end of the turn: nothing waits for company.
// O2. While the transport is full, operations gather; at most OPERATIONS_OPEN_MAX are unanswered,
//     more wait for their turn.
// O3. When the stream breaks, operations that were never handed to it end as UNAVAILABLE (surely
//     without effect), the others as CONNECTION_LOST (perhaps with effect).

import { type Alarm, asLumeoError, Budget, LumeoError, type Timers } from "@lumeofs/base";
import { openStream, type RpcChannel, type RpcStream } from "@lumeofs/node/rpc";
import { type lumeo, NamespaceService } from "@lumeofs/proto";
import type { Answer, Attempt, OperationKind } from "../operations.js";
import { decodeResult, encodeOperation } from "./wire.js";

/** Operations of one stream without an answer. */
export const OPERATIONS_OPEN_MAX = 2_048;
/** Operations in one message. */
const BATCH_OPERATIONS_MAX = 256;

type Stream = RpcStream<lumeo.master.v1.IOperateRequest, lumeo.master.v1.IOperateResponse>;

interface OpenOperation {
  readonly message: lumeo.master.v1.Operation.$Properties;
  readonly settle: (result: lumeo.master.v1.OperationResult) => void;
  readonly fail: (error: LumeoError) => void;
  isSent: boolean;
}

export class OperationStream {
  readonly #channel: RpcChannel;
  readonly #timers: Timers;
  readonly #room = new Budget(OPERATIONS_OPEN_MAX);
  readonly #open = new Map<number, OpenOperation>();
  #queue: OpenOperation[] = [];
  #stream: Stream | undefined;
  #isFlushing = false;
  #lastId = 0;

  constructor(channel: RpcChannel, timers: Timers) {
    this.#channel = channel;
    this.#timers = timers;
  }

  /** The stream is open: what fails now has been refused by the master itself. */
  get isConnected(): boolean {
    return this.#stream !== undefined;
  }

  /** @throws LumeoError as the master refused the operation, or as the connection failed (O3). */
  async perform<K extends OperationKind>(attempt: Attempt<K>): Promise<Answer<K>> {
    const { signal } = attempt;
    signal?.throwIfAborted();
    const permit = this.#room.tryTake(1) ?? (await this.#room.take(1, signal));
    try {
      return await this.#ask(attempt);
    } finally {
      permit.release();
    }
  }

  #ask<K extends OperationKind>(attempt: Attempt<K>): Promise<Answer<K>> {
    const { kind, ask, request, timeoutMs, signal } = attempt;
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        alarm.cancel();
        signal?.removeEventListener("abort", abort);
        this.#open.delete(id);
      };
      const fail = (error: unknown): void => {
        leave();
        reject(error);
      };
      const abort = (): void => fail(signal?.reason);
      const late = (): void => fail(this.#timeout(kind, timeoutMs));
      const alarm: Alarm = this.#timers.after(timeoutMs, late);
      signal?.addEventListener("abort", abort, { once: true });
      const settle = (result: lumeo.master.v1.OperationResult): void => {
        leave();
        try {
          resolve(decodeResult(kind, result));
        } catch (error) {
          reject(error);
        }
      };
      const message = { ...encodeOperation(kind, ask, request), id, timeoutMs };
      const operation = { message, settle, fail, isSent: false };
      this.#open.set(id, operation);
      this.#queue.push(operation);
      this.#scheduleFlush();
    });
  }

  #scheduleFlush(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    setImmediate(() => void this.#flush()); // the end of this turn (O1)
  }

  async #flush(): Promise<void> {
    try {
      while (0 < this.#queue.length) {
        const stream = (this.#stream ??= await this.#connect());
        const batch = this.#queue.splice(0, BATCH_OPERATIONS_MAX);
        const wanted = batch.filter(({ message }) => this.#open.has(message.id as number));
        for (const operation of wanted) operation.isSent = true;
        if (0 < wanted.length) {
          await stream.send({ operations: wanted.map(({ message }) => message) });
        }
      }
    } catch (error) {
      this.#broken(asLumeoError(error));
    } finally {
      this.#isFlushing = false;
      if (0 < this.#queue.length) this.#scheduleFlush();
    }
  }

  async #connect(): Promise<Stream> {
    const stream = await openStream(this.#channel, NamespaceService.operate);
    void this.#receive(stream);
    return stream;
  }

  async #receive(stream: Stream): Promise<void> {
    let failure = new LumeoError("CONNECTION_LOST", `${this.#channel.address} ended the stream`);
    try {
      for await (const { results } of stream) {
        for (const result of results ?? []) {
          const id = result.id ?? 0;
          // One that is not open any more was given up by its caller.
          this.#open.get(id)?.settle(result as lumeo.master.v1.OperationResult);
        }
      }
    } catch (error) {
      failure = asLumeoError(error);
    }
    if (this.#stream === stream) {
      this.#stream = undefined;
      this.#broken(failure);
    }
  }

  /** Ends everything that is open (O3). */
  #broken(cause: LumeoError): void {
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#queue = [];
    for (const operation of [...this.#open.values()]) {
      operation.fail(cause.code === "CLOSED" ? cause : lost(cause, operation.isSent));
    }
  }

  #timeout(kind: OperationKind, timeoutMs: number): LumeoError {
    return new LumeoError(
      "TIMEOUT",
      `No answer to "${kind}" from master ${this.#channel.address} within ${timeoutMs} ms`,
    );
  }
}

function lost(cause: LumeoError, isSent: boolean): LumeoError {
  return new LumeoError(isSent ? "CONNECTION_LOST" : "UNAVAILABLE", cause.message, { cause });
}
