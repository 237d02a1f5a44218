// Headers as msgpack maps. What comes in is checked field by field here, so that the rest of the
// program sees only well-formed messages; unknown fields are ignored.

import {
  BLOCK_BYTES,
  chunkHandle,
  type Epoch,
  epoch,
  isErrorCode,
  LumeoError,
  type ServerId,
  type SessionId,
  SMALL_CHUNK_BYTES_MAX,
  serverId,
  sessionId,
} from "@lumeofs/base";
import { Packr } from "msgpackr";
import {
  CHAIN_LENGTH_MAX,
  CHUNK_BYTES_MAX,
  CHUNKS_PER_FRAME_MAX,
  CLOCK_ENTRIES_MAX,
  PAYLOAD_BYTES_MAX,
  TEXT_BYTES_MAX,
  TOKEN_BYTES_MAX,
} from "./limits.js";
import type { AskedChunk, ChainLink, FileFound, ManyData, Message, WriteMany } from "./message.js";
import type { TailData } from "./tail-message.js";

const MAX = Number.MAX_SAFE_INTEGER;
const packr = new Packr({ useRecords: false, moreTypes: false, int64AsType: "number" });

/** The header bytes of a message. */
export function encodeHeader(message: Message): Uint8Array {
  return packr.pack(plain(message));
}

/**
 * The message that a header means.
 *
 * @param bytes  Not kept: what the message needs of it is copied.
 * @throws LumeoError PROTOCOL if it is not a msgpack map with the fields of its type, or if the
 *         checksums do not stand for a payload of this length.
 */
export function decodeHeader(
  type: Message["type"],
  bytes: Uint8Array,
  payloadBytes: number,
): Message {
  const message = parse(type, new Fields(type, unpack(bytes)));
  if (message.type === "tailData") return checkRecords(message, payloadBytes);
  if (message.type === "tailMessage" || message.type === "tailReply") return message;
  if (message.type === "writeMany" || message.type === "manyData") {
    return checkChunks(message, payloadBytes);
  }
  const crcs = "crcs" in message ? message.crcs.byteLength : 0;
  const expected = 4 * Math.ceil(payloadBytes / BLOCK_BYTES);
  if (crcs !== expected) {
    throw malformed(type, `${crcs} bytes of checksums for a payload of ${payloadBytes} bytes`);
  }
  const isWhole = message.type === "writeSmall" || message.type === "append";
  if (isWhole && message.length !== payloadBytes) {
    throw malformed(type, `length is ${message.length}, payload has ${payloadBytes} bytes`);
  }
  return message;
}

function plain(message: Message): object {
  const { type: _, ...fields } = message;
  if ("chain" in fields) return { ...fields, chain: fields.chain.map(plainLink) };
  if (message.type === "readMany") return { chunks: message.chunks.map(plainAsked) };
  if (message.type === "appended" || message.type === "tailMessage") {
    return { ...fields, primary: plainLink(message.primary) };
  }
  return fields;
}

function plainAsked({ handle, epoch, token }: AskedChunk): readonly unknown[] {
  return token === undefined ? [handle, epoch] : [handle, epoch, token];
}

function plainLink(link: ChainLink): readonly [ServerId, string] {
  return [link.server, link.address];
}

/** The payload of `tailData` has a checksum for each record, not for each block. */
function checkRecords(message: TailData, payloadBytes: number): TailData {
  const { lengths, recordCrcs, type } = message;
  const view = new DataView(lengths.buffer, lengths.byteOffset, lengths.byteLength);
  let sum = 0;
  for (let at = 0; at + 4 <= lengths.byteLength; at += 4) sum += view.getUint32(at, true);
  const isWhole = lengths.byteLength === recordCrcs.byteLength && lengths.byteLength % 4 === 0;
  if (isWhole && sum === payloadBytes) return message;
  throw malformed(type, `records of ${sum} bytes for a payload of ${payloadBytes} bytes`);
}

