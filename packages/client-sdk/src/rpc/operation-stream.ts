// Operations on one master over one long-lived stream, many in a message.
//
// O1. Operations that are asked for in one turn of the event loop leave in one message. An idle
//     stream sends at the end of the turn: nothing waits for company.
// O2. While the transport is full, operations gather; at most OPERATIONS_OPEN_MAX are unanswered,
//     more wait for their turn.
// O3. When the stream breaks, operations that were never handed to it end as UNAVAILABLE (surely
//     without effect), the others as CONNECTION_LOST (perhaps with effect).
// O4. While operations are unanswered, a silent master is asked whether it lives, which it answers
//     at once however busy it is. One that stands still breaks the stream within 2 s, and not only
//     when the operations have run out of time: another master may lead by then.

import {
  type Alarm,
  asLumeoError,
  Budget,
  type Clock,
  LumeoError,
  MiB,
  type Permit,
  type Timers,
} from "@lumeofs/base";
import { openStream, type RpcChannel, type RpcNetwork, type RpcStream } from "@lumeofs/node/rpc";
import { type lumeo, NamespaceService } from "@lumeofs/proto";
import type { Answer, Attempt, OperationKind } from "../operations.js";
import { decodeFollower, decodeFreshness, encodeWish, type Follower } from "./read-wire.js";
import { decodeResult, encodeOperation } from "./wire.js";

/** Operations of one stream without an answer. */
export const OPERATIONS_OPEN_MAX = 2_048;
/** After so long a silence, or less, a master is asked whether it lives. */
const SILENCE_MS = 500;
/** So many further silences, and it stands still. */
const SILENCES_MAX = 3;
/** Operations in one message, and bytes of files in it; the last one may exceed them. */
const BATCH_OPERATIONS_MAX = 256;
const BATCH_INLINE_BYTES = 1 * MiB;

type Stream = RpcStream<lumeo.master.v1.IOperateRequest, lumeo.master.v1.IOperateResponse>;
type Result = lumeo.master.v1.OperationResult;

/** What a stream needs of its host. */
export interface StreamPorts {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Default: gRPC. */
  readonly network?: RpcNetwork;
  /** Operations travel over a connection without HTTP/2, if the network can do that. */
  readonly direct?: boolean;
}

/** Where all masters are, as one of them has said. */
export interface MasterList {
  /** host:port, not empty. */
  readonly addresses: readonly string[];
  /** A list with a lower one is older. */
  readonly revision: number;
}

/** Who has served an operation. */
export interface Service {
  /** Set by an answer, be it an error, of a master that does not lead. */
  follower: Follower | undefined;
}

/** An operation that has no answer yet. */
interface OpenOperation {
  readonly attempt: Attempt<OperationKind>;
  readonly service: Service;
  readonly message: lumeo.master.v1.Operation.$Properties;
  readonly permit: Permit;
  /** On the monotonic clock. */
  readonly deadlineMs: number;
  readonly resolve: (answer: Answer<OperationKind>) => void;
  readonly reject: (error: unknown) => void;
  readonly abort: () => void;
  isSent: boolean;
}

export class OperationStream {
  readonly #channel: RpcChannel;
  readonly #ports: StreamPorts;
  readonly #onMasters: (list: MasterList) => void;
  readonly #room = new Budget(OPERATIONS_OPEN_MAX);
  readonly #open = new Map<number, OpenOperation>();
  #queue: OpenOperation[] = [];
  #stream: Stream | undefined;
  #isFlushing = false;
  #lastId = 0;
  /** One alarm for all: at or before the earliest deadline of what is open. */
  #alarm: { readonly atMs: number; readonly alarm: Alarm } | undefined;
  /** Looks for life while operations are open (O4). */
  #lookout: Alarm | undefined;
  #silences = 0;
  #isStill = false;

