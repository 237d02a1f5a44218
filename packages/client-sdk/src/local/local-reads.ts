// Reads of chunks whose servers are on this machine, from their files (docs/design/0032).
//
// L1. It is a short way for what goes well. Whatever stands against it, the rest is asked of the
//     server as ever, and whoever reads does not notice.
// L2. Every block is checked against its checksum; these are taken only if together they make the
//     checksum of the chunk that the masters have. A block that is not what was written is damage
//     of this replica, as it is when its server says so.
// L3. A server whose file could not be opened, or that tells nobody where its files are, is not
//     asked again for PAUSE_MS.
// L4. At most READS_MAX files are read at once: others need the threads that read files, too. What
//     does not come in PATIENCE_MS is a matter of the disk (L3), and is left to the server.

import {
  BLOCK_BYTES,
  Budget,
  CancelSource,
  type Closable,
  type ErrorCode,
  InvariantViolation,
  LumeoError,
  MiB,
  type Permit,
  type ServerId,
  SMALL_CHUNK_BYTES_MAX,
  unlessAborted,
} from "@lumeofs/base";
import { crcOfBlocks, firstBadBlock } from "@lumeofs/node/frames";
import type { Replica } from "../grant-book.js";
import type { Ports } from "../ports.js";
import { hostOf } from "../replica-order.js";
import type {
  CheckedBytes,
  ChunkPart,
  ChunkserverPool,
  ReadOptions,
} from "../rpc/chunkserver-pool.js";
import type { OpenLocalFile } from "./local-file.js";
import { type OpenChunk, OpenChunks } from "./open-chunks.js";

export const PAUSE_MS = 30_000;
/** One thread less than Node has for files and names, unless told otherwise. */
const READS_MAX = 3;
const PATIENCE_MS = 5_000;
/** One read of the file. */
const READ_BYTES = 2 * MiB;
const LOOKUP_MS = 3_000;

/** What a server says of one chunk; of others its files may be open to us. */
const ABOUT_CHUNK: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "NOT_FOUND",
  "REPLICA_MISSING",
  "STALE_EPOCH",
  "CHECKSUM",
  "CORRUPT",
  "UNAUTHENTICATED",
  "PERMISSION_DENIED",
  "TOKEN_EXPIRED",
]);

type Chunkservers = Pick<ChunkserverPool, "read" | "readTogether" | "findFile">;

export class LocalReads implements Closable {
  readonly #chunkservers: Chunkservers;
  readonly #ports: Ports;
  /** Undefined if nothing is read so. */
  readonly #openFile: OpenLocalFile | undefined;
  readonly #files: OpenChunks;
  readonly #slots = new Budget(READS_MAX);
  /** Until when each is left alone (L3). */
  readonly #paused = new Map<ServerId, number>();
  #bytes = 0;

  /** @param isOn  The user may not want it. */
  constructor(chunkservers: Chunkservers, ports: Ports, isOn: boolean) {
    this.#chunkservers = chunkservers;
    this.#ports = ports;
    this.#openFile = isOn ? ports.openFile : undefined;
    this.#files = new OpenChunks(ports.clock, ports.timers);
  }

  /** Bytes that came from files so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** As ChunkserverPool.readTogether: small chunks have no files of their own. */
  readTogether(
    ...asked: Parameters<ChunkserverPool["readTogether"]>
  ): ReturnType<ChunkserverPool["readTogether"]> {
    return this.#chunkservers.readTogether(...asked);
  }

  /** As ChunkserverPool.read. */
  async *read(
    replica: Replica,
    part: ChunkPart,
    options: ReadOptions,
  ): AsyncGenerator<CheckedBytes, void, undefined> {
    let at = part.offset;
    if (options.fromServer !== true && this.#mayRead(replica, part)) {
      for await (const bytes of this.#fromFile(replica, part, options)) {
        at += bytes.lengthBytes;
        yield bytes;
      }
      if (at === part.end) return;
    }
    yield* this.#chunkservers.read(replica, { ...part, offset: at }, options);
  }

  close(): Promise<void> {
    return this.#files.close();
  }

