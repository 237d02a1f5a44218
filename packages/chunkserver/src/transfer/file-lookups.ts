// Tells clients of the same machine where the file of a chunk lies, so that they read it themselves
// (docs/design/0032). The permissions of the file decide whether they can; what they read they
// check against the checksums that are told here.
//
// A file that has a record is never written again: it is removed or another one takes its place,
// and whoever has it open reads on.

import { type ChunkHandle, type Epoch, LumeoError } from "@lumeofs/base";
import type { Exchange, FileLookup } from "@lumeofs/node/frames";
import type { ChunkReader } from "../store/chunk-store.js";
import type { StoppedChunks } from "./stopped-chunks.js";

/** A file as every program of a machine can find it. */
export interface FilePlace {
  /** Absolute. */
  readonly path: string;
  /** What the kernel calls its file system and the file, in decimal digits. */
  readonly device: string;
  readonly inode: string;
}

export interface FileLookupPorts {
  readonly store: {
    /** As ChunkStore.open, with the folder in which the file of the chunk is. */
    openOn(
      handle: ChunkHandle,
      epoch: Epoch,
    ): Promise<{ readonly reader: ChunkReader; readonly folder: string }>;
  };
  readonly stopped: Pick<StoppedChunks, "check">;
  /** Rejects if the file is not there. */
  readonly placeOf: (folder: string, path: string) => Promise<FilePlace>;
}

export class FileLookups {
  readonly #ports: FileLookupPorts;

  constructor(ports: FileLookupPorts) {
    this.#ports = ports;
  }

  /**
   * Serves one `fileLookup`.
   *
   * @throws LumeoError as ChunkStore.open; CORRUPT if the chunk is stopped; NOT_FOUND if it has no
   *         file of its own.
   */
  async serve({ handle, epoch }: FileLookup, exchange: Exchange): Promise<void> {
    const { store, stopped, placeOf } = this.#ports;
    stopped.check(handle);
    const { reader, folder } = await store.openOn(handle, epoch);
    const { file, length, crc32c } = reader;
    const place = file && (await placeOf(folder, file.path).catch(() => undefined));
    if (file === undefined || place === undefined) {
      throw new LumeoError("NOT_FOUND", `Chunk ${handle} has no file of its own here: read it`);
    }
    exchange.send({ type: "fileFound", ...place, length, crc32c, blocks: file.crcs });
  }
}
