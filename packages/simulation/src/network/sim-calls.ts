// The caller's side of SimRpc: calls of one process to one address.

import { LumeoError } from "@lumeofs/base";
import {
  type CallOptions,
  decodeErrorDetail,
  type MethodDefinition,
  type RpcCalls,
  type RpcStream,
  type StreamOptions,
} from "@lumeofs/node/rpc";
import { MessageStream } from "./message-stream.js";
import { keepAlive, LETTER_BYTES, type RpcLetter, type SimRpcParts } from "./rpc-letter.js";
import type { WireEnd } from "./wires.js";

const CONNECT_TIMEOUT_MS = 3_000;
/** After a failed attempt to connect, calls fail at once for so long. */
const BACKOFF_MS_MIN = 100;
const BACKOFF_MS_MAX = 1_000;

export class SimCalls implements RpcCalls {
  readonly #address: string;
  readonly #parts: SimRpcParts;
  readonly #connectTimeoutMs: number;
  readonly #open = new Map<number, MessageStream>();
  #end: WireEnd<RpcLetter> | undefined;
  #connecting: Promise<void> | undefined;
  #backoffMs = BACKOFF_MS_MIN;
  #silentUntil = 0;
  #lastCall = 0;
  #isClosed = false;

  constructor(address: string, parts: SimRpcParts, connectTimeoutMs = CONNECT_TIMEOUT_MS) {
    this.#address = address;
    this.#parts = parts;
    this.#connectTimeoutMs = connectTimeoutMs;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#end?.close();
    this.#lose(new LumeoError("CLOSED", `Cannot finish the call to ${this.#address}: closed`));
  }

  async ready(options: CallOptions): Promise<void> {
    await this.#connect(options);
  }

