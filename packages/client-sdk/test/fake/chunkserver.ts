// A chunkserver in memory that speaks the real data plane over loopback. It stores what it gets for
// itself and for the rest of the chain at once, and fails in the ways a test asks for.

import { existsSync } from "node:fs";
import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  BLOCK_BYTES,
  Budget,
  crc32c,
  LumeoError,
  MiB,
  type ServerId,
  SILENT_LOGGER,
  serverId,
} from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import {
  blockCrcs,
  type Exchange,
  type FileLookup,
  FrameServer,
  type Read,
  type ReadMany,
  type ReceivedFrame,
  type WriteMany,
  type WriteOpen,
  type WriteSmall,
} from "@lumeofs/node/frames";

const FRAME_BYTES = 1 * MiB;

export interface StoredChunk {
  readonly bytes: Buffer;
  readonly epoch: number;
  /** What was checked when it was written: stays when a test damages the bytes. */
  readonly crcs: Uint8Array;
  readonly crc32c: number;
  /** Whose record it is said to be. */
  readonly author: ServerId;
}

/** Called at certain places of a request; throws to fail it there. */
export interface Faults {
  /** Before anything else, with the token of the request. */
  token?: (token: Uint8Array | undefined) => void;
  /** Before a write is taken, with the bytes that it has given so far. */
  write?: (handle: number, bytesSoFar: number) => void | Promise<void>;
  /** Before the confirmation: everything is stored. */
  confirm?: (handle: number) => void | Promise<void>;
  read?: (handle: number, offset: number) => void | Promise<void>;
  /** What it says of the place of a file, instead of the truth. */
  place?: (path: string) => { readonly path?: string; readonly inode?: string };
  /** Who it says has a chunk that was written. */
  confirmed?: (servers: readonly ServerId[]) => readonly ServerId[];
}

export class FakeChunkserver {
  readonly id: ServerId;
  readonly name: string;
  readonly chunks = new Map<number, StoredChunk>();
  faults: Faults = {};
  /** Requests that were begun, by type. */
  readonly requests = {
    ...{ writeSmall: 0, writeMany: 0, writeOpen: 0, read: 0, readMany: 0, fileLookup: 0 },
  };
  /** A folder for files of its chunks, whose places it tells then. */
  folder: string | undefined;
  /** Payload bytes that were sent to readers. */
  sentBytes = 0;
  readonly #others: ReadonlyMap<number, FakeChunkserver>;
  #server: FrameServer | undefined;
  #port = 0;

  private constructor(id: number, others: ReadonlyMap<number, FakeChunkserver>) {
    this.id = serverId(id);
    this.name = `cs${id}`;
    this.#others = others;
  }

