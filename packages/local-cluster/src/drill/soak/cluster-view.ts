// A cluster of real processes as an audit sees it: through a client of its own, and replica by
// replica.

import {
  type ChunkInfo,
  type FileInfo,
  type GetOptions,
  type Lumeo,
  LumeoError,
} from "@lumeofs/client";
import { waitUntil } from "../../wait-until.js";
import type { AuditedChunk, AuditedCluster, AuditedFile } from "./audit.js";

/** Idle growing chunks are sealed long before. */
const SEAL_MS_MAX = 60_000;

export class ClusterView implements AuditedCluster {
  readonly #client: Lumeo;

  constructor(client: Lumeo) {
    this.#client = client;
  }

  /** Waits until what was appended is sealed: a growing chunk has no replicas to compare. */
  async open(path: string): Promise<AuditedFile | undefined> {
    try {
      const sealed = async (): Promise<FileInfo | undefined> => {
        const info = await this.#client.stat(path, { chunks: true });
        return info.tail === undefined ? info : undefined;
      };
      const info = await waitUntil(sealed, { timeoutMs: SEAL_MS_MAX });
      if (info === undefined) throw new Error("what was appended to it is not sealed");
      const { size, chunks = [] } = info;
      return { size, bytes: this.#bytes(path), chunks: this.#chunks(path, chunks) };
    } catch (error) {
      if (LumeoError.is(error, "LUMEO_NOT_FOUND")) return undefined;
      throw error;
    }
  }

  async *list(directory: string): AsyncGenerator<{ path: string; size: number }> {
    for await (const one of this.#client.list(directory, { recursive: true })) {
      if (one.kind === "file") yield { path: one.path, size: one.size };
    }
  }

  async snapshots(directory: string): Promise<readonly string[]> {
    try {
      return (await this.#client.snapshots.list(directory).toArray()).map(({ name }) => name);
    } catch (error) {
      if (LumeoError.is(error, "LUMEO_NOT_FOUND")) return [];
      throw error;
    }
  }

  async *#bytes(path: string, options: GetOptions = {}): AsyncGenerator<Uint8Array> {
    await using reading = await this.#client.get(path, options);
    yield* reading;
  }

  #chunks(path: string, chunks: readonly ChunkInfo[]): readonly AuditedChunk[] {
    let start = 0;
    return chunks.map(({ handle, length, replicas }) => {
      const range = { start, end: start + length };
      start += length;
      return {
        handle,
        length,
        replicas: replicas.map(({ id }) => ({
          name: id,
          read: () => this.#bytes(path, { range, onlyReplica: id }),
        })),
      };
    });
  }
}
