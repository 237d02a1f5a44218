// The client: one object for one cluster, shared by all of a program. It wires the parts together
// and turns calls of the public API into theirs; no decision is taken here.

import { LumeoError as InternalError } from "@lumeofs/base";
import { AbandonedChunks } from "./abandoned-chunks.js";
import { Allocations } from "./allocations.js";
import { Appenders, type AppendResult } from "./append/appenders.js";
import type { Body } from "./body.js";
import type { Call, CallSettings } from "./call.js";
import { Calls } from "./calls.js";
import { ChunkSender } from "./chunk-sender.js";
import type { ClusterStatus } from "./cluster-status.js";
import { Diagnosis } from "./diagnosis.js";
import { LumeoError, publicly, toPublic } from "./error.js";
import { formatEtag } from "./etag.js";
import { Events, type LumeoEvents } from "./events.js";
import { Feed, type Watch, type WatchOptions } from "./feed.js";
import type { LumeoFile } from "./file/lumeo-file.js";
import { type OpenFlags, openFile } from "./file/open-file.js";
import { type FileInfo, type PutResult, toChecksum, toFileInfo } from "./file-info.js";
import { Audits } from "./fsck/audits.js";
import { Healing } from "./healing.js";
import { HedgePolicy } from "./hedge-policy.js";
import { DirectoryListing, type Listing } from "./listing.js";
import { LocalReads } from "./local/local-reads.js";
import { Locks } from "./locks.js";
import { Masters } from "./masters.js";
import { Metadata, UNREACHABLE_MS_MAX } from "./metadata.js";
import type { MetadataRunner } from "./metadata-runner.js";
import {
  NO_PRECONDITION,
  type Policy,
  type PolicyChanges,
  type Quota,
  type QuotaChanges,
} from "./operations.js";
import {
  type AppendOptions,
  type AttributeOptions,
  type CallOptions,
  type ClientSettings,
  type CopyOptions,
  callSettings,
  clientSettings,
  type GetOptions,
  type ListOptions,
  type LumeoOptions,
  type MkdirOptions,
  type PutOptions,
  preconditionOf,
  type RemoveOptions,
  type RenameOptions,
  replicasOf,
  type StatOptions,
  timeToLive,
  versionOf,
} from "./options.js";
import { anyPath, directoryPath } from "./path.js";
import { PlacementPolicies } from "./placement-policies.js";
import { type Ports, systemPorts } from "./ports.js";
import { Reader, type ReadPlan } from "./reader.js";
import { FileReading, type Reading } from "./reading.js";
import { type Removed, removeMany } from "./removals.js";
import { AdminClient } from "./rpc/admin-client.js";
import { ChunkserverPool } from "./rpc/chunkserver-pool.js";
import { DiagnosisClient } from "./rpc/diagnosis-client.js";
import { feedOpener } from "./rpc/feed-client.js";
import { HealingClient } from "./rpc/healing-client.js";
import { MasterPool } from "./rpc/master-pool.js";
import { TailPool } from "./rpc/tail-pool.js";
import { ServerHealth } from "./server-health.js";
import { ServerScores } from "./server-scores.js";
import { Snapshots, Versions } from "./snapshots.js";
import { SpanReader } from "./span-reader.js";
import { statFile } from "./stat.js";
import { TailReader } from "./tail-reader.js";
import { Trash } from "./trash.js";
import { readWishOf, writeOptionsOf } from "./wishes.js";
import { Writer } from "./writer.js";

export interface ClusterInfo {
  /** Address of the leading master. */
  readonly leader: string;
}

export type ClientState = "idle" | "connecting" | "ready" | "degraded" | "closed";

const CLOSE_GRACE_MS = 5_000;

