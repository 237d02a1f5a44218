// One port for gRPC and for direct streams: what a connection says first tells which of the two it
// is.

import { createServer, type Server, type Socket } from "node:net";
import { LumeoError } from "@lumeofs/base";
import { DIRECT_MAGIC } from "./direct-stream.js";

/** So long a connection may take to say what it wants. */
const GREETING_MS_MAX = 10_000;
const PATH_BYTES_MAX = 1_024;
const LENGTH_BYTES = 4;

/** Who takes a new connection; what was read of it is in it again. */
export interface Doors {
  readonly grpc: (socket: Socket) => void;
  readonly direct: (path: string, socket: Socket) => void;
}

/** Listens at an address until closed. */
export class Entrance {
  readonly #server: Server;
  readonly #doors: Doors;
  readonly #sockets = new Set<Socket>();
  /** Those that have not said what they want. */
  readonly #silent = new Set<Socket>();

  private constructor(doors: Doors) {
    this.#doors = doors;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /** @throws LumeoError CONFIG if the address cannot be used. Port 0 takes a free one. */
  static listen(host: string, port: number, doors: Doors): Promise<Entrance> {
    const entrance = new Entrance(doors);
    const server = entrance.#server;
    return new Promise((resolve, reject) => {
      server.once("error", (cause) => {
        const where = `${host}:${port}`;
        const text = `Cannot listen on ${where}: ${cause.message}; is another process using it?`;
        reject(new LumeoError("CONFIG", text, { cause }));
      });
      server.listen({ host, port }, () => resolve(entrance));
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Lets nobody in any more; resolves when everybody has gone. */
  close(): Promise<void> {
    for (const socket of this.#silent) socket.destroy();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }

  /** Throws out whoever is left. */
  clear(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    this.#silent.add(socket);
    const alarm = setTimeout(() => socket.destroy(), GREETING_MS_MAX).unref();
    let heard: Buffer = Buffer.alloc(0);
    const listen = (piece: Buffer): void => {
      heard = Buffer.concat([heard, piece]);
      const greeting = readGreeting(heard);
      if (greeting.kind === "more") return;
      socket.off("data", listen);
      socket.off("error", fail);
      leave();
      socket.pause();
      this.#admit(socket, heard, greeting);
    };
    const leave = (): void => {
      clearTimeout(alarm);
      this.#silent.delete(socket);
    };
    const fail = (): void => {}; // the socket closes by itself
    socket.on("error", fail);
    socket.on("data", listen);
    socket.once("close", () => {
      leave();
      this.#sockets.delete(socket);
    });
  }

  #admit(socket: Socket, heard: Buffer, greeting: Exclude<Greeting, { kind: "more" }>): void {
    switch (greeting.kind) {
      case "grpc":
        socket.unshift(heard);
        return this.#doors.grpc(socket);
      case "direct": {
        const rest = heard.subarray(greeting.bytes);
        if (0 < rest.byteLength) socket.unshift(rest);
        return this.#doors.direct(greeting.path, socket);
      }
      default:
        socket.destroy();
    }
  }
}

type Greeting =
  | { readonly kind: "more" }
  | { readonly kind: "grpc" }
  | { readonly kind: "nonsense" }
  | { readonly kind: "direct"; readonly path: string; readonly bytes: number };

function readGreeting(heard: Buffer): Greeting {
  const magic = DIRECT_MAGIC.byteLength;
  if (heard[0] !== DIRECT_MAGIC[0]) return { kind: "grpc" };
  const begin = magic + LENGTH_BYTES;
  if (heard.byteLength < begin) return { kind: "more" };
  const length = heard.readUInt32LE(magic);
  const isOurs = heard.subarray(0, magic).equals(DIRECT_MAGIC);
  if (!isOurs || PATH_BYTES_MAX < length) return { kind: "nonsense" };
  const bytes = begin + length;
  if (heard.byteLength < bytes) return { kind: "more" };
  return { kind: "direct", path: heard.toString("utf8", begin, bytes), bytes };
}
