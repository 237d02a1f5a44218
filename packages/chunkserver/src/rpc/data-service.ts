// The data plane's requests, each to the part that serves it.

import {
  assertNever,
  type Crc32c,
  chunkHandle,
  type Logger,
  LumeoError,
  type Right,
  type ServerId,
} from "@lumeofs/base";
import {
  type AskedChunk,
  type DataNetwork,
  type Exchange,
  type FileLookup,
  type FramePool,
  FrameServer,
  type Hello,
  type OpeningMessage,
  type Read,
  type RequestHandler,
  type Welcome,
  type WriteMany,
  type WriteOpen,
  type WriteSmall,
} from "@lumeofs/node/frames";
import type { ClosedGrants } from "../access/closed-grants.js";
import type { Gate } from "../access/token-gate.js";
import type { ChunkStore } from "../store/chunk-store.js";
import type { Membership } from "../store/volume.js";
import type { TailService } from "../tail/tail-service.js";
import type { FileLookups } from "../transfer/file-lookups.js";
import { ReadService } from "../transfer/read-service.js";
import { Rooms } from "../transfer/rooms.js";
import type { StoppedChunks } from "../transfer/stopped-chunks.js";
import { writeMany } from "../transfer/write-many.js";
import { writeLarge, writeSmall } from "../transfer/write-service.js";

/**
 * Large writes at once. Each takes an open file and a connection to the next server: the pool must
 * have as many, because a write that waited for one would keep the room which the others need.
 */
export const LARGE_WRITES_MAX = 512;

/** One of these must be in the token of who reads, or writes, a chunk. */
const READERS: readonly Right[] = ["read", "copy"];
const WRITERS: readonly Right[] = ["write"];

export interface DataServiceOptions {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly store: ChunkStore;
  readonly storeUuid: string;
  /** Undefined until the masters have taken this store in: nothing is served before. */
  readonly membership: () => Membership | undefined;
  /** Whoever asks for a chunk passes here first. */
  readonly gate: Gate;
  /** Knows who writes. */
  readonly grants: Pick<ClosedGrants, "during">;
  /** Serves chunks that grow. */
  readonly tails: Pick<TailService, "serve">;
  /** Chunks that are not served. */
  readonly stopped: StoppedChunks;
  /** Large chunks of which this is the first copy stay in the page cache. Default: they do. */
  readonly cachesWrites?: boolean;
  /** Tells where files are; without it nobody is told. */
  readonly files?: Pick<FileLookups, "serve"> | undefined;
  /** Connections to other chunkservers. */
  readonly pool: FramePool;
  readonly crc32c: Crc32c;
  /** Default: TCP. */
  readonly network?: DataNetwork;
  readonly logger: Logger;
  /** Silence that ends a connection with open requests. */
  readonly stallMs?: number;
}

/** Listens for clients and other chunkservers. */
export class DataService {
  readonly #options: DataServiceOptions;
  readonly #rooms = new Rooms();
  readonly #reads: ReadService;
  #writesInFlight = 0;
  #requestCount = 0;
  #requestsInFlight = 0;
  #largeWrites = 0;
  #server: FrameServer | undefined;

  private constructor(options: DataServiceOptions) {
    this.#options = options;
    this.#reads = new ReadService(options.store, this.#rooms, options.stopped);
  }

