// How frames travel between processes: over TCP, or over wires that a simulation makes.

import { createConnection, createServer } from "node:net";
import { type Closable, LumeoError, type Timers } from "@lumeofs/base";
import { SystemTimers } from "../system-clock.js";
import { parseAddress } from "./address.js";

/** One connection as a stream of bytes in both directions: what is used of a `net.Socket`. */
export interface ByteSocket {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  /** `written` is called when the bytes may be changed again, also if they were not sent. */
  write(bytes: Uint8Array, written?: () => void): boolean;
  cork(): void;
  uncork(): void;
  pause(): unknown;
  resume(): unknown;
  /** Closes at once. */
  destroy(): unknown;
  /** Closes when everything written has left. */
  destroySoon(): void;
  setNoDelay(isOn: boolean): unknown;
  setKeepAlive(isOn: boolean, idleMs: number): unknown;
  /** After so long without a byte in either direction "timeout" is told. */
  setTimeout(ms: number): unknown;
  on(event: "data", listener: (bytes: Buffer) => void): unknown;
  on(event: "error", listener: (cause: Error) => void): unknown;
  on(event: "timeout" | "end" | "close", listener: () => void): unknown;
  once(event: "close", listener: () => void): unknown;
}

export interface ByteListener extends Closable {
  readonly port: number;
}

/** Port. */
export interface DataNetwork {
  /** For whatever waits on a connection; they do not keep a process alive. */
  readonly timers: Timers;
  /**
   * @param address  host:port
   * @throws LumeoError UNAVAILABLE if nobody answers there in time; the signal's reason.
   */
  connect(
    address: string,
    limits: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<ByteSocket>;
  /** @throws LumeoError UNAVAILABLE if the address cannot be taken. Port 0 takes any. */
  listen(
    where: { readonly host: string; readonly port: number; readonly connectionsMax: number },
    events: {
      readonly accepted: (socket: ByteSocket) => void;
      /** Connections can not be accepted any more, or for a while. */
      readonly failed: (error: unknown) => void;
    },
  ): Promise<ByteListener>;
}

const timers = new SystemTimers({ unref: true });

/** Connections between real processes. */
export const TCP: DataNetwork = {
  timers,
  connect: (address, { timeoutMs, signal }) => {
    signal?.throwIfAborted();
    const { host, port } = parseAddress(address);
    return new Promise((resolve, reject) => {
      const socket = createConnection({ host, port, noDelay: true });
      const settle = (): void => {
        alarm.cancel();
        signal?.removeEventListener("abort", abort);
        socket.removeAllListeners();
      };
      const fail = (error: unknown): void => {
        settle();
        socket.on("error", () => undefined); // one that comes after we gave up
        socket.destroy();
        reject(error);
      };
      const unavailable = (why: string, cause?: unknown): LumeoError => {
        return new LumeoError("UNAVAILABLE", `Cannot connect to "${address}": ${why}`, { cause });
      };
      const abort = (): void => fail(signal?.reason);
      const late = (): void => fail(unavailable(`no answer within ${timeoutMs} ms`));
      const alarm = timers.after(timeoutMs, late);
      signal?.addEventListener("abort", abort, { once: true });
      socket.once("error", (cause) => fail(unavailable(cause.message, cause)));
      socket.once("connect", () => {
        settle();
        resolve(socket);
      });
    });
  },
  listen: ({ host, port, connectionsMax }, { accepted, failed }) => {
    const server = createServer({ noDelay: true }, accepted);
    server.maxConnections = connectionsMax;
    return new Promise((resolve, reject) => {
      server.once("error", (cause) => {
        const message = `Cannot listen on ${host}:${port}: ${cause.message}`;
        reject(new LumeoError("UNAVAILABLE", message, { cause }));
      });
      server.listen({ host, port }, () => {
        server.removeAllListeners("error");
        server.on("error", failed);
        const address = server.address();
        resolve({
          port: typeof address === "object" && address !== null ? address.port : 0,
          close: () => new Promise((done) => server.close(() => done())),
        });
      });
    });
  },
};
