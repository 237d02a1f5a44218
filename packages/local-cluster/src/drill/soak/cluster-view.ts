// A cluster of real processes as an audit sees it: through a client of its own, and replica by
// replica.

import { type ChunkInfo, type Lumeo, LumeoError } from "@lumeofs/client";
import type { AuditedCluster, AuditedFile } from "./audit.js";
import type { ReplicaBytes } from "./replica-bytes.js";

export class ClusterView implements AuditedCluster {
  readonly #client: Lumeo;
  readonly #replicas: ReplicaBytes;

  constructor(client: Lumeo, replicas: ReplicaBytes) {
    this.#client = client;
    this.#replicas = replicas;
  }

  async open(path: string): Promise<AuditedFile | undefined> {
    try {
      const { size, chunks = [] } = await this.#client.stat(path, { chunks: true });
      return { size, bytes: this.#bytes(path), chunks: chunks.map((one) => this.#chunk(one)) };
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

  async *#bytes(path: string): AsyncGenerator<Uint8Array> {
    await using reading = await this.#client.get(path);
    yield* reading;
  }

  #chunk(chunk: ChunkInfo): AuditedFile["chunks"][number] {
    const { handle, length, replicas } = chunk;
    return {
      handle,
      length,
      replicas: replicas.map((replica) => ({
        name: replica.id,
        read: () => this.#replicas.read(chunk, replica),
      })),
    };
  }
}
