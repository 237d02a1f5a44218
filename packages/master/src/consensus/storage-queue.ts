// Everything that changes log, state and snapshot files, one behind the other.
//
// Q1. Jobs are carried out in the order of their arrival; one write is under way at a time.
// Q2. Adjacent persists are joined into one write: the longer the disk takes, the more entries
//     share the next write. What was to leave after any of them leaves after that write.
// Q3. Entries are replaced only while the core is held: it never reads a log that it has not been
//     told about. That the log begins later it sees by itself, and needs nothing from before.
// Q4. The first failure ends the queue.

import { assertNever, invariant } from "@lumeofs/base";
import type { Entry, HardState, LogIndex, SnapshotMeta } from "../raft/entry.js";
import type { Envelope, RaftOutput } from "../raft/message.js";
import { encodedLength } from "./entry-codec.js";
import type { LogStore, LogWrite } from "./log-store.js";
import type { ReplicatedState } from "./replicated-state.js";
import type { SnapshotStore } from "./snapshot-store.js";

export type Persist = Extract<RaftOutput, { readonly kind: "persist" }>;
export type InstallSnapshot = Extract<RaftOutput, { readonly kind: "installSnapshot" }>;

export type StorageJob = Persist | InstallSnapshot | Compaction;

export interface Compaction {
  readonly kind: "compact";
  readonly meta: SnapshotMeta;
  readonly upTo: LogIndex;
}

/** Who is told. Calls come in the order of the jobs. */
export interface StorageListener {
  /** This write and all before it are durable. */
  persisted(write: number, then: readonly Envelope[]): void;
  /** A write to the log begins; what is returned is called when it has ended well. */
  writing(): () => void;
  installed(meta: SnapshotMeta, then: readonly Envelope[]): void;
  compacted(meta: SnapshotMeta): void;
  /** The log is about to change under the core: no step until `installed`. */
  hold(): void;
  /** Nothing is left to do. */
  idle(): void;
  failed(error: unknown): void;
}

export interface StoragePorts {
  readonly log: LogStore;
  readonly state: ReplicatedState;
  readonly snapshots: SnapshotStore;
}

export class StorageQueue {
  readonly #ports: StoragePorts;
  readonly #writeBytesMax: number;
  readonly #listener: StorageListener;
  #jobs: StorageJob[] = [];
  #run: Promise<void> | undefined;
  #isCompacting = false;
  #installs = 0;
  #isSuspended = false;
  #ended = false;

  constructor(ports: StoragePorts, writeBytesMax: number, listener: StorageListener) {
    this.#ports = ports;
    this.#writeBytesMax = writeBytesMax;
    this.#listener = listener;
  }

  /** Something is being written, or waits for it. */
  get isBusy(): boolean {
    return this.#run !== undefined || 0 < this.#jobs.length;
  }

  /** Adds nothing to the disk until `resume`. Compaction goes on: it makes room. */
  suspend(): void {
    this.#isSuspended = true;
  }

