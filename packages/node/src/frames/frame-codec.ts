// Frames ⇄ bytes. The decoder is fed with buffers as they come from a socket, cut anywhere, and
// hands payloads on as views of those same buffers: payload bytes are never copied.
//
// F1. A frame is handed out only after its CRC over prefix and header has been checked.
// F2. A payload is the list of received pieces, in order, together exactly `payloadBytes` long.
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

/** Cuts a stream of bytes into frames. */
export class FrameDecoder {
  readonly #crc32c: Crc32c;
  readonly #pieces: Uint8Array[] = [];
  #buffered = 0;
  #prefix: Prefix | undefined;
  #head: FrameHead | undefined;
  #broken: LumeoError | undefined;

  constructor(crc32c: Crc32c) {
    this.#crc32c = crc32c;
  }

  /** Takes over a received buffer: the caller does not change it any more. */
  push(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return;
    this.#pieces.push(bytes);
    this.#buffered += bytes.byteLength;
  }

  /** Bytes that were pushed and have not left in a frame. */
  get bufferedBytes(): number {
    return this.#buffered;
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

  /** The frame at the front if all of it is there. */
  body(): Frame | undefined {
    const head = this.head();
    if (head === undefined || this.#buffered < head.payloadBytes) return undefined;
    this.#head = undefined;
    return { ...head, payload: this.#take(head.payloadBytes) };
  }

  #readHead(): FrameHead | undefined {
    if (this.#prefix === undefined) {
      if (this.#buffered < PREFIX_BYTES) return undefined;
      this.#prefix = readPrefix(joined(this.#take(PREFIX_BYTES)));
    }
    const prefix = this.#prefix;
    if (this.#buffered < prefix.headerBytes) return undefined;
    this.#prefix = undefined;
    const header = joined(this.#take(prefix.headerBytes));
    if (this.#crc32c(header, this.#crc32c(prefix.checked)) !== prefix.crc) {
      throw new LumeoError("PROTOCOL", "Cannot read frame: its checksum is wrong");
    }
    const message = decodeHeader(prefix.type, header, prefix.payloadBytes);
    return { request: prefix.request, message, payloadBytes: prefix.payloadBytes };
  }

  /** Views of the next `count` bytes, which are known to be there. */
  #take(count: number): Uint8Array[] {
    const taken: Uint8Array[] = [];
    let missing = count;
    let used = 0;
    while (0 < missing) {
      const piece = this.#pieces[used] as Uint8Array;
      if (missing < piece.byteLength) {
        taken.push(piece.subarray(0, missing));
        this.#pieces[used] = piece.subarray(missing);
        missing = 0;
      } else {
        taken.push(piece);
        missing -= piece.byteLength;
        used++;
      }
    }
    this.#pieces.splice(0, used);
    this.#buffered -= count;
    return taken;
  }
}

interface Prefix {
  readonly type: Message["type"];
  readonly request: number;
  readonly headerBytes: number;
  readonly payloadBytes: number;
  readonly crc: number;
  readonly checked: Uint8Array;
}

function readPrefix(bytes: Uint8Array): Prefix {
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
    checked: bytes.subarray(0, 16),
  };
}

function refused(what: string): LumeoError {
  return new LumeoError("PROTOCOL", `Cannot read frame: ${what}`);
}

/** The pieces as one array; a copy only where there is more than one. For prefix and header. */
function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0] as Uint8Array;
  return Buffer.concat(pieces);
}
