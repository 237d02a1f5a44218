// A cluster in memory, for tests of the commands: the same answers and error codes, no processes.

import { readFile } from "node:fs/promises";
import type {
  AppendOptions,
  AppendResult,
  AttributeOptions,
  Body,
  ChunkInfo,
  ClusterStatus,
  CopyOptions,
  FileInfo,
  FsEvent,
  Listing,
  Policy,
  PolicyChanges,
  PutOptions,
  PutResult,
  Quota,
  QuotaChanges,
  Reading,
  Watch,
  WatchOptions,
} from "@lumeofs/client";
import type { Client } from "../src/client.js";
import { FakeAudits } from "./fake-audits.js";
import { FakeHealing } from "./fake-healing.js";
import { FakeWatch } from "./fake-watch.js";

export class FakeError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const CHANGED_AT = new Date(1_790_000_000_000);

const NO_INLINE = { inlineChunks: 0, inlineBytes: 0 };

const STATUS: ClusterStatus = {
  clusterId: "c",
  leader: "m1",
  term: 3,
  masters: [
    {
      ...{ id: "m1", address: "h:1", role: "leader", term: 3, leader: "m1", lastApplied: 1234 },
      ...{ firstIndex: 1, lastIndex: 1234, commitIndex: 1234, snapshotIndex: 0 },
      ...{ memoryBytes: 0, stateHash: "", standing: "voter", matchIndex: 1234, caughtUp: true },
      ...NO_INLINE,
    },
  ],
  chunkservers: [
    {
      ...{ id: "cs1", serverId: 1, address: "h:2", state: "alive", chunks: 7, labels: {} },
      ...{ usedBytes: 1536, capacityBytes: 2 ** 30, damaged: 0, readOnly: false },
      lastHeartbeatMsAgo: 5,
      disks: [],
      scrub: {
        ...{ rounds: 2, roundBeganAt: 0, lastRoundBeganAt: 1, lastRoundEndedAt: 2, position: 0 },
        ...{ replicasRead: 14, bytesRead: 3072, found: 0, yielding: false, bytesPerSecond: 1 },
      },
      stopped: [],
      ...{ controlAddress: "h:3", newerCount: 0, newer: [] },
      ...{ standing: "draining", lost: false },
    },
  ],
  health: {
    chunks: 7,
    underReplicated: 2,
    damaged: 1,
    lost: 0,
    unreadable: 0,
    lookedMsAgo: 5,
    ...NO_INLINE,
  },
  jobs: [
    {
      ...{ id: 3, kind: "drain", node: "cs1", state: "running", createdAt: CHANGED_AT },
      ...{ endedAt: undefined, totalChunks: 7, totalBytes: 70, doneChunks: 5, doneBytes: 50 },
      ...{ failures: 0, moves: 2, note: "", conversion: undefined },
    },
  ],
};

const CHUNKS: readonly ChunkInfo[] = [
  {
    ...{ index: 0, handle: 64, epoch: 1, length: 5, crc32c: "0a0b0c0d" },
    layout: "replicated",
    replicas: [
      {
        ...{ id: "cs1", serverId: 1, address: "h:2" },
        ...{ role: "primary", state: "alive", damaged: false, bytes: 5 },
      },
    ],
  },
];

/** What is kept of the past, and locks, need the state machine: tested with real masters. */
export type FakedClient = Omit<
  Client,
  | "open"
  | "trash"
  | "versions"
  | "snapshots"
  | "locks"
  | "masters"
  | "healing"
  | "audits"
  | "diagnosis"
>;

interface Carried {
  metadata: Record<string, string>;
  tags: Record<string, string>;
  policy: Policy;
  quota: Quota;
}

export class FakeClient implements FakedClient {
  readonly healing = new FakeHealing();
  readonly audits = new FakeAudits();
  /** Path to content; a directory has none. */
  readonly tree = new Map<string, Uint8Array | "dir">([["/", "dir"]]);
  /** Fails an operation on a path with an error. */
  readonly faults = new Map<string, Error>();
  readonly calls: string[] = [];
  /** What a watch sees, and what happens when it has seen them. */
  events: readonly FsEvent[] = [];
  afterEvents: () => void = () => {};
  putsAtOnceMax = 0;
  lastPut: PutOptions | undefined;
  #putsAtOnce = 0;
  #revision = 0;
  readonly #carried = new Map<string, Carried>();

