// Unary gRPC calls on one connection at the least cost that this process can have: HTTP/2 frames
// are written by hand, many in one write. It is the load generator for etcd: grpc-js would spend
// more time on a call than etcd does, and what is measured would be the client.
//
// Only what a well-behaved server on loopback needs: no TLS, no header compression, no retries. A
// call that is refused has no message and fails; its status is not read.

import { connect, type Socket } from "node:net";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEADER_BYTES = 9;
const MESSAGE_PREFIX_BYTES = 5;
const FRAME = {
  data: 0,
  headers: 1,
  reset: 3,
  settings: 4,
  ping: 6,
  goAway: 7,
  window: 8,
} as const;
const END_STREAM = 0x1;
const ACK = 0x1;
const END_HEADERS = 0x4;
/** What a server may send before it must ask again: more than any run needs. */
const RECEIVE_WINDOW_BYTES = 2 ** 30;
/** What we may send at first, by the standard. */
const SEND_WINDOW_BYTES = 65_535;

interface Call {
  readonly resolve: (message: Buffer) => void;
  readonly reject: (error: Error) => void;
  parts: Buffer[];
}

export class GrpcConnection {
  readonly #socket: Socket;
  readonly #authority: string;
  readonly #headers = new Map<string, Buffer>();
  readonly #calls = new Map<number, Call>();
  /** Frames that wait for the end of the turn, or for room at the server. */
  #waiting: { readonly frames: Buffer; readonly dataBytes: number }[] = [];
  #isFlushing = false;
  #sendWindow = SEND_WINDOW_BYTES;
  #received: Buffer = Buffer.alloc(0);
  #nextStream = 1;

  private constructor(socket: Socket, authority: string) {
    this.#socket = socket;
    this.#authority = authority;
    socket.setNoDelay(true);
    socket.on("data", (bytes) => this.#take(bytes));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Error(`${authority} closed the connection`)));
    const window = Buffer.alloc(4);
    window.writeUInt32BE(RECEIVE_WINDOW_BYTES);
    const begin = [Buffer.from(PREFACE), frame(FRAME.settings, 0, 0, Buffer.alloc(0))];
    socket.write(Buffer.concat([...begin, frame(FRAME.window, 0, 0, window)]));
  }

  static open(host: string, port: number): Promise<GrpcConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, host);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new GrpcConnection(socket, `${host}:${port}`));
      });
    });
  }

  /** One unary call. Rejects if the server refuses it or the connection ends. */
  call(path: string, message: Buffer): Promise<Buffer> {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    const prefix = Buffer.alloc(MESSAGE_PREFIX_BYTES);
    prefix.writeUInt32BE(message.byteLength, 1);
    const body = Buffer.concat([prefix, message]);
    const frames = Buffer.concat([
      frame(FRAME.headers, END_HEADERS, stream, this.#headersOf(path)),
      frame(FRAME.data, END_STREAM, stream, body),
    ]);
    return new Promise((resolve, reject) => {
      this.#calls.set(stream, { resolve, reject, parts: [] });
      this.#waiting.push({ frames, dataBytes: body.byteLength });
      if (this.#isFlushing) return;
      this.#isFlushing = true;
      setImmediate(() => this.#flush());
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #flush(): void {
    this.#isFlushing = false;
    let count = 0;
    for (const { dataBytes } of this.#waiting) {
      if (this.#sendWindow < dataBytes) break;
      this.#sendWindow -= dataBytes;
      count++;
    }
    if (count === 0) return;
    const sent = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    this.#socket.write(Buffer.concat(sent.map(({ frames }) => frames)));
  }

  #take(bytes: Buffer): void {
    let rest = this.#received.byteLength === 0 ? bytes : Buffer.concat([this.#received, bytes]);
    while (FRAME_HEADER_BYTES <= rest.byteLength) {
      const end = FRAME_HEADER_BYTES + rest.readUIntBE(0, 3);
      if (rest.byteLength < end) break;
      const [kind, flags] = [rest.readUInt8(3), rest.readUInt8(4)];
      const payload = rest.subarray(FRAME_HEADER_BYTES, end);
      this.#frame(kind, flags, rest.readUInt32BE(5), payload);
      rest = rest.subarray(end);
    }
    this.#received = rest;
  }

  #frame(kind: number, flags: number, stream: number, payload: Buffer): void {
    switch (kind) {
      case FRAME.data:
        this.#calls.get(stream)?.parts.push(payload);
        break;
      case FRAME.settings:
        if ((flags & ACK) === 0) {
          this.#socket.write(frame(FRAME.settings, ACK, 0, Buffer.alloc(0)));
        }
        return;
      case FRAME.ping:
        if ((flags & ACK) === 0) this.#socket.write(frame(FRAME.ping, ACK, 0, payload));
        return;
      case FRAME.window:
        if (stream === 0) this.#sendWindow += payload.readUInt32BE(0);
        if (0 < this.#waiting.length) this.#flush();
        return;
      case FRAME.reset:
        return this.#end(stream);
      case FRAME.goAway:
        return this.#fail(new Error(`${this.#authority} ends the connection`));
      default:
    }
    if ((flags & END_STREAM) !== 0 && stream !== 0) this.#end(stream);
  }

  #end(stream: number): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    this.#calls.delete(stream);
    const body = call.parts.length === 1 ? call.parts[0] : Buffer.concat(call.parts);
    if (body === undefined || body.byteLength < MESSAGE_PREFIX_BYTES) {
      call.reject(new Error(`${this.#authority} refused a call`));
    } else {
      call.resolve(body.subarray(MESSAGE_PREFIX_BYTES));
    }
  }

  #fail(error: Error): void {
    for (const call of this.#calls.values()) call.reject(error);
    this.#calls.clear();
  }

  /** The header block of a path, in HPACK without its table: the same bytes for every call. */
  #headersOf(path: string): Buffer {
    const known = this.#headers.get(path);
    if (known !== undefined) return known;
    const fields = {
      ":method": "POST",
      ":scheme": "http",
      ":path": path,
      ":authority": this.#authority,
      "content-type": "application/grpc",
      te: "trailers",
    };
    const block = Buffer.concat(Object.entries(fields).map(([name, value]) => field(name, value)));
    this.#headers.set(path, block);
    return block;
  }
}

function frame(kind: number, flags: number, stream: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.byteLength);
  bytes.writeUIntBE(payload.byteLength, 0, 3);
  bytes.writeUInt8(kind, 3);
  bytes.writeUInt8(flags, 4);
  bytes.writeUInt32BE(stream, 5);
  payload.copy(bytes, FRAME_HEADER_BYTES);
  return bytes;
}

/** A header field that is not remembered, its name and value as they are; both below 127 bytes. */
function field(name: string, value: string): Buffer {
  const text = (part: string): Buffer =>
    Buffer.concat([Buffer.from([Buffer.byteLength(part)]), Buffer.from(part)]);
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}
