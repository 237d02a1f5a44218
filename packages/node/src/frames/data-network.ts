// How frames travel between processes: over TCP (tcp.ts), or over wires that a simulation makes.

import type { Closable, Timers } from "@lumeofs/base";

/** Takes what comes in on a socket. */
export interface ByteReceiver {
  /** Where the next bytes should go, if they have a place already. */
  gap(): Uint8Array | undefined;
  /** So many bytes stand at the beginning of the gap that was given last. */
  filled(count: number): void;
  /** Bytes for which there was no gap; they may change after this call. */
  received(bytes: Uint8Array): void;
}

/** One connection as a stream of bytes in both directions: what is used of a `net.Socket`. */
export interface ByteSocket {
  /** Gives everything that comes to the receiver; a socket without this tells it as "data". */
  receiveInto?(receiver: ByteReceiver): void;
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

export interface ConnectLimits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Port. */
export interface DataNetwork {
  /** For whatever waits on a connection; they do not keep a process alive. */
  readonly timers: Timers;
  /**
   * @param address  host:port
   * @throws LumeoError UNAVAILABLE if nobody answers there in time; the signal's reason.
   */
  connect(address: string, limits: ConnectLimits): Promise<ByteSocket>;
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
