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
  SMALL_CHUNK_BYTES_MAX,
  serverId,
} from "@lumeofs/base";
import { Packr } from "msgpackr";
import {
  CHAIN_LENGTH_MAX,
  CHUNK_BYTES_MAX,
  CLOCK_ENTRIES_MAX,
  TEXT_BYTES_MAX,
  TOKEN_BYTES_MAX,
} from "./limits.js";
import type { ChainLink, Message } from "./message.js";

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
  const crcs = "crcs" in message ? message.crcs.byteLength : 0;
  const expected = 4 * Math.ceil(payloadBytes / BLOCK_BYTES);
  if (crcs !== expected) {
    throw malformed(type, `${crcs} bytes of checksums for a payload of ${payloadBytes} bytes`);
  }
  if (message.type === "writeSmall" && message.length !== payloadBytes) {
    throw malformed(type, `length is ${message.length}, payload has ${payloadBytes} bytes`);
  }
  return message;
}

function plain(message: Message): object {
  const { type: _, ...fields } = message;
  if (!("chain" in fields)) return fields;
  return { ...fields, chain: fields.chain.map((link) => [link.server, link.address]) };
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
      return { type };
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
    return this.#list(name, CHAIN_LENGTH_MAX).map((item) => {
      if (!Array.isArray(item) || item.length !== 2) {
        throw malformed(this.#type, `"${name}" holds something else than [server, address]`);
      }
      const link = new Fields(this.#type, { server: item[0], address: item[1] });
      return { server: link.server("server"), address: link.text("address") };
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