  /** @param onMasters  Hears of all masters, at the beginning and whenever they change. */
  constructor(channel: RpcChannel, ports: StreamPorts, onMasters: (list: MasterList) => void) {
    this.#channel = channel;
    this.#ports = ports;
    this.#onMasters = onMasters;
  }

  /** The stream is open: what fails now has been refused by the master itself. */
  get isConnected(): boolean {
    return this.#stream !== undefined;
  }

  /** The master stood still when it was last asked for something (O4). */
  get isStill(): boolean {
    return this.#isStill;
  }

  /** Rejects with a LumeoError as the master refused, or as the connection failed (O3). */
  perform<K extends OperationKind>(attempt: Attempt<K>, service: Service): Promise<Answer<K>> {
    const permit = this.#room.tryTake(1);
    if (permit !== undefined) return this.#ask(attempt, service, permit);
    const room = this.#room.take(1, attempt.signal);
    return room.then((taken) => this.#ask(attempt, service, taken));
  }

  #ask<K extends OperationKind>(
    attempt: Attempt<K>,
    service: Service,
    permit: Permit,
  ): Promise<Answer<K>> {
    const { kind, ask, read, request, timeoutMs, signal } = attempt;
    return new Promise<Answer<OperationKind>>((resolve, reject) => {
      if (signal?.aborted) {
        permit.release();
        return reject(signal.reason);
      }
      const id = ++this.#lastId;
      const message = encodeOperation(kind, ask, request);
      message.id = id;
      message.timeoutMs = timeoutMs;
      if (read !== undefined) encodeWish(message, read.wish);
      const deadlineMs = this.#ports.clock.monotonicMs() + timeoutMs;
      const abort = (): void => this.#fail(id, signal?.reason);
      signal?.addEventListener("abort", abort, { once: true });
      const open: OpenOperation = {
        attempt: attempt as Attempt<OperationKind>,
        service,
        message,
        permit,
        deadlineMs,
        resolve,
        reject,
        abort,
        isSent: false,
      };
      this.#open.set(id, open);
      this.#queue.push(open);
      this.#watch(deadlineMs);
      this.#lookOut();
      this.#scheduleFlush();
    }) as Promise<Answer<K>>;
  }

  /** Takes an operation out, if it is still open. */
  #leave(id: number): OpenOperation | undefined {
    const open = this.#open.get(id);
    if (open === undefined) return undefined;
    this.#open.delete(id);
    open.attempt.signal?.removeEventListener("abort", open.abort);
    open.permit.release();
    if (this.#open.size === 0) this.#unwatch();
    return open;
  }

