// Frames ⇄ bytes. The decoder is fed with bytes as they come from a socket, cut anywhere. A payload
// gets one buffer as soon as its head is known; whoever reads the socket may read the rest of it
// straight into that buffer (`gap`), so that the bytes of a large payload are not copied.
//
// F1. A frame is handed out only after its CRC over prefix and header has been checked.
// F2. A payload is one piece of exactly `payloadBytes` bytes, or none if it is empty.
// F3. After a PROTOCOL error the decoder throws the same error for ever: the stream has no known
//     frame border any more.

import { type Crc32c, LumeoError } from "@lumeofs/base";
import { decodeHeader, encodeHeader } from "./header-codec.js";
import { HEADER_BYTES_MAX, PAYLOAD_BYTES_MAX, PREFIX_BYTES } from "./limits.js";
import { type Message, TYPE_NAMES, TYPE_NUMBERS } from "./message.js";

const MAGIC = 0x464c;
const VERSION = 1;

/** Bytes of a frame whose payload may still be on its way. */
export interface FrameHead {
  readonly request: number;
  readonly message: Message;
  readonly payloadBytes: number;
}

export interface Frame extends FrameHead {
  readonly payload: readonly Uint8Array[];
}

/** Prefix and header of a frame; the payload follows as it is, uncopied. */
export function encodeFrameHead(
  request: number,
  message: Message,
  payloadBytes: number,
  crc32c: Crc32c,
): Uint8Array {
  const header = encodeHeader(message);
  if (HEADER_BYTES_MAX < header.byteLength || PAYLOAD_BYTES_MAX < payloadBytes) {
    throw new LumeoError(
      "INVALID_ARGUMENT",
      `Cannot send frame "${message.type}": ${header.byteLength + payloadBytes} bytes are too many`,
    );
  }
  const bytes = new Uint8Array(PREFIX_BYTES + header.byteLength);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, MAGIC, true);
  view.setUint8(2, VERSION);
  view.setUint8(3, TYPE_NUMBERS[message.type]);
  view.setUint32(4, request, true);
  view.setUint32(8, header.byteLength, true);
  view.setUint32(12, payloadBytes, true);
  view.setUint32(16, crc32c(header, crc32c(bytes.subarray(0, 16))), true);
  bytes.set(header, PREFIX_BYTES);
  return bytes;
}

/** Makes room for a payload. */
export type Allocate = (bytes: number) => Uint8Array;

/** Cuts a stream of bytes into frames. */
export class FrameDecoder {
  readonly #crc32c: Crc32c;
  readonly #allocate: Allocate;
  /** Given and not taken yet; somebody else's until `keep`. */
  #input: Uint8Array = NOTHING;
  #isBorrowed = false;
  #prefix: Prefix | undefined;
  #head: FrameHead | undefined;
  #payload: Uint8Array | undefined;
  /** Bytes at the beginning of the payload that are there. */
  #filled = 0;
  #broken: LumeoError | undefined;

  constructor(crc32c: Crc32c, allocate: Allocate = (bytes) => Buffer.allocUnsafeSlow(bytes)) {
    this.#crc32c = crc32c;
    this.#allocate = allocate;
  }

  /** Takes bytes that the caller leaves unchanged until it has called `keep`. */
  push(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    const isFirst = this.#input.byteLength === 0;
    this.#input = isFirst ? bytes : Buffer.concat([this.#input, bytes]);
    this.#isBorrowed = isFirst;
  }