/** Such a payload has a checksum for each chunk, which is one block at most. */
function checkChunks<T extends WriteMany | ManyData>(message: T, payloadBytes: number): T {
  const { lengths, crcs, type } = message;
  const count = lengths.byteLength / 4;
  if (!Number.isInteger(count) || count === 0 || CHUNKS_PER_FRAME_MAX < count) {
    throw malformed(type, `${lengths.byteLength} bytes of lengths`);
  }
  const view = new DataView(lengths.buffer, lengths.byteOffset, lengths.byteLength);
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const length = view.getUint32(4 * i, true);
    const isMissing = length === 0 && type === "writeMany";
    if (isMissing || BLOCK_BYTES < length) throw malformed(type, `a chunk of ${length} bytes`);
    sum += length;
  }
  if (sum === payloadBytes && crcs.byteLength === lengths.byteLength) return message;
  throw malformed(type, `chunks of ${sum} bytes for a payload of ${payloadBytes} bytes`);
}

function unpack(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes);
  } catch (cause) {
    throw new LumeoError("PROTOCOL", "Cannot read frame: its header is not msgpack", { cause });
  }
}

function parse(type: Message["type"], fields: Fields): Message {
  switch (type) {
    case "hello": {
      const role = fields.text("role");
      if (role !== "client" && role !== "server") throw malformed(type, `role is "${role}"`);
      return { type, role, clusterId: fields.text("clusterId"), name: fields.text("name") };
    }
    case "welcome":
      return { type, serverId: fields.server("serverId"), storeUuid: fields.text("storeUuid") };
    case "writeSmall":
      return {
        type,
        ...fields.target(),
        ...fields.token(),
        ...fields.route(),
        length: fields.count("length", SMALL_CHUNK_BYTES_MAX),
        crc32c: fields.count("crc32c", 0xffffffff),
        crcs: fields.bytes("crcs"),
      };
    case "writeMany":
      return {
        type,
        ...fields.target(),
        ...fields.token(),
        primary: fields.server("primary"),
        lengths: fields.bytes("lengths"),
        crcs: fields.bytes("crcs"),
      };
    case "writeOpen":
      return { type, ...fields.target(), ...fields.token(), ...fields.route() };
    case "writeData":
    case "readData":
      return { type, offset: fields.count("offset", CHUNK_BYTES_MAX), crcs: fields.bytes("crcs") };
    case "writeClose":
      return { type, ...fields.content() };
    case "readEnd": {
      const seq = fields.count("seq", Number.MAX_SAFE_INTEGER, 1);
      return { type, ...fields.content(), seq, clock: fields.clock("clock") };
    }
    case "writeDone":
      return { type, ...fields.content(), servers: fields.servers("servers").map(serverId) };
    case "read": {
      const offset = fields.count("offset", CHUNK_BYTES_MAX);
      const length = fields.count("length", CHUNK_BYTES_MAX);
      return { type, ...fields.target(), ...fields.token(), offset, length };
    }
    case "readMany":
      return { type, chunks: fields.askedChunks("chunks") };
    case "manyData":
      return { type, lengths: fields.bytes("lengths"), crcs: fields.bytes("crcs") };
    case "fileLookup":
      return { type, ...fields.target(), ...fields.token() };
    case "fileFound":
      return fields.file();
    case "error": {
      const code = fields.text("code");
      return {
        type,
        code: isErrorCode(code) ? code : "INTERNAL",
        message: fields.text("message"),
        servers: fields.servers("servers"),
      };
    }
    default:
      return parseTail(type, fields);
  }
}

