// Chunks of which two histories were found: two primaries have written them without knowing of each
// other (rule 21 of the chunk protocol). Nobody can tell which of them is right, so the chunk is
// neither served nor copied from here any more. That is an alarm for people, and outlives a
// restart; it ends when the masters have the replica deleted.

import {
  ByteReader,
  ByteWriter,
  type ChunkHandle,
  type Crc32c,
  chunkHandle,
  type Disk,
  type Logger,
  LumeoError,
} from "@lumeofs/base";
import type { KeptContent } from "../store/kept-content.js";
import { SealedFile } from "../store/sealed-file.js";

/** More than a few mean that something is wrong with all of them. */
const STOPPED_MAX = 10_000;

/** How the list lies on a disk. */
export const STOPPED_FILE = {
  path: "stopped",
  magic: "LUMEOSTP",
  version: 1,
  bytesMax: 4 + 8 * STOPPED_MAX,
} as const;

/** The content that names no chunk. */
export const NONE_STOPPED: Uint8Array = new Uint8Array(4);

export interface StoppedChunksPorts {
  readonly logger: Logger;
  /** The list could not be written: the disk has failed. */
  readonly onFailure: (error: LumeoError) => void;
}

/** See the head of this file. */
export class StoppedChunks {
  readonly #file: KeptContent;
  readonly #ports: StoppedChunksPorts;
  readonly #handles: Set<ChunkHandle>;
  /** One write after the other; a write has everything that was stopped before it began. */
  #written: Promise<void> = Promise.resolve();

  private constructor(
    file: KeptContent,
    ports: StoppedChunksPorts,
    handles: Iterable<ChunkHandle>,
  ) {
    this.#file = file;
    this.#ports = ports;
    this.#handles = new Set(handles);
  }

  /** @throws LumeoError CORRUPT if the list is damaged: without it, wrong bytes could be served. */
  static open(disk: Disk, crc32c: Crc32c, ports: StoppedChunksPorts): Promise<StoppedChunks> {
    const file = new SealedFile({ disk, crc32c, ...STOPPED_FILE });
    const read = async (): Promise<readonly Uint8Array[]> => {
      const content = await file.read();
      return content === undefined ? [] : [content];
    };
    return StoppedChunks.read({ read, write: (content) => file.write(content) }, ports);
  }

  /** What any of the places has is stopped. @throws LumeoError as `open`. */
  static async read(list: KeptContent, ports: StoppedChunksPorts): Promise<StoppedChunks> {
    const handles = (await list.read()).flatMap((content) => {
      const reader = new ByteReader(content);
      return Array.from({ length: reader.u32() }, () => chunkHandle(reader.u53()));
    });
    return new StoppedChunks(list, ports, handles);
  }

  has(handle: ChunkHandle): boolean {
    return this.#handles.has(handle);
  }

  /** All of them, rising. */
  list(): readonly ChunkHandle[] {
    return [...this.#handles].sort((a, b) => a - b);
  }

  /** @throws LumeoError CORRUPT if the chunk is stopped. */
  check(handle: ChunkHandle): void {
    if (!this.#handles.has(handle)) return;
    const why = "two primaries wrote it without knowing of each other; see docs/design/0021";
    throw new LumeoError("CORRUPT", `Cannot read chunk ${handle}: ${why}`);
  }

  /** Stops a chunk at once; durable when it resolves. @throws LumeoError STORE_FAILED */
  async stop(handle: ChunkHandle, why: string): Promise<void> {
    if (this.#handles.has(handle)) return this.#written;
    if (STOPPED_MAX <= this.#handles.size) {
      throw new LumeoError("CORRUPT", `Cannot go on: ${STOPPED_MAX} chunks have two histories`);
    }
    this.#handles.add(handle);
    this.#ports.logger.error("chunk stopped", { chunk: handle, code: "CORRUPT", error: why });
    return this.#write();
  }

  /** The replicas were deleted: what may come under their handles is new. */
  async forget(handles: readonly ChunkHandle[]): Promise<void> {
    const known = handles.filter((handle) => this.#handles.delete(handle));
    if (0 < known.length) await this.#write();
  }

  #write(): Promise<void> {
    this.#written = this.#written.then(() => {
      const handles = this.list();
      const writer = new ByteWriter(4 + 8 * handles.length).u32(handles.length);
      for (const handle of handles) writer.u53(handle);
      return this.#file.write(writer.finish()).catch((cause: Error) => {
        const message = `The list of stopped chunks was not written: ${cause.message}`;
        const error = new LumeoError("STORE_FAILED", message, { cause });
        this.#ports.onFailure(error);
        throw error;
      });
    });
    return this.#written;
  }
}