  /** @throws LumeoError UNAVAILABLE if the address cannot be taken. */
  static async start(options: DataServiceOptions): Promise<DataService> {
    const service = new DataService(options);
    const { host, port, crc32c, network, logger, stallMs } = options;
    service.#server = await FrameServer.listen({
      host,
      port,
      crc32c,
      network,
      logger,
      greet: (hello) => service.#greet(hello),
      roomFor: (first) => service.#roomFor(first),
      handle: (first, exchange) => service.#handle(first, exchange),
      ...(stallMs === undefined ? {} : { stallMs }),
    });
    return service;
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  get writesInFlight(): number {
    return this.#writesInFlight;
  }

  /** Requests of clients and other servers: how many ever came, and how many are served now. */
  get served(): { readonly count: number; readonly inFlight: number } {
    return { count: this.#requestCount, inFlight: this.#requestsInFlight };
  }

  /** Refuses new requests, waits shortly for those in flight. */
  async close(): Promise<void> {
    await this.#server?.close();
  }

  #greet(hello: Hello): Welcome {
    const membership = this.#options.membership();
    if (membership === undefined) {
      throw new LumeoError("UNAVAILABLE", "This chunkserver has not found its masters yet");
    }
    if (hello.clusterId !== "" && hello.clusterId !== membership.clusterId) {
      const message = `This chunkserver belongs to cluster "${membership.clusterId}"`;
      throw new LumeoError("INVALID_ARGUMENT", `${message}, not to "${hello.clusterId}"`);
    }
    const { serverId } = membership;
    return { type: "welcome", serverId, storeUuid: this.#options.storeUuid };
  }

  #roomFor(first: OpeningMessage) {
    if ("chain" in first) return this.#rooms.writesWith(first.chain.length);
    if (first.type === "writeMany") return this.#rooms.writesWith(0);
    if (first.type === "tailMessage") return this.#rooms.members;
    if (first.type !== "append") return this.#rooms.reads;
    return first.isForwarded ? this.#rooms.forwarded : this.#rooms.appends;
  }

  readonly #handle: RequestHandler = async (first, exchange) => {
    this.#requestCount++;
    this.#requestsInFlight++;
    try {
      await this.#serve(first, exchange);
    } finally {
      this.#requestsInFlight--;
    }
  };

  readonly #serve: RequestHandler = async (first, exchange) => {
    const { message } = first;
    switch (message.type) {
      case "read":
        await this.#admit(message, READERS);
        return this.#reads.serve(message, exchange);
      case "readMany":
        return this.#reads.serveMany(message, exchange, (asked) => this.#mayRead(asked));
      case "fileLookup":
        await this.#admit(message, READERS);
        return this.#lookUp(message, exchange);
      case "writeSmall":
        await this.#admit(message, WRITERS);
        return this.#counted(message, () => writeSmall(this.#context, first, message, exchange));
      case "writeMany":
        await this.#admitMany(message);
        return this.#counted(message, () => writeMany(this.#context, first, message, exchange));
      case "writeOpen":
        await this.#admit(message, WRITERS);
        return this.#counted(message, () => this.#large(message, exchange));
      case "append":
      case "tailRead":
      case "appendLookup":
      case "tailMessage":
        return this.#options.tails.serve(first, message, exchange);
      default:
        return assertNever(message);
    }
  };

  async #lookUp(message: FileLookup, exchange: Exchange): Promise<void> {
    const { files } = this.#options;
    if (files !== undefined) return files.serve(message, exchange);
    throw new LumeoError("UNAVAILABLE", "This chunkserver lets nobody read its files: read chunks");
  }

  /** See Gate.check. */
  #admit(
    { token, handle, epoch }: Read | FileLookup | WriteSmall | WriteOpen,
    rights: readonly Right[],
  ): Promise<void> | undefined {
    return this.#options.gate.check(token, { rights, handle, epoch });
  }

  /** Whoever would have to wait may not. */
  #mayRead({ token, handle, epoch }: AskedChunk): boolean {
    try {
      const waiting = this.#options.gate.check(token, { rights: READERS, handle, epoch });
      waiting?.catch(() => undefined); // it is asked for alone then, and hears what there is to say
      return waiting === undefined;
    } catch (error) {
      if (error instanceof LumeoError) return false;
      throw error;
    }
  }

  /** The handles are in a row, and those of a token are too: the first and the last say it all. */
  #admitMany({ token, handle: first, epoch, lengths }: WriteMany): Promise<unknown> | undefined {
    const last = chunkHandle(first + lengths.byteLength / 4 - 1);
    const { gate } = this.#options;
    const waiting = gate.check(token, { rights: WRITERS, handle: first, epoch });
    const waitingToo = gate.check(token, { rights: WRITERS, handle: last, epoch });
    return waiting === undefined ? waitingToo : Promise.all([waiting, waitingToo]);
  }

  async #large(message: WriteOpen, exchange: Exchange): Promise<void> {
    if (LARGE_WRITES_MAX <= this.#largeWrites) {
      const message = `Cannot write chunk: ${this.#largeWrites} large writes are under way; wait`;
      throw new LumeoError("OVERLOADED", message);
    }
    this.#largeWrites++;
    try {
      await writeLarge(this.#context, message, exchange);
    } finally {
      this.#largeWrites--;
    }
  }

  get #context() {
    const { store, pool, crc32c, cachesWrites = true } = this.#options;
    return { store, pool, crc32c, cachesWrites, self: () => this.#self() };
  }

  #self(): ServerId {
    const membership = this.#options.membership();
    if (membership !== undefined) return membership.serverId;
    throw new LumeoError("UNAVAILABLE", "This chunkserver has not found its masters yet");
  }

  async #counted(
    message: WriteSmall | WriteMany | WriteOpen,
    work: () => Promise<void>,
  ): Promise<void> {
    this.#writesInFlight++;
    try {
      const count = message.type === "writeMany" ? message.lengths.byteLength / 4 : 1;
      await this.#options.grants.during({ first: message.handle, count }, work);
    } finally {
      this.#writesInFlight--;
    }
  }
}