  /** As much of a part as its file gives (L1). */
  async *#fromFile(
    replica: Replica,
    part: ChunkPart,
    options: ReadOptions,
  ): AsyncGenerator<CheckedBytes, void, undefined> {
    const { server } = replica;
    const { handle, epoch } = part.chunk;
    const key = `${server} ${handle} ${epoch}`;
    const lease = this.#files.take(key, () => this.#open(replica, part));
    try {
      const chunk = await this.#soon(server, lease.chunk, options);
      if (chunk === undefined) return;
      for (let offset = part.offset; offset < part.end; ) {
        const bytes = await this.#piece(replica, { ...part, offset }, { chunk, options });
        if (bytes === undefined) return;
        offset += bytes.lengthBytes;
        yield bytes;
      }
    } finally {
      lease.release();
    }
  }

  #mayRead({ server, address }: Replica, { chunk, offset, end }: ChunkPart): boolean {
    if (this.#openFile === undefined || !this.#ports.hosts.has(hostOf(address))) return false;
    // Smaller ones have no files of their own.
    if (chunk.lengthBytes <= SMALL_CHUNK_BYTES_MAX || end <= offset) return false;
    return (this.#paused.get(server) ?? 0) <= this.#ports.clock.monotonicMs();
  }

  /** Undefined if it is not to be had this way (L1). Never rejects. */
  async #open(
    replica: Replica,
    { chunk, token }: Pick<ChunkPart, "chunk" | "token">,
  ): Promise<OpenChunk | undefined> {
    let isAboutChunk = (error: LumeoError): boolean => ABOUT_CHUNK.has(error.code);
    try {
      const found = await this.#chunkservers.findFile(replica, { chunk, token }, LOOKUP_MS);
      const { length, crc32c, blocks } = found;
      const isIt = length === chunk.lengthBytes && crc32c === chunk.crc32c;
      if (!isIt || crcOfBlocks(blocks, length) !== crc32c) return undefined; // L2
      isAboutChunk = () => false; // its other files are not to be had here either (L3)
      const file = await this.#openFile?.(found);
      return file && { file, crcs: blocks };
    } catch (error) {
      if (error instanceof InvariantViolation) throw error;
      if (!(error instanceof LumeoError && isAboutChunk(error))) this.#pause(replica.server);
      return undefined;
    }
  }

  /**
   * The next bytes of a part; undefined if the file does not give them.
   *
   * @throws LumeoError CHECKSUM if a block is not what was written (L2); the signal's reason.
   */
  async #piece(
    replica: Replica,
    { offset, end, chunk: { handle } }: ChunkPart,
    { chunk, options }: { readonly chunk: OpenChunk; readonly options: ReadOptions },
  ): Promise<CheckedBytes | undefined> {
    const lengthBytes = Math.min(READ_BYTES, end - offset);
    const slot = this.#slots.tryTake(1) ?? (await this.#slotInTime(replica.server, options));
    if (slot === undefined) return undefined;
    const bytes = Buffer.allocUnsafeSlow(lengthBytes);
    const reading = chunk.file.readAt(bytes, offset).catch(() => 0);
    void reading.then(() => slot.release());
    const count = await this.#soon(replica.server, reading, options);
    if (count !== lengthBytes) return undefined;
    const first = offset / BLOCK_BYTES;
    const crcs = chunk.crcs.subarray(
      4 * first,
      4 * Math.ceil((offset + lengthBytes) / BLOCK_BYTES),
    );
    const bad = firstBadBlock([bytes], crcs, this.#ports.crc32c);
    if (bad !== undefined) {
      const what = `block ${first + bad} of its file is damaged`;
      const message = `Chunk ${handle} on "${replica.name}" is not what was written: ${what}`;
      throw new LumeoError("CHECKSUM", message, { servers: [replica.server] });
    }
    this.#bytes += lengthBytes;
    return { pieces: [bytes], lengthBytes, crc32c: crcOfBlocks(crcs, lengthBytes) };
  }

  /** Those that have the slots may wait for a disk that hangs. */
  async #slotInTime(server: ServerId, options: ReadOptions): Promise<Permit | undefined> {
    const left = new CancelSource();
    const taking = this.#slots.take(1, left);
    try {
      const slot = await this.#soon(server, taking, options);
      if (slot !== undefined) return slot;
    } catch (error) {
      leave(taking, left);
      throw error;
    }
    leave(taking, left);
    return undefined;
  }

  /** Undefined if it does not come in time (L4). @throws the signal's reason. */
  async #soon<T>(
    server: ServerId,
    coming: Promise<T>,
    { timeoutMs, signal }: ReadOptions,
  ): Promise<T | undefined> {
    let late = (): void => undefined;
    const tooLate = new Promise<undefined>((resolve) => {
      late = () => resolve(undefined);
    });
    const alarm = this.#ports.timers.after(Math.min(timeoutMs, PATIENCE_MS), () => {
      this.#pause(server);
      late();
    });
    try {
      return await unlessAborted(Promise.race([coming, tooLate]), signal);
    } finally {
      alarm.cancel();
    }
  }

  #pause(server: ServerId): void {
    this.#paused.set(server, this.#ports.clock.monotonicMs() + PAUSE_MS);
  }
}

/** Goes out of the line. */
function leave(taking: Promise<Permit>, left: CancelSource): void {
  taking.then(
    (slot) => slot.release(), // it came at the same moment
    () => undefined,
  );
  left.abort(new LumeoError("ABORTED", "The file is not waited for any more"));
}
