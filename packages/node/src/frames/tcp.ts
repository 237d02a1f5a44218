// Frames over TCP.
//
// Sockets read into memory that the receiver chooses (Node's `onread`), so that a large payload
// comes to stand where it is wanted and no buffer is made for a read. Node offers this for sockets
// that connect. One that was accepted has no such option: its handle is moved to a new socket that
// has it; where a handle cannot do this, the socket stays as it is and tells what came as "data".

import {
  createConnection,
  createServer,
  type OnReadOpts,
  Socket,
  type SocketConstructorOpts,
} from "node:net";
import { invariant, KiB, LumeoError } from "@lumeofs/base";
import { SystemTimers } from "../system-clock.js";
import { parseAddress } from "./address.js";
import type { ByteReceiver, ByteSocket, ConnectLimits, DataNetwork } from "./data-network.js";

/** For whatever has no place of its own. What a read puts there is consumed before the next one. */
const scratch = Buffer.allocUnsafeSlow(64 * KiB);
const timers = new SystemTimers({ unref: true });

/** As `DataNetwork.connect` promises; bytes are told as "data" unless `onread` takes them. */
export function connectTcp(
  address: string,
  { timeoutMs, signal }: ConnectLimits,
  onread?: OnReadOpts,
): Promise<Socket> {
  signal?.throwIfAborted();
  const { host, port } = parseAddress(address);
  return new Promise((resolve, reject) => {
    const direct = onread === undefined ? {} : { onread };
    const socket = createConnection({ host, port, noDelay: true, ...direct });
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
    // A process that was busy so long hears first what has happened meanwhile.
    let alarm = timers.after(timeoutMs, () => {
      alarm = timers.after(0, late);
    });
    signal?.addEventListener("abort", abort, { once: true });
    socket.once("error", (cause) => fail(unavailable(cause.message, cause)));
    socket.once("connect", () => {
      settle();
      resolve(socket);
    });
  });
}

/** Connections between real processes. */
export const TCP: DataNetwork = {
  timers,
  connect: async (address, limits) => {
    const reading = new DirectReading();
    return reading.of(await connectTcp(address, limits, reading.options));
  },
  listen: ({ host, port, connectionsMax }, { accepted, failed }) => {
    let open = 0;
    const server = createServer({ noDelay: true }, (socket) => {
      if (connectionsMax <= open) return void socket.destroy();
      open++;
      const direct = readDirectly(socket);
      direct.once("close", () => open--);
      accepted(direct);
    });
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

/** Leads the reads of one socket to its receiver. */
class DirectReading {
  #receiver: ByteReceiver | undefined;

  readonly options = {
    /** Asked once at the beginning and after every read. */
    buffer: (): Uint8Array => this.#receiver?.gap() ?? scratch,
    callback: (count: number, buffer: Uint8Array): boolean => {
      invariant(this.#receiver !== undefined, "bytes came before anybody could receive them");
      if (buffer === scratch) this.#receiver.received(scratch.subarray(0, count));
      else this.#receiver.filled(count);
      return true; // a receiver that has enough pauses the socket
    },
  };

  of(socket: Socket): ByteSocket {
    const receiveInto = (receiver: ByteReceiver): void => {
      this.#receiver = receiver;
    };
    return Object.assign(socket, { receiveInto });
  }
}

/** What Node's sockets have below: not documented, so everything about it is checked. */
interface Handle {
  readonly useUserBuffer?: unknown;
}

function readDirectly(accepted: Socket): ByteSocket {
  const owner = accepted as unknown as { _handle: Handle | null };
  // oxlint-disable no-underscore-dangle -- Node's own name for it
  const handle = owner._handle;
  if (typeof handle?.useUserBuffer !== "function") return accepted;
  owner._handle = null;
  // oxlint-enable no-underscore-dangle
  accepted.destroy(); // it has nothing to close any more, and the server does not count it
  const reading = new DirectReading();
  const options = { handle, onread: reading.options, readable: true, writable: true };
  return reading.of(new Socket(options as SocketConstructorOpts));
}