export class Lumeo implements AsyncDisposable {
  readonly #settings: ClientSettings;
  readonly #ports: Ports;
  readonly #events = new Events();
  readonly #calls: Calls;
  readonly #masters: MasterPool;
  readonly #admin: AdminClient;
  readonly #metadata: Metadata;
  readonly #chunkservers: ChunkserverPool;
  readonly #localReads: LocalReads;
  readonly #writer: Writer;
  readonly #reader: Reader;
  readonly #tails: TailPool;
  readonly #tailReader: TailReader;
  readonly #appenders: Appenders;
  readonly #fileParts: Parameters<typeof openFile>[0];
  readonly #feed: Feed;
  /** What was removed and is still kept. */
  readonly trash: Trash;
  /** Directories as they once were. */
  readonly snapshots: Snapshots;
  /** Earlier contents of files. */
  readonly versions: Versions;
  /** Advisory locks. */
  readonly locks: Locks;
  /** Who the masters are, and who leads. */
  readonly masters: Masters;
  /** Jobs that make and move copies, the nodes that hold them, and single chunks. */
  readonly healing: Healing;
  /** Whether all of it fits together. */
  readonly audits: Audits;
  /** First aid: what every single process says of itself. */
  readonly diagnosis: Diagnosis;
  #isUsed = false;
  #closing: Promise<void> | undefined;