  async unary<Q, A>(method: MethodDefinition<Q, A>, request: Q, options: CallOptions): Promise<A> {
    return this.#single(method, options, async (stream) => {
      await stream.send(method.requestSerialize(request));
      stream.end();
    });
  }

  async upload<Q, A>(
    method: MethodDefinition<Q, A>,
    requests: AsyncIterable<Q> | Iterable<Q>,
    options: CallOptions,
  ): Promise<A> {
    return this.#single(method, options, async (stream) => {
      for await (const request of requests) await stream.send(method.requestSerialize(request));
      stream.end();
    });
  }

  async *download<Q, A>(
    method: MethodDefinition<Q, A>,
    request: Q,
    options: StreamOptions,
  ): AsyncGenerator<A, void, undefined> {
    const { stream, leave } = await this.#begin(method, options, Infinity);
    try {
      await stream.send(method.requestSerialize(request));
      stream.end();
      for await (const bytes of stream) yield method.responseDeserialize(Buffer.from(bytes));
    } finally {
      leave();
    }
  }

  async openStream<Q, A>(
    method: MethodDefinition<Q, A>,
    options: StreamOptions,
  ): Promise<RpcStream<Q, A>> {
    const { stream } = await this.#begin(method, options, Infinity);
    return {
      send: (message) => stream.send(method.requestSerialize(message)),
      end: () => stream.end(),
      cancel: (reason) => stream.cancel(reason),
      async *[Symbol.asyncIterator]() {
        for await (const bytes of stream) yield method.responseDeserialize(Buffer.from(bytes));
      },
    };
  }

  /** A call with one answer, within its time. */
  async #single<Q, A>(
    method: MethodDefinition<Q, A>,
    options: CallOptions,
    send: (stream: MessageStream) => Promise<void>,
  ): Promise<A> {
    const { timers } = this.#parts;
    const deadline = this.#parts.wires.world.now + options.timeoutMs;
    const { stream, leave } = await this.#begin(method, options, options.timeoutMs);
    const late = (): void => {
      const why = `Cannot finish the call to ${this.#address}: Deadline exceeded`;
      stream.cancel(new LumeoError("TIMEOUT", why));
    };
    const leftMs = Math.max(0, deadline - this.#parts.wires.world.now);
    const alarm = timers.after(leftMs, late);
    try {
      send(stream).catch((error: LumeoError) => stream.cancel(error));
      let answer: A | undefined;
      for await (const bytes of stream) answer = method.responseDeserialize(Buffer.from(bytes));
      if (answer === undefined) throw new LumeoError("INTERNAL", "A call ended without an answer");
      return answer;
    } finally {
      alarm.cancel();
      leave();
    }
  }

  async #begin(
    method: { readonly path: string },
    { signal }: StreamOptions,
    timeoutMs: number,
  ): Promise<{ readonly stream: MessageStream; readonly leave: () => void }> {
    const end = await this.#connect({ timeoutMs, signal });
    const call = ++this.#lastCall;
    const abort = (): void => stream.cancel(this.#aborted(signal));
    const leave = (): void => {
      this.#open.delete(call);
      signal?.removeEventListener("abort", abort);
    };
    const stream = new MessageStream({
      send: (bytes, delivered) =>
        end.send({ kind: "data", call, bytes }, LETTER_BYTES + bytes.byteLength, delivered),
      end: () => end.send({ kind: "end", call }, LETTER_BYTES),
      cancel: () => {
        if (this.#open.has(call)) end.send({ kind: "cancel", call }, LETTER_BYTES);
        leave();
      },
    });
    this.#open.set(call, stream);
    signal?.addEventListener("abort", abort, { once: true });
    end.send({ kind: "open", call, path: method.path, leftMs: timeoutMs }, LETTER_BYTES);
    return { stream, leave };
  }

  async #connect({ timeoutMs, signal }: CallOptions): Promise<WireEnd<RpcLetter>> {
    const { world } = this.#parts.wires;
    if (this.#isClosed) {
      throw new LumeoError("CLOSED", `Cannot call ${this.#address}: the channel is closed`);
    }
    if (signal?.aborted) throw this.#aborted(signal);
    if (this.#end?.isOpen) return this.#end;
    if (world.now < this.#silentUntil) {
      throw this.#unavailable("the last attempt failed");
    }
    this.#connecting ??= this.#dial().finally(() => {
      this.#connecting = undefined;
    });
    await this.#within(this.#connecting, Math.min(timeoutMs, this.#connectTimeoutMs), signal);
    const end = this.#end;
    if (this.#isClosed || !end?.isOpen) throw this.#unavailable("the connection was lost at once");
    return end;
  }

  async #dial(): Promise<void> {
    const { wires, endpoint, timers } = this.#parts;
    const limits = { timeoutMs: this.#connectTimeoutMs };
    let end: WireEnd<RpcLetter>;
    try {
      end = await wires.connect(endpoint, this.#address, limits);
    } catch (error) {
      this.#silentUntil = wires.world.now + this.#backoffMs;
      this.#backoffMs = Math.min(BACKOFF_MS_MAX, 2 * this.#backoffMs);
      throw error;
    }
    if (this.#isClosed) return end.close();
    this.#backoffMs = BACKOFF_MS_MIN;
    this.#end = end;
    const lost = (): void => {
      if (this.#end === end) this.#end = undefined;
      this.#lose(new LumeoError("CONNECTION_LOST", `Lost the connection to ${this.#address}`));
    };
    keepAlive(timers, end, lost);
    end.listen({ arrived: (letter) => this.#take(letter), ended: lost });
  }

  #take(letter: RpcLetter): void {
    const stream = this.#open.get(letter.call);
    if (stream === undefined) return;
    if (letter.kind === "data") return stream.push(letter.bytes);
    if (letter.kind !== "status") return;
    this.#open.delete(letter.call);
    if (letter.error === undefined) stream.finish();
    else stream.fail(decodeErrorDetail(letter.error));
  }

  #lose(error: LumeoError): void {
    const lost = [...this.#open.values()];
    this.#open.clear();
    for (const stream of lost) stream.fail(error);
  }

  #within(
    connecting: Promise<void>,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (act: () => void) => (): void => {
        alarm.cancel();
        signal?.removeEventListener("abort", abort);
        act();
      };
      const abort = (): void => leave(() => reject(this.#aborted(signal)))();
      const late = leave(() => reject(this.#unavailable("no connection in time")));
      const alarm = this.#parts.timers.after(timeoutMs, late);
      signal?.addEventListener("abort", abort, { once: true });
      connecting.then(leave(resolve), (error: unknown) => leave(() => reject(error))());
    });
  }

  #unavailable(why: string): LumeoError {
    return new LumeoError("UNAVAILABLE", `Cannot connect to ${this.#address}: ${why}`);
  }

  #aborted(signal: AbortSignal | undefined): LumeoError {
    const options = { cause: signal?.reason };
    return new LumeoError("ABORTED", `Gave up the call to ${this.#address}`, options);
  }
}
