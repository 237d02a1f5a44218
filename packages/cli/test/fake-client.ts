// A cluster in memory, for tests of the commands: the same answers and error codes, no processes.

import { readFile } from "node:fs/promises";
import type {
  Client,
  ClusterStatus,
  Content,
  RemoteEntry,
  Source,
  StoreOptions,
  StoreResult,
} from "../src/client.js";
import { baseName } from "../src/remote-path.js";

export class FakeError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const CHANGED_AT = new Date(1_790_000_000_000);

const STATUS: ClusterStatus = {
  clusterId: "c",
  leader: "m1",
  term: 3,
  masters: [{ id: "m1", address: "h:1", role: "leader", term: 3, lastApplied: 1234 }],
  chunkservers: [
    {
      ...{ id: "cs1", address: "h:2", state: "alive", chunks: 7 },
      ...{ usedBytes: 1536, capacityBytes: 2 ** 30, damaged: 0, readOnly: false },
    },
  ],
};

export class FakeClient implements Client {
  /** Path to content; a directory has none. */
  readonly tree = new Map<string, Uint8Array | "dir">([["/", "dir"]]);
  /** Fails an operation on a path with an error. */
  readonly faults = new Map<string, Error>();
  readonly calls: string[] = [];
  putsAtOnceMax = 0;
  #putsAtOnce = 0;
  #revision = 0;

  async put(path: string, source: Source, options: StoreOptions): Promise<StoreResult> {
    this.#begin("put", path);
    this.#putsAtOnce++;
    this.putsAtOnceMax = Math.max(this.putsAtOnceMax, this.#putsAtOnce);
    try {
      if (options.ifAbsent === true && this.tree.has(path)) {
        throw new FakeError("LUMEO_PRECONDITION", `Cannot put "${path}": it exists`);
      }
      const bytes = await collect(source);
      options.onBytes(bytes.byteLength);
      options.signal.throwIfAborted();
      this.#parents(path);
      this.tree.set(path, bytes);
      const [size, version] = [bytes.byteLength, String(++this.#revision)];
      return { path, version, etag: `${version}-0`, size, crc32c: "00000000", chunks: 1 };
    } finally {
      this.#putsAtOnce--;
    }
  }

  async get(path: string): Promise<Content> {
    this.#begin("get", path);
    const found = this.#find("get", path);
    if (found === "dir") {
      throw new FakeError("LUMEO_IS_DIRECTORY", `Cannot get "${path}": it is a directory`);
    }
    const fault = this.faults.get(`read ${path}`);
    return {
      info: this.#entry(path, found),
      close: () => Promise.resolve(),
      async *[Symbol.asyncIterator]() {
        yield found.subarray(0, 3);
        if (fault !== undefined) throw fault;
        yield found.subarray(3);
      },
    };
  }

  async stat(path: string): Promise<RemoteEntry> {
    this.#begin("stat", path);
    return this.#entry(path, this.#find("stat", path));
  }

  chunks(): ReturnType<Client["chunks"]> {
    const replicas = [{ id: "cs1", role: "primary", state: "alive", address: "h:2" }];
    return Promise.resolve([{ handle: 64, epoch: 1, length: 5, crc32c: "0a0b0c0d", replicas }]);
  }

  async *list(path: string, options: { after?: string }): AsyncGenerator<RemoteEntry> {
    this.#begin("list", path);
    this.#find("list", path);
    const prefix = path === "/" ? "/" : `${path}/`;
    const children = [...this.tree.keys()].filter(
      (one) => one.startsWith(prefix) && one !== "/" && !one.slice(prefix.length).includes("/"),
    );
    for (const child of children.sort()) {
      if (options.after !== undefined && baseName(child) <= options.after) continue;
      yield this.#entry(child, this.#find("list", child));
    }
  }

  async mkdir(path: string, options: { parents: boolean }): Promise<void> {
    this.#begin("mkdir", path);
    if (this.tree.has(path) && !options.parents) {
      throw new FakeError("LUMEO_EXISTS", `Cannot make "${path}": it exists`);
    }
    this.#parents(path);
    this.tree.set(path, "dir");
  }

  async rename(source: string, target: string): Promise<void> {
    this.#begin("rename", source);
    const found = this.#find("rename", source);
    this.tree.delete(source);
    this.tree.set(target, found);
  }

  async remove(path: string, options: { recursive: boolean }): Promise<void> {
    this.#begin("remove", path);
    if (this.#find("remove", path) === "dir" && !options.recursive) {
      throw new FakeError("LUMEO_IS_DIRECTORY", `Cannot remove "${path}": it is a directory`);
    }
    for (const one of this.tree.keys()) {
      if (one === path || one.startsWith(`${path}/`)) this.tree.delete(one);
    }
  }

  status(): Promise<ClusterStatus> {
    return Promise.resolve(STATUS);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #begin(operation: string, path: string): void {
    this.calls.push(`${operation} ${path}`);
    const fault = this.faults.get(`${operation} ${path}`);
    if (fault !== undefined) throw fault;
  }

  #find(operation: string, path: string): Uint8Array | "dir" {
    const found = this.tree.get(path);
    if (found !== undefined) return found;
    throw new FakeError("LUMEO_NOT_FOUND", `Cannot ${operation} "${path}": there is no such path`);
  }

  #parents(path: string): void {
    for (let end = path.lastIndexOf("/"); 0 < end; end = path.lastIndexOf("/", end - 1)) {
      this.tree.set(path.slice(0, end), this.tree.get(path.slice(0, end)) ?? "dir");
    }
  }

  #entry(path: string, found: Uint8Array | "dir"): RemoteEntry {
    const times = { createdAt: CHANGED_AT, modifiedAt: CHANGED_AT };
    if (found === "dir") return { path, kind: "dir", size: 0, version: "1", etag: "", ...times };
    return {
      ...{ path, kind: "file", size: found.byteLength, version: "2", etag: "2-0a0b0c0d" },
      ...{ crc32c: "0a0b0c0d", replicas: 3, chunkSize: 2 ** 26, chunkCount: 1 },
      ...times,
    };
  }
}

async function collect(source: Source): Promise<Uint8Array> {
  if ("file" in source) return readFile(source.file);
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
}