  /**
   * Does no I/O: the first call connects.
   *
   * @param ports  Clock, timers, chance and checksums; for tests.
   */
  constructor(options: LumeoOptions, ports: Ports = systemPorts()) {
    this.#settings = publicly(() => clientSettings(options));
    this.#ports = ports;
    this.#calls = new Calls(ports, this.#events);
    const { endpoints, direct } = this.#settings;
    this.#masters = new MasterPool(endpoints, { ...ports, direct }, this.#events);
    this.#admin = new AdminClient(this.#masters);
    const metadata = new Metadata(this.#masters);
    const chunkservers = new ChunkserverPool(ports);
    const health = new ServerHealth();
    const allocations = new Allocations(metadata, health, ports.clock);
    const { labels, hedge, localReads } = this.#settings;
    this.#localReads = new LocalReads(chunkservers, ports, localReads);
    const spans = new SpanReader({
      ...{ chunkservers: this.#localReads, admin: this.#admin, health, ports },
      masters: this.#masters,
      scores: new ServerScores(),
      hedges: new HedgePolicy(hedge),
      standpoint: { labels, hosts: ports.hosts },
    });
    this.#metadata = metadata;
    this.#chunkservers = chunkservers;
    const abandoned = new AbandonedChunks(metadata, this.#calls);
    const sender = new ChunkSender(chunkservers, allocations, abandoned, ports);
    this.#writer = new Writer({ metadata, sender, ports });
    this.#tails = new TailPool(ports);
    const tails = new TailReader(metadata, this.#tails);
    this.#tailReader = tails;
    const withLabels = 0 < Object.keys(labels).length;
    this.#reader = new Reader({ metadata, spans, tails, withLabels, crc32c: ports.crc32c });
    const policies = new PlacementPolicies(metadata, ports.clock);
    this.#appenders = new Appenders({ metadata, tails: this.#tails, policies, ports });
    const runner: MetadataRunner = {
      metadata,
      run: (method, path, call, action) => this.#run(method, path, call, action),
    };
    this.#fileParts = {
      ...{ run: runner.run, metadata, policies, sender, tails, writer: this.#writer },
      ...{ reader: this.#reader, appenders: this.#appenders },
    };
    this.trash = new Trash(runner);
    this.snapshots = new Snapshots(runner);
    this.versions = new Versions(runner);
    this.locks = new Locks(runner, ports);
    this.masters = new Masters(runner.run, this.#admin);
    this.healing = new Healing(runner.run, new HealingClient(this.#admin));
    this.diagnosis = new Diagnosis(runner.run, new DiagnosisClient(ports.clock));
    this.audits = new Audits({
      ...{ run: runner.run, metadata, chunkservers, tails: this.#tails, ports },
      ...{ masters: this.#masters, admin: this.#admin, healing: this.healing, files: this },
    });
    const open = feedOpener(this.#masters, ports.random);
    const settings = this.#callSettings.bind(this, "watch");
    this.#feed = new Feed({ open, calls: this.#calls, ports, settings });
  }

  get state(): ClientState {
    if (this.#closing !== undefined) return "closed";
    if (!this.#isUsed) return "idle";
    if (this.#masters.isFailing) return "degraded";
    return this.#masters.leader === undefined ? "connecting" : "ready";
  }

  /** Bytes of files that were read on this machine so far, without their chunkservers. */
  get locallyReadBytes(): number {
    return this.#localReads.bytes;
  }

  /** Waits until the cluster has a leader that answers. */
  async ready(options: CallOptions = {}): Promise<ClusterInfo> {
    return this.#run("ready", undefined, options, async (call) => {
      await this.#metadata.reachLeader(call);
      return { leader: this.#masters.leader ?? "" };
    });
  }

  /** Stores a body as a file, at once as a whole: until then readers see what was there before. */
  async put(path: string, body: Body, options: PutOptions = {}): Promise<PutResult> {
    return this.#run("put", path, options, async (call) => {
      const wishes = writeOptionsOf(options);
      const { info, chunkCount } = await this.#writer.put(call, anyPath(path), body, wishes);
      const { revision, crc32c } = info;
      return {
        path: info.path,
        version: String(revision),
        etag: formatEtag(revision, crc32c),
        size: info.sizeBytes,
        checksum: toChecksum(crc32c),
        chunks: chunkCount,
        durationMs: Math.round(call.elapsedMs),
      };
    });
  }

  /**
   * Adds a record at the end of a file, in one piece: when it is acknowledged, it is durable, and
   * in the file exactly once. Many may be under way; those of one client to one file stand there in
   * the order of the calls. The bytes must not change before the answer.
   */
  async append(
    path: string,
    record: Uint8Array | string,
    options: AppendOptions = {},
  ): Promise<AppendResult> {
    return this.#run("append", path, options, async (call) => {
      const { create = true, makeParents = true } = options;
      const wish = { create, makeParents, replicas: replicasOf(options) };
      return this.#appenders.append(call, anyPath(path), record, wish);
    });
  }

  /** Opens a file to read and write anywhere in it. Close it: what is not synced is lost. */
  open(path: string, flags: OpenFlags = "r", options: CallOptions = {}): Promise<LumeoFile> {
    const parts = this.#fileParts;
    return this.#run("open", path, options, (call) => openFile(parts, call, anyPath(path), flags));
  }

  /** Looks a file up; its content comes when it is asked for. */
  async get(path: string, options: GetOptions = {}): Promise<Reading> {
    const plan = await this.#run("get", path, options, (call) =>
      this.#reader.plan(call, anyPath(path), readWishOf(options, versionOf(options.version))),
    );
    return this.#reading(path, plan, options);
  }

  async stat(path: string, options: StatOptions = {}): Promise<FileInfo> {
    const parts = { metadata: this.#metadata, tails: this.#tailReader };
    return this.#run("stat", path, options, (call) => statFile(parts, call, path, options));
  }

  async exists(path: string, options: CallOptions = {}): Promise<boolean> {
    try {
      await this.stat(path, options);
      return true;
    } catch (error) {
      if (LumeoError.is(error, "LUMEO_NOT_FOUND")) return false;
      if (LumeoError.is(error, "LUMEO_NOT_DIRECTORY")) return false;
      throw error;
    }
  }

  /** What is in a directory. Each page is a call of its own. */
  list(path = "/", options: ListOptions = {}): Listing<FileInfo> {
    const root = publicly(() => directoryPath(path), path);
    return new DirectoryListing(root, options.recursive ?? false, (directory, after, countMax) =>
      this.#run("list", directory, options, async (call) => {
        const ask = { path: directory, after, countMax };
        const { entries, more } = await this.#metadata.query(call, "list", ask);
        return { entries: entries.map((e) => toFileInfo(e, undefined, call.freshness)), more };
      }),
    );
  }

  async mkdir(path: string, options: MkdirOptions = {}): Promise<void> {
    const parents = options.recursive ?? false;
    await this.#run("mkdir", path, options, (call) =>
      this.#metadata.mutate(call, "makeDirectory", { path: directoryPath(path), parents }),
    );
  }

  /** Gives a file or directory another name, in one step. */
  async rename(source: string, target: string, options: RenameOptions = {}): Promise<void> {
    await this.#run("rename", source, options, (call) =>
      this.#metadata.mutate(call, "rename", {
        source: directoryPath(source),
        target: directoryPath(target),
        overwrite: options.overwrite ?? false,
        fence: options.fence,
      }),
    );
  }

  async remove(path: string, options: RemoveOptions = {}): Promise<void> {
    await this.#run("remove", path, options, (call) =>
      this.#metadata.mutate(call, "remove", {
        path: directoryPath(path),
        recursive: options.recursive ?? false,
        precondition: preconditionOf(options),
        skipTrash: options.skipTrash ?? false,
        fence: options.fence,
      }),
    );
  }