/** Those about chunks that are appended to; and the rest, which have no fields. */
function parseTail(type: Exclude<Message["type"], "error">, fields: Fields): Message {
  switch (type) {
    case "append":
      return {
        type,
        ...fields.write(),
        ...fields.token(),
        isForwarded: fields.flag("isForwarded"),
        length: fields.count("length", PAYLOAD_BYTES_MAX, 1),
        crc32c: fields.count("crc32c", 0xffffffff),
        crcs: fields.bytes("crcs"),
      };
    case "appended": {
      const position = { epoch: epoch(fields.count("epoch", MAX, 1)), seq: fields.count("seq") };
      const offset = fields.count("offset", CHUNK_BYTES_MAX);
      return { type, ...position, offset, primary: fields.link("primary") };
    }
    case "tailRead": {
      const offset = fields.count("offset", CHUNK_BYTES_MAX);
      const length = fields.count("length", CHUNK_BYTES_MAX);
      return { type, ...fields.handle(), ...fields.token(), offset, length, ...fields.seen() };
    }
    case "tailData": {
      const offset = fields.count("offset", CHUNK_BYTES_MAX);
      return {
        ...{ type, offset },
        lengths: fields.bytes("lengths"),
        recordCrcs: fields.bytes("recordCrcs"),
      };
    }
    case "tailEnd": {
      const length = fields.count("length", CHUNK_BYTES_MAX);
      return { type, length, epoch: fields.count("epoch"), seq: fields.count("seq") };
    }
    case "appendLookup":
      return { type, ...fields.write(), ...fields.token() };
    case "appendFound": {
      const outcome = fields.text("outcome");
      if (outcome !== "written" && outcome !== "absent") throw malformed(type, outcome);
      const offset = fields.count("offset", CHUNK_BYTES_MAX);
      return { type, outcome, offset, length: fields.count("length", CHUNK_BYTES_MAX) };
    }
    case "tailMessage": {
      const primary = fields.link("primary");
      const headCrc32c = fields.count("headCrc32c", 0xffffffff);
      return { type, ...fields.handle(), ...fields.token(), primary, headCrc32c };
    }
    case "tailReply":
      return {
        ...{ type, server: fields.server("server") },
        headCrc32c: fields.count("headCrc32c", 0xffffffff),
      };
    default:
      return { type } as Message;
  }
}

/** Fields of a decoded map, each checked when it is asked for. */
class Fields {
  readonly #type: Message["type"];
  readonly #map: Readonly<Record<string, unknown>>;

