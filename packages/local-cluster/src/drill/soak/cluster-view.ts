// A cluster of real processes as an audit sees it: through a client of its own, and replica by
// replica. Nobody can read a file from one server that has a unit of it: so units are held against
// their checksums in the metadata, each by its server and over the network, and what they are worth
// shows in reading without some of them. The same goes for what the masters keep: it is asked of
// each of them.

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

/** What is wrong with units of coded chunks, or with inline chunks at a master, by handle. */
type UnitFaults = ReadonlyMap<number, readonly string[]>;

const REPLICATED = "replicated";
const INLINE = "inline";
const NO_FAULTS: UnitFaults = new Map();

export class ClusterView implements AuditedCluster {
  readonly #client: Lumeo;
  readonly #isDegraded: boolean;

  /** @param isDegraded  Servers are away: only what a client reads counts. */
  constructor(client: Lumeo, isDegraded = false) {
    this.#client = client;
    this.#isDegraded = isDegraded;
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
      const isOther = chunks.some(({ layout }) => layout !== REPLICATED);
      const faults = isOther && !this.#isDegraded ? await this.#unitFaults(path) : NO_FAULTS;
      return { size, bytes: this.#bytes(path), chunks: this.#chunks(path, chunks, faults) };
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

  async #unitFaults(path: string): Promise<UnitFaults> {
    const found = new Map<number, readonly string[]>();
    for await (const { handle, replicas } of this.#client.audits.verify(path)) {
      const bad = replicas.filter(({ finding }) => finding !== "intact");
      found.set(
        handle,
        bad.map(({ server, why }) => `${server}: ${why}`),
      );
    }
    return found;
  }

  #chunks(path: string, chunks: readonly ChunkInfo[], faults: UnitFaults): readonly AuditedChunk[] {
    let start = 0;
    return chunks.map(({ handle, length, layout, replicas }) => {
      const range = { start, end: start + length };
      start += length;
      const names = replicas.map(({ id }) => id);
      if (layout === REPLICATED && !this.#isDegraded) {
        const read = (id: string) => this.#bytes(path, { range, onlyReplica: id });
        return {
          handle,
          length,
          replicas: names.map((name) => ({ name, read: () => read(name) })),
        };
      }
      const read = () => this.#sound(faults.get(handle) ?? [], path, range);
      const isCoded = layout !== REPLICATED && layout !== INLINE;
      const name = layout === INLINE ? "the masters" : names.join(", ");
      return { handle, length, isCoded, replicas: [{ name, read }] };
    });
  }

  /** The bytes of a range, unless units of it are not sound. */
  async *#sound(
    faults: readonly string[],
    path: string,
    range: { readonly start: number; readonly end: number },
  ): AsyncGenerator<Uint8Array> {
    if (0 < faults.length) throw new Error(faults.join("; "));
    yield* this.#bytes(path, { range });
  }
}