  /** Copies what is left of the pushed bytes: they may change then. */
  keep(): void {
    if (this.#isBorrowed) this.#input = Uint8Array.prototype.slice.call(this.#input);
    this.#isBorrowed = false;
  }

  /** Bytes that have come and have not left in a frame. */
  get bufferedBytes(): number {
    return this.#input.byteLength + this.#filled;
  }

  /**
   * What is missing of the payload that `body` waits for: the next bytes of the stream may be put
   * at its beginning, instead of being pushed, and told with `fill`.
   */
  get gap(): Uint8Array | undefined {
    return this.#payload?.subarray(this.#filled);
  }

  /**
   * Takes back the room of a payload that is not going to be complete: nothing is decoded any more.
   * Whoever was given the gap may write into it no more.
   */
  abandon(): Uint8Array | undefined {
    const payload = this.#payload;
    this.#payload = undefined;
    this.#broken ??= new LumeoError("PROTOCOL", "Cannot read frame: the stream has ended");
    return payload;
  }

  /** So many bytes stand at the beginning of the gap now. */
  fill(bytes: number): void {
    this.#filled += bytes;
  }

  /**
   * The head of the frame at the front as soon as it is complete, so that room for the payload can
   * be found before the payload arrives. The same until `body` has handed the frame out.
   *
   * @throws LumeoError PROTOCOL (F3).
   */
  head(): FrameHead | undefined {
    if (this.#broken !== undefined) throw this.#broken;
    try {
      this.#head ??= this.#readHead();
      return this.#head;
    } catch (error) {
      if (error instanceof LumeoError) this.#broken = error;
      throw error;
    }
  }

  /** The frame at the front if all of it is there. Its payload has room from this call on. */
  body(): Frame | undefined {
    const head = this.head();
    if (head === undefined) return undefined;
    const { payloadBytes } = head;
    if (payloadBytes === 0) return this.#handOut(head, []);
    this.#payload ??= this.#allocate(payloadBytes);
    const part = this.#take(Math.min(payloadBytes - this.#filled, this.#input.byteLength));
    this.#payload.set(part, this.#filled);
    this.#filled += part.byteLength;
    return this.#filled < payloadBytes ? undefined : this.#handOut(head, [this.#payload]);
  }

  #handOut(head: FrameHead, payload: readonly Uint8Array[]): Frame {
    this.#head = undefined;
    this.#payload = undefined;
    this.#filled = 0;
    const { request, message, payloadBytes } = head;
    return { request, message, payloadBytes, payload };
  }

  #readHead(): FrameHead | undefined {
    if (this.#prefix === undefined) {
      if (this.#input.byteLength < PREFIX_BYTES) return undefined;
      this.#prefix = readPrefix(this.#take(PREFIX_BYTES), this.#crc32c);
    }
    const prefix = this.#prefix;
    if (this.#input.byteLength < prefix.headerBytes) return undefined;
    this.#prefix = undefined;
    const header = this.#take(prefix.headerBytes);
    if (this.#crc32c(header, prefix.crcBefore) !== prefix.crc) {
      throw new LumeoError("PROTOCOL", "Cannot read frame: its checksum is wrong");
    }
    const message = decodeHeader(prefix.type, header, prefix.payloadBytes);
    return { request: prefix.request, message, payloadBytes: prefix.payloadBytes };
  }

  /** A view of the next `count` bytes, which are known to be there. */
  #take(count: number): Uint8Array {
    const taken = this.#input.subarray(0, count);
    this.#input = count === this.#input.byteLength ? NOTHING : this.#input.subarray(count);
    return taken;
  }
}

const NOTHING = new Uint8Array();

interface Prefix {
  readonly type: Message["type"];
  readonly request: number;
  readonly headerBytes: number;
  readonly payloadBytes: number;
  readonly crc: number;
  /** Of the part of the prefix that is checked together with the header. */
  readonly crcBefore: number;
}

function readPrefix(bytes: Uint8Array, crc32c: Crc32c): Prefix {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint16(0, true);
  if (magic !== MAGIC) throw refused(`it starts with 0x${magic.toString(16)}, not with "LF"`);
  const version = view.getUint8(2);
  if (version !== VERSION) throw refused(`version is ${version}, this side speaks ${VERSION}`);
  const type = TYPE_NAMES.get(view.getUint8(3));
  if (type === undefined) throw refused(`type ${view.getUint8(3)} is not known`);
  const headerBytes = view.getUint32(8, true);
  if (HEADER_BYTES_MAX < headerBytes) throw refused(`header has ${headerBytes} bytes`);
  const payloadBytes = view.getUint32(12, true);
  if (PAYLOAD_BYTES_MAX < payloadBytes) throw refused(`payload has ${payloadBytes} bytes`);
  return {
    type,
    request: view.getUint32(4, true),
    headerBytes,
    payloadBytes,
    crc: view.getUint32(16, true),
    crcBefore: crc32c(bytes.subarray(0, 16)),
  };
}

function refused(what: string): LumeoError {
  return new LumeoError("PROTOCOL", `Cannot read frame: ${what}`);
}