  constructor(type: Message["type"], value: unknown) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw malformed(type, "header is not a map");
    }
    this.#type = type;
    this.#map = value as Readonly<Record<string, unknown>>;
  }

  count(name: string, max = Number.MAX_SAFE_INTEGER, min = 0): number {
    const value = this.#map[name];
    if (typeof value === "number" && Number.isSafeInteger(value) && min <= value && value <= max) {
      return value;
    }
    throw malformed(this.#type, `"${name}" is not a number from ${min} to ${max}`);
  }

  text(name: string): string {
    const value = this.#map[name];
    if (typeof value === "string" && value.length <= TEXT_BYTES_MAX) return value;
    throw malformed(this.#type, `"${name}" is not a text of at most ${TEXT_BYTES_MAX} characters`);
  }

  bytes(name: string): Uint8Array {
    const value = this.#map[name];
    if (value instanceof Uint8Array) return new Uint8Array(value);
    throw malformed(this.#type, `"${name}" is not a row of bytes`);
  }

  server(name: string): ServerId {
    return serverId(this.count(name, Number.MAX_SAFE_INTEGER, 1));
  }

  flag(name: string): boolean {
    const value = this.#map[name];
    if (typeof value === "boolean") return value;
    throw malformed(this.#type, `"${name}" is not true or false`);
  }

  handle(): { handle: ReturnType<typeof chunkHandle> } {
    return { handle: chunkHandle(this.count("handle", MAX, 1)) };
  }

  write(): { handle: ReturnType<typeof chunkHandle>; session: SessionId; writeSeq: number } {
    const session = sessionId(this.count("session", MAX, 1));
    return { ...this.handle(), session, writeSeq: this.count("writeSeq") };
  }

  seen(): { seen?: { epoch: number; seq: number } } {
    const value = this.#map["seen"];
    if (value === undefined) return {};
    const seen = new Fields(this.#type, value);
    return { seen: { epoch: seen.count("epoch"), seq: seen.count("seq") } };
  }

  target(): { handle: ReturnType<typeof chunkHandle>; epoch: Epoch } {
    return {
      handle: chunkHandle(this.count("handle", Number.MAX_SAFE_INTEGER, 1)),
      epoch: epoch(this.count("epoch", Number.MAX_SAFE_INTEGER, 1)),
    };
  }

  /** One that is no token is left to whoever checks it. */
  token(): { token?: Uint8Array } {
    if (this.#map["token"] === undefined) return {};
    const token = this.bytes("token");
    if (token.byteLength <= TOKEN_BYTES_MAX) return { token };
    throw malformed(this.#type, `"token" has more than ${TOKEN_BYTES_MAX} bytes`);
  }

  content(): { length: number; crc32c: number } {
    return {
      length: this.count("length", CHUNK_BYTES_MAX),
      crc32c: this.count("crc32c", 0xffffffff),
    };
  }

  file(): FileFound {
    const content = this.content();
    const blocks = this.bytes("blocks");
    if (blocks.byteLength !== 4 * Math.ceil(content.length / BLOCK_BYTES)) {
      throw malformed(this.#type, `${blocks.byteLength} bytes of checksums of its blocks`);
    }
    const [path, device, inode] = [this.text("path"), this.text("device"), this.text("inode")];
    return { type: "fileFound", path, device, inode, ...content, blocks };
  }

  servers(name: string): number[] {
    return this.#list(name, CHAIN_LENGTH_MAX + 1).map((item, i) => {
      return new Fields(this.#type, { [`${name}[${i}]`]: item }).server(`${name}[${i}]`);
    });
  }

  route(): { chain: ChainLink[]; primary?: ServerId } {
    const chain = this.chain("chain");
    return this.#map["primary"] === undefined
      ? { chain }
      : { chain, primary: this.server("primary") };
  }

  chain(name: string): ChainLink[] {
    return this.#list(name, CHAIN_LENGTH_MAX).map((item) => this.#link(name, item));
  }

  link(name: string): ChainLink {
    return this.#link(name, this.#map[name]);
  }

  #link(name: string, item: unknown): ChainLink {
    if (!Array.isArray(item) || item.length !== 2) {
      throw malformed(this.#type, `"${name}" holds something else than [server, address]`);
    }
    const link = new Fields(this.#type, { server: item[0], address: item[1] });
    return { server: link.server("server"), address: link.text("address") };
  }

  /** As [handle, epoch], or [handle, epoch, token]. */
  askedChunks(name: string): AskedChunk[] {
    return this.#list(name, CHUNKS_PER_FRAME_MAX).map((item) => {
      if (!Array.isArray(item)) throw malformed(this.#type, `"${name}" holds something else`);
      const [handle, term, token] = item;
      const asked = new Fields(this.#type, { handle, epoch: term, token });
      return { ...asked.target(), ...asked.token() };
    });
  }

  clock(name: string): (readonly [ServerId, number])[] {
    return this.#list(name, CLOCK_ENTRIES_MAX).map((item) => {
      if (!Array.isArray(item) || item.length !== 2) {
        throw malformed(this.#type, `"${name}" holds something else than [server, count]`);
      }
      const entry = new Fields(this.#type, { server: item[0], count: item[1] });
      return [entry.server("server"), entry.count("count", Number.MAX_SAFE_INTEGER, 1)] as const;
    });
  }

  #list(name: string, lengthMax: number): unknown[] {
    const value = this.#map[name];
    if (Array.isArray(value) && value.length <= lengthMax) return value;
    throw malformed(this.#type, `"${name}" is not a list of at most ${lengthMax}`);
  }
}

function malformed(type: Message["type"], what: string): LumeoError {
  return new LumeoError("PROTOCOL", `Cannot read frame "${type}": ${what}`);
}