  /** Makes a file with the content of another one, without moving bytes. */
  async copy(source: string, target: string, options: CopyOptions = {}): Promise<FileInfo> {
    return this.#run("copy", source, options, async (call) => {
      const info = await this.#metadata.mutate(call, "copy", {
        source: anyPath(source),
        version: versionOf(options.version),
        target: anyPath(target),
        overwrite: options.overwrite ?? false,
        makeParents: options.makeParents ?? true,
        precondition: NO_PRECONDITION,
        fence: options.fence,
      });
      return toFileInfo(info);
    });
  }

  /** Changes what a file or directory carries besides its content. */
  async setAttributes(path: string, options: AttributeOptions): Promise<FileInfo> {
    return this.#run("setAttributes", path, options, async (call) => {
      const { metadata = {}, tags = {}, contentType, ttlMs } = options;
      const info = await this.#metadata.mutate(call, "setAttributes", {
        path: directoryPath(path),
        changes: {
          metadata,
          tags,
          contentType,
          ttlMs: ttlMs === undefined ? undefined : timeToLive(ttlMs),
        },
        precondition: preconditionOf(options),
      });
      return toFileInfo(info);
    });
  }

  /** Changes what a directory says of files below it; null: as above it. @returns What it says. */
  setPolicy(path: string, changes: PolicyChanges, options: CallOptions = {}): Promise<Policy> {
    return this.#run("setPolicy", path, options, async (call) => {
      const ask = { path: directoryPath(path), changes };
      return (await this.#metadata.mutate(call, "setPolicy", ask)).policy;
    });
  }

  /** What holds for files in a directory, inherited or not; it may be still to be made. */
  async effectivePolicy(path: string, options: CallOptions = {}): Promise<Policy> {
    return this.#run("effectivePolicy", path, options, (call) =>
      this.#metadata.query(call, "effectivePolicy", { path: directoryPath(path) }),
    );
  }

  /** Changes the limits of a directory; null: no limit. @returns All that it has now. */
  setQuota(path: string, changes: QuotaChanges, options: CallOptions = {}): Promise<Quota> {
    return this.#run("setQuota", path, options, async (call) => {
      const ask = { path: directoryPath(path), changes };
      return (await this.#metadata.mutate(call, "setQuota", ask)).quota;
    });
  }

  /** Removes many, several at a time; answers in the order of the paths, one for each. */
  removeMany(
    paths: Iterable<string> | AsyncIterable<string>,
    options: RemoveOptions = {},
  ): AsyncGenerator<Removed, void, undefined> {
    return removeMany(paths, (path) => this.remove(path, options));
  }

  /** What changes at a path and below, as it happens; goes on when masters or leaders change. */
  watch(path = "/", options: WatchOptions = {}): Watch {
    return this.#feed.watch(path, options);
  }

  /** The state of the masters and chunkservers. */
  async clusterStatus(options: CallOptions = {}): Promise<ClusterStatus> {
    const step = { idempotent: true, limitMs: () => UNREACHABLE_MS_MAX };
    return this.#run("clusterStatus", undefined, options, (call) =>
      call.run(step, () => this.#admin.clusterStatus(call)),
    );
  }

  /** @returns A function that takes the listener away again. */
  on<K extends keyof LumeoEvents>(type: K, listener: (event: LumeoEvents[K]) => void): () => void {
    return this.#events.on(type, listener);
  }

  /** Waits for calls under way, for `graceMs` at most, and closes all connections. */
  close({ graceMs = CLOSE_GRACE_MS }: { readonly graceMs?: number } = {}): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(graceMs: number): Promise<void> {
    this.#feed.close();
    await this.#calls.close(graceMs);
    await this.#localReads.close();
    await Promise.all([this.#chunkservers.close(), this.#tails.close(), this.#masters.close()]);
  }

  #run<T>(
    method: string,
    path: string | undefined,
    options: CallOptions,
    action: (call: Call) => Promise<T>,
  ): Promise<T> {
    this.#isUsed = true;
    let settings: CallSettings;
    try {
      settings = this.#callSettings(method, path, options);
    } catch (error) {
      return Promise.reject(toPublic(error, path, 1));
    }
    return this.#calls.run(settings, action);
  }

  #callSettings(method: string, path: string | undefined, options: CallOptions): CallSettings {
    const settings = callSettings(this.#settings, options);
    const { policy, wish, tellsFreshness, timeoutMs, deadlineMs } = settings;
    const { signal } = options;
    return { method, path, signal, timeoutMs, deadlineMs, policy, wish, tellsFreshness };
  }

  /** A reading is a call of its own, from the first byte that is asked for to the last. */
  #reading(path: string, first: ReadPlan, options: GetOptions): Reading {
    let plan = first;
    let call: Call | undefined;
    let isCancelled = false;
    return new FileReading({
      current: () => {
        const { file, tail, range } = plan;
        return { info: toFileInfo(file.info, undefined, undefined, tail), range };
      },
      open: () => {
        const settings = publicly(() => this.#callSettings("get", path, options), path);
        const reading = publicly(() => this.#calls.begin(settings), path);
        call = reading;
        if (isCancelled) reading.cancel(disposed(path));
        const replan = async (): Promise<ReadPlan> => {
          const { path: found } = plan.file.info;
          const version = versionOf(options.version);
          plan = await this.#reader.plan(reading, found, readWishOf(options, version));
          return plan;
        };
        const pieces = this.#reader.read(reading, plan, replan);
        return this.#delivered(reading, pieces, () => plan, options);
      },
      cancel: () => {
        isCancelled = true;
        call?.cancel(disposed(path));
      },
      uniqueName: () => Math.floor(this.#ports.random.fraction() * 2 ** 48).toString(36),
    });
  }

  async *#delivered(
    call: Call,
    pieces: AsyncIterable<Uint8Array>,
    plan: () => ReadPlan,
    { onProgress }: GetOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    let failure: unknown;
    let loaded = 0;
    let isOver = false;
    try {
      call.cancellation.throwIfAborted();
      for await (const piece of pieces) {
        loaded += piece.byteLength;
        const { start, end } = plan().range;
        onProgress?.({ loaded, total: end - start });
        yield piece;
      }
      isOver = true;
    } catch (error) {
      failure = call.toPublic(error);
      throw failure;
    } finally {
      if (!isOver) call.cancel(disposed(call.path ?? "")); // whatever is still being fetched
      this.#calls.end(call, failure);
    }
  }
}

function disposed(path: string): InternalError {
  return new InternalError("ABORTED", `The reading of "${path}" was given up`);
}
