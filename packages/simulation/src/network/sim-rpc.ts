// The RpcNetwork of one simulated process: calls over simulated wires, with the messages encoded as
// they are over gRPC, and with gRPC's way of telling what may have taken effect.
//
// A call first waits for the connection: a failure before is UNAVAILABLE, any later one
// CONNECTION_LOST or TIMEOUT. A connection whose other side stands still is given up (keepalive).
// An answer may be lost with its connection, after the work was done.
// Beyond gRPC, a unary call may be carried out twice, the second time late: whoever serves it must
// not mind, for masters repeat their orders after a change of leaders.

import { asLumeoError, InvariantViolation, LumeoError } from "@lumeofs/base";
import {
  type BareMethod,
  type CallContext,
  encodeErrorDetail,
  type RpcCalls,
  type RpcListener,
  type RpcMethod,
  type RpcNetwork,
} from "@lumeofs/node/rpc";
import { MessageStream } from "./message-stream.js";
import { keepAlive, LETTER_BYTES, type RpcLetter, type SimRpcParts } from "./rpc-letter.js";
import { SimCalls } from "./sim-calls.js";
import type { WireEnd } from "./wires.js";

const CALLS_MAX_DEFAULT = 1_024;
/** A call that comes twice comes so much later at most. */
const ECHO_MS_MAX = 3_000;

export class SimRpc implements RpcNetwork {
  readonly #parts: SimRpcParts;

  constructor(parts: SimRpcParts) {
    this.#parts = parts;
  }

  callsTo(address: string, connectTimeoutMs: number | undefined): RpcCalls {
    return new SimCalls(address, this.#parts, connectTimeoutMs);
  }

  async listen(
    options: { readonly host: string; readonly port: number; readonly callsMax?: number },
    methods: readonly RpcMethod[],
  ): Promise<RpcListener> {
    const { host, port, callsMax = CALLS_MAX_DEFAULT } = options;
    const address = `${host}:${port}`;
    const { wires, endpoint } = this.#parts;
    const server = new Server(this.#parts, methods, callsMax);
    const stop = wires.listen(endpoint, address, (end) => server.accept(end));
    const close = async (): Promise<void> => {
      stop();
      server.close();
    };
    return { host, port, address, close };
  }
}

interface Served {
  readonly stream: MessageStream;
  readonly gone: AbortController;
}

class Server {
  readonly #parts: SimRpcParts;
  readonly #methods: ReadonlyMap<string, BareMethod>;
  readonly #callsMax: number;
  readonly #ends = new Set<WireEnd<RpcLetter>>();
  #running = 0;
  #isClosed = false;

  constructor(parts: SimRpcParts, methods: readonly RpcMethod[], callsMax: number) {
    this.#parts = parts;
    this.#methods = new Map(methods.map(({ path, bare }) => [path, bare]));
    this.#callsMax = callsMax;
  }

  accept(end: WireEnd<RpcLetter>): void {
    if (this.#isClosed) return end.close();
    const calls = new Map<number, Served>();
    const lost = (): void => {
      this.#ends.delete(end);
      for (const served of calls.values()) abandon(served, end.peerMachine);
      calls.clear();
    };
    this.#ends.add(end);
    keepAlive(this.#parts.timers, end, lost);
    end.listen({ arrived: (letter) => this.#take(end, calls, letter), ended: lost });
  }

  close(): void {
    this.#isClosed = true;
    for (const end of [...this.#ends]) end.breakOff();
  }

  #take(end: WireEnd<RpcLetter>, calls: Map<number, Served>, letter: RpcLetter): void {
    const { call } = letter;
    const known = calls.get(call);
    switch (letter.kind) {
      case "open": {
        const served = this.#serve(end, letter, () => calls.delete(call));
        if (served !== undefined) calls.set(call, served);
        break;
      }
      case "data":
        known?.stream.push(letter.bytes);
        break;
      case "end":
        known?.stream.finish();
        break;
      case "cancel":
        if (known !== undefined) abandon(known, end.peerMachine);
        calls.delete(call);
        break;
      case "status":
        throw new Error("a caller sends no status");
    }
  }

  #serve(
    end: WireEnd<RpcLetter>,
    { call, path, leftMs }: Extract<RpcLetter, { kind: "open" }>,
    done: () => void,
  ): Served | undefined {
    const status = (error: LumeoError | undefined): void => {
      const detail = error === undefined ? undefined : encodeErrorDetail(error);
      end.send({ kind: "status", call, error: detail }, LETTER_BYTES);
    };
    const method = this.#methods.get(path);
    if (method === undefined) {
      status(new LumeoError("PROTOCOL", `Cannot finish the call: nobody knows ${path}`));
      return undefined;
    }
    if (this.#callsMax <= this.#running) {
      status(new LumeoError("OVERLOADED", `Cannot serve ${path}: too many calls are running`));
      return undefined;
    }
    const send = (bytes: Uint8Array, delivered: () => void): void => {
      if (this.#parts.isMuted(end.peerMachine)) end.breakOff();
      end.send({ kind: "data", call, bytes }, LETTER_BYTES + bytes.byteLength, delivered);
    };
    const stream = new MessageStream({ send, end: () => {}, cancel: () => {} });
    const gone = new AbortController();
    const bornAt = this.#parts.wires.world.now;
    const context: CallContext = {
      signal: gone.signal,
      peer: end.peerMachine,
      remainingMs: () => leftMs - (this.#parts.wires.world.now - bornAt),
    };
    this.#running++;
    const finish = (error: LumeoError | undefined): void => {
      this.#running--;
      done();
      status(error);
    };
    this.#run(method, stream, context).then(
      () => finish(undefined),
      (error: unknown) => finish(this.#known(error)),
    );
    return { stream, gone };
  }

  async #run(method: BareMethod, stream: MessageStream, context: CallContext): Promise<void> {
    switch (method.kind) {
      case "unary": {
        const request = await firstOf(stream);
        this.#echo(method, request, context);
        return stream.send(await method.handle(request, context));
      }
      case "upload":
        return stream.send(await method.handle(stream, context));
      case "download":
        for await (const answer of method.handle(await firstOf(stream), context)) {
          await stream.send(answer);
        }
        return;
      case "stream":
        return method.handle(stream, context);
    }
  }

  /** The same request again, whose answer nobody waits for. */
  #echo(
    method: Extract<BareMethod, { kind: "unary" }>,
    request: Uint8Array,
    { peer }: CallContext,
  ): void {
    const { random, echoShare, timers } = this.#parts;
    if (echoShare() <= random.fraction()) return;
    const context = { peer, signal: new AbortController().signal, remainingMs: () => Infinity };
    timers.after(random.fraction() * ECHO_MS_MAX, () => {
      if (this.#isClosed) return;
      method.handle(request, context).catch((error: unknown) => this.#known(error));
    });
  }

  #known(error: unknown): LumeoError {
    if (error instanceof InvariantViolation) this.#parts.broken(error);
    const known = asLumeoError(error);
    if (known.code === "INTERNAL") this.#parts.broken(error);
    return known;
  }
}

function abandon({ stream, gone }: Served, peer: string): void {
  gone.abort(new LumeoError("ABORTED", `The caller ${peer} has gone`));
  const message = `Cannot go on with the stream of ${peer}: it was cut off`;
  stream.fail(new LumeoError("CONNECTION_LOST", message));
}

async function firstOf(stream: MessageStream): Promise<Uint8Array> {
  const { value } = await stream[Symbol.asyncIterator]().next();
  if (value === undefined) throw new LumeoError("CONNECTION_LOST", "The caller sent no request");
  return value;
}