  #fail(id: number, error: unknown): void {
    this.#leave(id)?.reject(error);
  }

  #settle(id: number, result: Result): void {
    const open = this.#leave(id);
    if (open === undefined) return; // given up by its caller
    const { attempt, service } = open;
    service.follower = decodeFollower(result);
    try {
      const answer = decodeResult(attempt.kind, attempt.ask, result);
      attempt.read?.answered(decodeFreshness(result));
      open.resolve(answer);
    } catch (error) {
      open.reject(error);
    }
  }

  #watch(deadlineMs: number): void {
    if (this.#alarm !== undefined && this.#alarm.atMs <= deadlineMs) return;
    this.#alarm?.alarm.cancel();
    const waitMs = Math.max(0, deadlineMs - this.#ports.clock.monotonicMs());
    const alarm = this.#ports.timers.after(waitMs, () => this.#expire());
    this.#alarm = { atMs: deadlineMs, alarm };
  }

  #unwatch(): void {
    this.#alarm?.alarm.cancel();
    this.#alarm = undefined;
  }

  /** Ends what is late, and sets the alarm for what is not. */
  #expire(): void {
    this.#alarm = undefined;
    const nowMs = this.#ports.clock.monotonicMs();
    let nextMs = Infinity;
    for (const [id, { deadlineMs, attempt }] of [...this.#open]) {
      if (deadlineMs <= nowMs) this.#fail(id, this.#timeout(attempt.kind, attempt.timeoutMs));
      else nextMs = Math.min(nextMs, deadlineMs);
    }
    if (nextMs < Infinity) this.#watch(nextMs);
  }

  /** Goes on until nothing is open, and a little longer: setting it anew each time would cost. */
  #lookOut(): void {
    if (this.#lookout !== undefined) return;
    this.#silences = 0;
    this.#lookout = this.#ports.timers.every(SILENCE_MS, () => this.#lookForLife());
  }

  #endLookout(): void {
    this.#lookout?.cancel();
    this.#lookout = undefined;
  }

  #lookForLife(): void {
    if (this.#open.size === 0) return this.#endLookout();
    this.#silences += 1;
    if (this.#silences === 1) {
      // What becomes of the question shows in the answer, or in the end of the stream.
      this.#stream?.send({ operations: [] }).catch(() => undefined);
    } else if (SILENCES_MAX < this.#silences) {
      this.#isStill = true;
      const why = `${this.#channel.address} has not answered for ${SILENCES_MAX * SILENCE_MS} ms`;
      this.#broken(new LumeoError("CONNECTION_LOST", why));
    }
  }

  #scheduleFlush(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    process.nextTick(() => void this.#flush()); // behind all that this turn asks for (O1)
  }

  async #flush(): Promise<void> {
    try {
      while (0 < this.#queue.length) {
        const stream = (this.#stream ??= await this.#connect());
        const count = batchOf(this.#queue);
        const batch = this.#queue.slice(0, count);
        this.#queue = this.#queue.slice(count);
        const operations: lumeo.master.v1.Operation.$Properties[] = [];
        for (const open of batch) {
          if (!this.#open.has(open.message.id as number)) continue;
          open.isSent = true;
          operations.push(open.message);
        }
        if (0 < operations.length) await stream.send({ operations });
      }
    } catch (error) {
      this.#broken(asLumeoError(error));
    } finally {
      this.#isFlushing = false;
      if (0 < this.#queue.length) this.#scheduleFlush();
    }
  }

  async #connect(): Promise<Stream> {
    const stream = await openStream(this.#channel, NamespaceService.operate, {
      direct: this.#ports.direct ?? false,
    });
    void this.#receive(stream);
    return stream;
  }

  async #receive(stream: Stream): Promise<void> {
    let failure = new LumeoError("CONNECTION_LOST", `${this.#channel.address} ended the stream`);
    try {
      for await (const { results, masters, mastersRevision } of stream) {
        this.#silences = 0;
        this.#isStill = false;
        if (masters?.length) {
          this.#onMasters({ addresses: masters, revision: mastersRevision ?? 0 });
        }
        for (const result of results ?? []) this.#settle(result.id ?? 0, result as Result);
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
    this.#endLookout();
    this.#stream?.cancel();
    this.#stream = undefined;
    this.#queue = [];
    for (const [id, { isSent }] of [...this.#open]) {
      this.#fail(id, cause.code === "CLOSED" ? cause : lost(cause, isSent));
    }
  }

  #timeout(kind: OperationKind, timeoutMs: number): LumeoError {
    return new LumeoError(
      "TIMEOUT",
      `No answer to "${kind}" from master ${this.#channel.address} within ${timeoutMs} ms`,
    );
  }
}

/** How many of the first go into one message. */
function batchOf(queue: readonly OpenOperation[]): number {
  let [count, bytes] = [0, 0];
  for (const { message } of queue) {
    if (count === BATCH_OPERATIONS_MAX || BATCH_INLINE_BYTES <= bytes) break;
    count++;
    bytes += message.commit?.inlineBytes?.byteLength ?? 0;
  }
  return count;
}

function lost(cause: LumeoError, isSent: boolean): LumeoError {
  return new LumeoError(isSent ? "CONNECTION_LOST" : "UNAVAILABLE", cause.message, { cause });
}