  static async start(
    id: number,
    others: ReadonlyMap<number, FakeChunkserver>,
  ): Promise<FakeChunkserver> {
    const fake = new FakeChunkserver(id, others);
    const room = new Budget(8 * MiB);
    fake.#server = await FrameServer.listen({
      host: "127.0.0.1",
      port: 0,
      greet: () => ({ type: "welcome", serverId: fake.id, storeUuid: fake.name }),
      roomFor: () => room,
      handle: (first, exchange) => fake.#handle(first, exchange),
      logger: SILENT_LOGGER,
    });
    fake.#port = fake.#server.port;
    return fake;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get openRequests(): number {
    return this.#server?.openRequests ?? 0;
  }

  /** Ends as if killed: its address refuses from now on. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    await server?.close();
  }

  /** Flips a bit of a stored chunk behind the back of its checksums. */
  damage(handle: number, offset: number): void {
    const chunk = this.chunks.get(handle);
    if (chunk === undefined) throw new Error(`no chunk ${handle}`);
    const bytes = Buffer.from(chunk.bytes);
    bytes[offset] = (bytes[offset] as number) ^ 1;
    this.chunks.set(handle, { ...chunk, bytes });
  }

  async #handle(first: ReceivedFrame, exchange: Exchange): Promise<void> {
    const { message } = first;
    if ("token" in message) this.faults.token?.(message.token);
    switch (message.type) {
      case "writeSmall":
        this.requests.writeSmall++;
        await this.faults.write?.(message.handle, 0);
        return this.#store(message, Buffer.concat(first.payload), exchange);
      case "writeMany":
        this.requests.writeMany++;
        return this.#storeMany(message, Buffer.concat(first.payload), exchange);
      case "writeOpen":
        this.requests.writeOpen++;
        return this.#receive(message, exchange);
      case "read":
        this.requests.read++;
        return this.#read(message, exchange);
      case "readMany":
        this.requests.readMany++;
        return this.#readMany(message, exchange);
      case "fileLookup":
        this.requests.fileLookup++;
        return this.#lookUp(message, exchange);
      default:
        throw new LumeoError("PROTOCOL", message.type);
    }
  }

  /** The file of a chunk is made when it is asked for first. */
  async #lookUp({ handle }: FileLookup, exchange: Exchange): Promise<void> {
    const chunk = this.chunks.get(handle);
    if (chunk === undefined) throw new LumeoError("REPLICA_MISSING", `chunk ${handle}`);
    if (this.folder === undefined) throw new LumeoError("UNAVAILABLE", "no files here");
    const path = join(this.folder, `${this.name}-${handle}`);
    if (!existsSync(path)) await writeFile(path, chunk.bytes);
    const place = { ...(await placeOf(path)), ...this.faults.place?.(path) };
    const { bytes, crc32c: whole, crcs: blocks } = chunk;
    const length = bytes.byteLength;
    exchange.send({ type: "fileFound", ...place, length, crc32c: whole, blocks });
  }

  /** For itself alone. */
  async #storeMany(message: WriteMany, payload: Buffer, exchange: Exchange): Promise<void> {
    const { handle: first, epoch, lengths, crcs } = message;
    let at = 0;
    for (let i = 0; i < lengths.byteLength / 4; i++) {
      const handle = first + i;
      await this.faults.write?.(handle, 0);
      const end = at + Buffer.from(lengths).readUInt32LE(4 * i);
      const bytes = Buffer.from(payload.subarray(at, end));
      at = end;
      const author = message.primary;
      const sum = nativeCrc32c(bytes);
      this.chunks.set(handle, { bytes, epoch, author, crcs: sums(bytes), crc32c: sum });
      await this.faults.confirm?.(handle);
    }
    const servers = this.faults.confirmed?.([this.id]) ?? [this.id];
    const crc32c = nativeCrc32c(crcs);
    exchange.send({ type: "writeDone", length: payload.byteLength, crc32c, servers: [...servers] });
  }

  async #receive(open: WriteOpen, exchange: Exchange): Promise<void> {
    const pieces: Buffer[] = [];
    let length = 0;
    for (;;) {
      const frame = await exchange.receive();
      const { message } = frame;
      if (message.type === "writeClose") return this.#store(open, Buffer.concat(pieces), exchange);
      if (message.type !== "writeData") return;
      await this.faults.write?.(open.handle, length);
      const bytes = Buffer.concat(frame.payload);
      if (Buffer.compare(Buffer.from(message.crcs), Buffer.from(sums(bytes))) !== 0) {
        throw new LumeoError("CHECKSUM", "a block is damaged", { servers: [this.id] });
      }
      pieces.push(bytes);
      length += bytes.byteLength;
      frame.release();
    }
  }

  async #store(
    { handle, epoch, chain, primary: author = this.id }: WriteSmall | WriteOpen,
    bytes: Buffer,
    exchange: Exchange,
  ): Promise<void> {
    const chunk = { bytes, epoch, crcs: sums(bytes), crc32c: nativeCrc32c(bytes), author };
    const servers = [this.id, ...chain.map(({ server }) => server)];
    for (const server of servers) {
      const replica = server === this.id ? this : this.#others.get(server);
      if (replica === undefined || replica.#server === undefined) {
        throw new LumeoError("UNAVAILABLE", `server ${server} is down`, { servers: [server] });
      }
      replica.chunks.set(handle, chunk);
    }
    await this.faults.confirm?.(handle);
    const { byteLength: length } = bytes;
    const confirmed = this.faults.confirmed?.(servers) ?? servers;
    exchange.send({ type: "writeDone", length, crc32c: chunk.crc32c, servers: [...confirmed] });
  }

  async #readMany({ chunks }: ReadMany, exchange: Exchange): Promise<void> {
    const lengths = Buffer.alloc(4 * chunks.length);
    const crcs = Buffer.alloc(4 * chunks.length);
    const found: Buffer[] = [];
    for (const [i, { handle, token }] of chunks.entries()) {
      const chunk = this.chunks.get(handle);
      try {
        this.faults.token?.(token);
        await this.faults.read?.(handle, 0);
      } catch (error) {
        if (error instanceof LumeoError && error.code === "CONNECTION_LOST") throw error;
        continue;
      }
      if (chunk === undefined || BLOCK_BYTES < chunk.bytes.byteLength) continue;
      lengths.writeUInt32LE(chunk.bytes.byteLength, 4 * i);
      crcs.set(chunk.crcs, 4 * i);
      found.push(chunk.bytes);
      this.sentBytes += chunk.bytes.byteLength;
    }
    await exchange.send({ type: "manyData", lengths, crcs }, found);
  }

  async #read({ handle, offset, length }: Read, exchange: Exchange): Promise<void> {
    const chunk = this.chunks.get(handle);
    if (chunk === undefined) throw new LumeoError("REPLICA_MISSING", `no chunk ${handle}`);
    const end = Math.min(chunk.bytes.byteLength, offset + length);
    for (let at = offset; at < end; at += FRAME_BYTES) {
      await this.faults.read?.(handle, at);
      const payload = chunk.bytes.subarray(at, Math.min(at + FRAME_BYTES, end));
      const firstCrc = (4 * at) / BLOCK_BYTES;
      const crcs = chunk.crcs.subarray(firstCrc, firstCrc + 4 * blocksOf(payload));
      this.sentBytes += payload.byteLength;
      await exchange.send({ type: "readData", offset: at, crcs }, [payload]);
    }
    const { byteLength } = chunk.bytes;
    const clock = [[serverId(1), 1] as const];
    const { crc32c: whole } = chunk;
    exchange.send({ type: "readEnd", length: byteLength, crc32c: whole, seq: 1, clock });
  }
}

async function placeOf(path: string) {
  const { dev, ino } = await stat(path, { bigint: true });
  return { path, device: String(dev), inode: String(ino) };
}

function sums(bytes: Uint8Array): Uint8Array {
  return blockCrcs([bytes], bytes.byteLength < BLOCK_BYTES ? crc32c : nativeCrc32c);
}

function blocksOf(bytes: Uint8Array): number {
  return Math.ceil(bytes.byteLength / BLOCK_BYTES);
}