  async copy(source: string, target: string, options: CopyOptions): Promise<FileInfo> {
    this.#begin("copy", source);
    const found = this.#find("copy", source);
    if (this.tree.has(target) && options.overwrite !== true) {
      throw new FakeError("LUMEO_EXISTS", `Cannot copy to "${target}": it exists`);
    }
    this.#parents(target);
    this.tree.set(target, found);
    return this.#entry(target, found);
  }

  async setAttributes(path: string, options: AttributeOptions): Promise<FileInfo> {
    this.#begin("setAttributes", path);
    const found = this.#find("setAttributes", path);
    const carried = this.#carriedBy(path);
    for (const kind of ["metadata", "tags"] as const) {
      for (const [key, value] of Object.entries(options[kind] ?? {})) {
        if (value === null) delete carried[kind][key];
        else carried[kind][key] = value;
      }
    }
    return this.#entry(path, found);
  }

  async setPolicy(path: string, changes: PolicyChanges): Promise<Policy> {
    this.#begin("setPolicy", path);
    const carried = this.#carriedBy(path);
    carried.policy = changed(carried.policy, changes);
    return carried.policy;
  }

  async effectivePolicy(path: string): Promise<Policy> {
    this.#begin("effectivePolicy", path);
    const names = path.split("/").filter((name) => name !== "");
    const above = names.map((_, i) => `/${names.slice(0, i + 1).join("/")}`);
    return Object.assign({}, ...["/", ...above].map((one) => this.#carriedBy(one).policy));
  }

  async setQuota(path: string, changes: QuotaChanges): Promise<Quota> {
    this.#begin("setQuota", path);
    const carried = this.#carriedBy(path);
    carried.quota = changed(carried.quota, changes);
    return carried.quota;
  }

  #carriedBy(path: string): Carried {
    const carried = this.#carried.get(path) ?? { metadata: {}, tags: {}, policy: {}, quota: {} };
    this.#carried.set(path, carried);
    return carried;
  }

  async append(
    path: string,
    record: Uint8Array | string,
    options: AppendOptions,
  ): Promise<AppendResult> {
    this.#begin("append", path);
    const before = this.tree.get(path);
    if (before === "dir") {
      throw new FakeError("LUMEO_IS_DIRECTORY", `Cannot append to "${path}": it is a directory`);
    }
    if (before === undefined && options.create === false) {
      throw new FakeError("LUMEO_NOT_FOUND", `Cannot append to "${path}": it does not exist`);
    }
    const bytes = Buffer.from(record);
    this.#parents(path);
    this.tree.set(path, Buffer.concat([before ?? Buffer.of(), bytes]));
    return { path, offset: before?.byteLength ?? 0, length: bytes.byteLength };
  }

  async put(path: string, source: Body, options: PutOptions): Promise<PutResult> {
    this.#begin("put", path);
    this.lastPut = options;
    this.#putsAtOnce++;
    this.putsAtOnceMax = Math.max(this.putsAtOnceMax, this.#putsAtOnce);
    try {
      if (options.ifNoneMatch === "*" && this.tree.has(path)) {
        throw new FakeError("LUMEO_PRECONDITION", `Cannot put "${path}": it exists`);
      }
      const bytes = await collect(source);
      options.onProgress?.({ loaded: bytes.byteLength });
      options.signal?.throwIfAborted();
      this.#parents(path);
      this.tree.set(path, bytes);
      const [size, version] = [bytes.byteLength, String(++this.#revision)];
      const checksum = { algorithm: "crc32c", value: "00000000" } as const;
      return { path, version, etag: `${version}-0`, size, checksum, chunks: 1, durationMs: 1 };
    } finally {
      this.#putsAtOnce--;
    }
  }

  async get(path: string): Promise<Reading> {
    this.#begin("get", path);
    const found = this.#find("get", path);
    if (found === "dir") {
      throw new FakeError("LUMEO_IS_DIRECTORY", `Cannot get "${path}": it is a directory`);
    }
    const fault = this.faults.get(`read ${path}`);
    const reading = {
      info: this.#entry(path, found),
      range: { start: 0, end: found.byteLength },
      [Symbol.asyncDispose]: () => Promise.resolve(),
      async *[Symbol.asyncIterator]() {
        yield found.subarray(0, 3);
        if (fault !== undefined) throw fault;
        yield found.subarray(3);
      },
    };
    // The other forms of a reading are not used by any command.
    return reading as Pick<Reading, keyof typeof reading> as Reading;
  }

  async stat(
    path: string,
    options: { chunks?: boolean; consistency?: string; maxAgeMs?: number } = {},
  ): Promise<FileInfo> {
    this.#begin("stat", path);
    const found = this.#entry(path, this.#find("stat", path));
    const isChosen = options.consistency !== undefined;
    const freshness = { appliedIndex: 1_234, ageMs: options.maxAgeMs ?? 0 };
    const entry = isChosen ? { ...found, freshness } : found;
    return options.chunks === true && entry.kind === "file" ? { ...entry, chunks: CHUNKS } : entry;
  }

  list(path = "/", options: { recursive?: boolean } = {}): Listing<FileInfo> {
    this.#begin("list", path);
    this.#find("list", path);
    const prefix = path === "/" ? "/" : `${path}/`;
    const items = [...this.tree]
      .filter(([one]) => one.startsWith(prefix) && one !== "/")
      .filter(([one]) => options.recursive === true || !one.slice(prefix.length).includes("/"))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([one, found]) => this.#entry(one, found));
    return {
      async *[Symbol.asyncIterator]() {
        yield* items;
      },
      async *pages({ after = "" } = {}) {
        yield { items: items.filter((item) => after < item.path) };
      },
      toArray: () => Promise.resolve(items),
    };
  }

  async mkdir(path: string, options: { recursive?: boolean }): Promise<void> {
    this.#begin("mkdir", path);
    if (this.tree.has(path) && options.recursive !== true) {
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

  async remove(path: string, options: { recursive?: boolean }): Promise<void> {
    this.#begin("remove", path);
    if (this.#find("remove", path) === "dir" && options.recursive !== true) {
      throw new FakeError("LUMEO_IS_DIRECTORY", `Cannot remove "${path}": it is a directory`);
    }
    for (const one of this.tree.keys()) {
      if (one === path || one.startsWith(`${path}/`)) this.tree.delete(one);
    }
  }

  watch(path: string, options: WatchOptions): Watch {
    this.#begin("watch", `${path} since ${options.since} ${options.types?.join()}`);
    return new FakeWatch(this.events, options, () => this.afterEvents());
  }

  clusterStatus(): Promise<ClusterStatus> {
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

  #entry(path: string, found: Uint8Array | "dir"): FileInfo {
    const common = {
      path,
      version: "2",
      revision: 2,
      createdAt: CHANGED_AT,
      modifiedAt: CHANGED_AT,
      metadata: this.#carriedBy(path).metadata,
      tags: this.#carriedBy(path).tags,
    };
    const { policy, quota } = this.#carriedBy(path);
    const usage = { bytes: 2_053, files: 3, directories: 1 };
    if (found === "dir") {
      return { ...common, kind: "dir", size: 0, etag: "", policy, quota, usage };
    }
    return {
      ...{ ...common, kind: "file", size: found.byteLength, etag: "2-0a0b0c0d" },
      ...{ checksum: { algorithm: "crc32c", value: "0a0b0c0d" }, redundancy: { replicas: 3 } },
      ...{ layout: "replicated", bytesOnDisk: 3 * found.byteLength },
      ...{ chunkSize: 2 ** 26, chunkCount: 1 },
    };
  }
}

async function collect(body: Body): Promise<Uint8Array> {
  if (typeof body === "object" && "file" in body) return readFile(body.file);
  const pieces: Uint8Array[] = [];
  for await (const piece of body as AsyncIterable<Uint8Array>) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** What is null goes; what is not named stays. */
function changed(before: object, changes: object): object {
  const after = Object.entries({ ...before, ...changes }).filter(([, value]) => value !== null);
  return Object.fromEntries(after);
}
