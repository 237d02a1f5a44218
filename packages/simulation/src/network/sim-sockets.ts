// The DataNetwork of one simulated process: the shipped frames run over sockets that are wires.

import { EventEmitter } from "node:events";
import type { Alarm, Clock, Timers } from "@lumeofs/base";
import {
  type ByteListener,
  type ByteSocket,
  type DataNetwork,
  parseAddress,
} from "@lumeofs/node/frames";
import type { Tap } from "../checks/served-bytes.js";
import type { Endpoint, WireEnd, Wires } from "./wires.js";

export interface SimSocketsParts {
  readonly wires: Wires<Buffer>;
  readonly endpoint: Endpoint;
  readonly timers: Timers & Pick<Clock, "monotonicMs">;
  /** Listens to a connection that this process has accepted. */
  readonly tap: () => Tap;
  /** Called for what is sent: it may turn over a bit, which TCP does not notice. */
  readonly corrupt: (bytes: Buffer) => void;
}

export class SimSockets implements DataNetwork {
  readonly timers: Timers;
  readonly #parts: SimSocketsParts;

  constructor(parts: SimSocketsParts) {
    this.#parts = parts;
    this.timers = parts.timers;
  }

  async connect(
    address: string,
    limits: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<ByteSocket> {
    const { wires, endpoint } = this.#parts;
    return new SimSocket(await wires.connect(endpoint, address, limits), this.#parts, undefined);
  }

  async listen(
    { host, port }: { readonly host: string; readonly port: number },
    { accepted }: { readonly accepted: (socket: ByteSocket) => void },
  ): Promise<ByteListener> {
    const { wires, endpoint, tap } = this.#parts;
    const address = `${host}:${port}`;
    parseAddress(address);
    const stop = wires.listen(endpoint, address, (end) =>
      accepted(new SimSocket(end, this.#parts, tap())),
    );
    return { port, close: async () => stop() };
  }
}

class SimSocket implements ByteSocket {
  readonly remoteAddress: string;
  readonly remotePort = 0;
  readonly #end: WireEnd<Buffer>;
  readonly #timers: SimSocketsParts["timers"];
  readonly #tap: Tap | undefined;
  readonly #corrupt: (bytes: Buffer) => void;
  readonly #events = new EventEmitter();
  #corked: { readonly bytes: Buffer; readonly written: (() => void) | undefined }[] | undefined;
  /** Told when their bytes have left, or when the socket is destroyed: then they never will. */
  readonly #leaving = new Set<() => void>();
  #isClosed = false;
  #idle: Alarm | undefined;
  #movedAt: number;

  constructor(end: WireEnd<Buffer>, parts: SimSocketsParts, tap: Tap | undefined) {
    this.#end = end;
    this.#timers = parts.timers;
    this.#movedAt = parts.timers.monotonicMs();
    this.#corrupt = parts.corrupt;
    this.#tap = tap;
    this.remoteAddress = end.peerMachine;
    end.listen({
      arrived: (bytes) => {
        this.#movedAt = this.#timers.monotonicMs();
        this.#tap?.came(bytes);
        if (!this.#isClosed) this.#events.emit("data", bytes);
      },
      ended: (ending) => {
        if (this.#isClosed) return;
        if (ending === "closed") this.#events.emit("end");
        else this.#events.emit("error", new Error("read ECONNRESET"));
        this.destroy();
      },
    });
  }

  write(bytes: Uint8Array, written?: () => void): boolean {
    const copy = Buffer.from(bytes); // what the kernel does: the caller may change its bytes
    if (this.#corked !== undefined) this.#corked.push({ bytes: copy, written });
    else this.#send(copy, written);
    return true;
  }

  cork(): void {
    this.#corked ??= [];
  }

  uncork(): void {
    const corked = this.#corked ?? [];
    this.#corked = undefined;
    if (corked.length === 0) return;
    const whole = Buffer.concat(corked.map(({ bytes }) => bytes));
    this.#send(whole, () => {
      for (const { written } of corked) written?.();
    });
  }

  pause(): void {
    this.#end.pause();
  }

  resume(): void {
    this.#end.resume();
  }

  destroy(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#idle?.cancel();
    this.#end.close();
    for (const { written } of this.#corked ?? []) written?.();
    this.#corked = undefined;
    queueMicrotask(() => {
      for (const left of [...this.#leaving]) left();
      this.#events.emit("close");
    });
  }

  /** What was written leaves before the connection ends: the wire sees to that. */
  destroySoon(): void {
    this.uncork();
    this.destroy();
  }

  setNoDelay(): void {}

  setKeepAlive(): void {}

  setTimeout(ms: number): void {
    this.#movedAt = this.#timers.monotonicMs();
    this.#watch(ms);
  }

  on(event: string, listener: (...values: never[]) => void): void {
    this.#events.on(event, listener as (...values: unknown[]) => void);
  }

  once(event: string, listener: () => void): void {
    this.#events.once(event, listener);
  }

  /** Tells of `ms` without a byte, and again after as many. */
  #watch(ms: number): void {
    this.#idle?.cancel();
    const left = this.#movedAt + ms - this.#timers.monotonicMs();
    this.#idle = this.#timers.after(Math.max(left, 1), () => {
      if (this.#isClosed) return;
      const wasIdle = this.#movedAt + ms <= this.#timers.monotonicMs();
      if (wasIdle) this.#movedAt = this.#timers.monotonicMs();
      this.#watch(ms);
      if (wasIdle) this.#events.emit("timeout");
    });
  }

  #send(bytes: Buffer, written: (() => void) | undefined): void {
    this.#movedAt = this.#timers.monotonicMs();
    this.#tap?.left(bytes);
    this.#corrupt(bytes);
    const left = (): void => {
      if (this.#leaving.delete(left)) written?.();
    };
    this.#leaving.add(left);
    this.#end.send(bytes, bytes.byteLength, left);
  }
}