  resume(): void {
    this.#isSuspended = false;
    if (!this.#ended && 0 < this.#jobs.length) this.#run ??= this.#work();
  }

  /** A compaction waits or is under way. */
  get isCompacting(): boolean {
    return this.#isCompacting;
  }

  /** A snapshot waits to be installed, or is being installed: its file is needed. */
  get isInstalling(): boolean {
    return 0 < this.#installs;
  }

  push(job: StorageJob): void {
    if (this.#ended) return;
    if (job.kind === "compact") this.#isCompacting = true;
    if (job.kind === "installSnapshot") this.#installs += 1;
    this.#jobs.push(job);
    this.#run ??= this.#work();
  }

  /** Begins nothing more; resolves when what is under way has ended. */
  async close(): Promise<void> {
    this.#ended = true;
    this.#jobs = [];
    await this.#run;
  }

  async #work(): Promise<void> {
    try {
      // Outputs of one step arrive one by one: the first write begins after all of them.
      await Promise.resolve();
      for (let job = this.#next(); job !== undefined; job = this.#next()) await this.#do(job);
    } catch (error) {
      this.#ended = true;
      this.#jobs = [];
      this.#listener.failed(error);
    }
    this.#run = undefined;
    if (!this.#ended && this.#jobs.length === 0) this.#listener.idle();
  }

  /** The job that comes next; it stays at the front of the queue. */
  #next(): StorageJob | undefined {
    if (!this.#isSuspended) return this.#jobs[0];
    // What a compaction forgets was durable long ago: what waits before it changes nothing there.
    const at = this.#jobs.findIndex((job) => job.kind === "compact");
    if (at < 0) return undefined;
    this.#jobs.unshift(...this.#jobs.splice(at, 1));
    return this.#jobs[0];
  }

  async #do(job: StorageJob): Promise<void> {
    switch (job.kind) {
      case "persist":
        return this.#persist();
      case "installSnapshot":
        this.#jobs.shift();
        return this.#install(job);
      case "compact":
        this.#jobs.shift();
        return this.#compact(job);
      default:
        return assertNever(job);
    }
  }

  async #persist(): Promise<void> {
    const group = takePersists(this.#jobs, this.#writeBytesMax);
    const joined = joinPersists(group);
    if (joined !== undefined) await this.#write(joined);
    const write = group.at(-1)?.write;
    invariant(write !== undefined, "nothing to persist");
    const then = group.flatMap((persist) => persist.then);
    if (!this.#ended) this.#listener.persisted(write, then);
  }

  async #write(write: LogWrite): Promise<void> {
    const ended = this.#listener.writing();
    await this.#ports.log.write(write);
    ended();
  }

  async #compact(job: Compaction): Promise<void> {
    const { log } = this.#ports;
    // A snapshot that was installed meanwhile has already replaced what was to be forgotten.
    if (log.first <= job.upTo) {
      await log.compact(job.meta, job.upTo);
      if (!this.#ended) this.#listener.compacted(job.meta);
    }
    this.#isCompacting = false;
  }

  async #install(job: InstallSnapshot): Promise<void> {
    const { log, state, snapshots } = this.#ports;
    const stored = snapshots.find(job.meta);
    invariant(stored !== undefined, "a snapshot to install is not there", { ...job.meta });
    await state.install(job.meta, snapshots.read(stored));
    this.#listener.hold();
    await log.reset(job.meta);
    this.#installs -= 1;
    if (!this.#ended) this.#listener.installed(job.meta, job.then);
    await snapshots.prune(job.meta.index);
  }
}

/** Removes the persists at the front of the queue that go into the next write: at least one. */
function takePersists(jobs: StorageJob[], bytesMax: number): readonly Persist[] {
  const group: Persist[] = [];
  let bytes = 0;
  for (let next = jobs[0]; next?.kind === "persist"; next = jobs[0]) {
    bytes += next.entries.reduce((sum, entry) => sum + encodedLength(entry), 0);
    if (0 < group.length && bytesMax < bytes) break;
    group.push(next);
    jobs.shift();
  }
  return group;
}

/**
 * One write that leaves the log as all of these would, one behind the other. Undefined if they
 * change nothing.
 */
export function joinPersists(
  group: readonly Pick<Persist, "hardState" | "truncateFrom" | "entries">[],
): LogWrite | undefined {
  let hardState: HardState | undefined;
  let truncateFrom: LogIndex | undefined;
  let entries: Entry[] = [];
  for (const next of group) {
    hardState = next.hardState ?? hardState;
    const cut = next.truncateFrom;
    if (cut !== undefined) {
      const isBelowAll = entries[0] === undefined || cut <= entries[0].index;
      if (isBelowAll && (truncateFrom === undefined || cut < truncateFrom)) truncateFrom = cut;
      entries = entries.filter((entry) => entry.index < cut);
    }
    entries.push(...next.entries);
  }
  if (hardState === undefined && truncateFrom === undefined && entries.length === 0) {
    return undefined;
  }
  return { hardState, truncateFrom, entries };
}
