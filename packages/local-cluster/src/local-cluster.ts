// A whole cluster on this machine, one process per member, everything in one folder.
//
// This object supervises: it is the parent of the members and keeps members.json current. It starts
// nothing again by itself; a member that ended stays down until `restart` or `revive`.
//
// C1. Members are ended only as children, or by pid and start time: never a stranger.
// C2. While members of an earlier supervisor still run in the folder, nothing is started there.
// C3. Ids, folders and ports follow from the stored topology: a restart finds its data.

import { type Closable, LumeoError, ResourceStack } from "@lumeofs/base";
import { ClusterFolder, type MemberRecord } from "./cluster-folder.js";
import { ClusterWatch, type StatusWatch } from "./cluster-watch.js";
import { type FolderLock, takeLock } from "./folder-lock.js";
import { findPortBase, requireFreePorts } from "./free-ports.js";
import { lastWords } from "./last-words.js";
import { letGo, takeIn } from "./master-changes.js";
import {
  type EntryFiles,
  installedEntryFiles,
  type MemberExit,
  MemberProcess,
} from "./member-process.js";
import { isRunning } from "./process-identity.js";
import { readiness } from "./readiness.js";
import { STOP_GRACE_MS } from "./stop-processes.js";
import {
  type MemberPlan,
  masterEndpoints,
  planMembers,
  type Role,
  resumeTopology,
  TOPOLOGY_DEFAULT,
  type Topology,
} from "./topology.js";
import { waitUntil } from "./wait-until.js";

/** A member that ended without having been asked to. */
export interface MemberLoss {
  readonly id: string;
  readonly pid: number;
  /** For people, one line. */
  readonly why: string;
}

export interface LocalClusterOptions {
  /** Made if missing. Holds everything, and nothing else should be in it. */
  readonly dir: string;
  readonly masters?: number;
  readonly chunkservers?: number;
  /** Of each chunkserver; more of them only before its first start. */
  readonly disks?: number;
  readonly host?: string;
  /** "free" looks for ports that nobody uses; only for a new folder. */
  readonly portBase?: number | "free";
  readonly entries?: EntryFiles;
  /** What the members' environment has more than that of this process, such as settings. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Called when a member ends without having been asked to. */
  readonly onMemberLost?: (loss: MemberLoss) => void;
  /** Asks the real masters unless a test puts something in its place. */
  readonly watch?: (endpoints: readonly string[]) => StatusWatch;
}

/** Time for all members to start, elect a leader and register. */
export const READY_TIMEOUT_MS = 60_000;
/** Copies of a chunk by default: with fewer living chunkservers a put is refused. */
const COPIES_DEFAULT = 3;

/** If this process exits without `stop`, its members must not stay behind unsupervised. */
const open = new Set<LocalCluster>();
const killAll = (): void => {
  for (const cluster of open) cluster.killNow();
};

export class LocalCluster implements Closable {
  readonly #folder: ClusterFolder;
  readonly #lock: FolderLock;
  #plans: readonly MemberPlan[];
  readonly #entries: EntryFiles;
  readonly #options: LocalClusterOptions;
  readonly #running = new Map<string, MemberProcess>();
  /** Members that are being ended on purpose. */
  readonly #dismissed = new WeakSet<MemberProcess>();
  /** Since the last start of these members. */
  #losses: readonly MemberLoss[] = [];
  #closed = false;

  private constructor(
    parts: {
      readonly folder: ClusterFolder;
      readonly lock: FolderLock;
      readonly plans: readonly MemberPlan[];
    },
    options: LocalClusterOptions,
  ) {
    this.#folder = parts.folder;
    this.#lock = parts.lock;
    this.#plans = parts.plans;
    this.#options = options;
    this.#entries = options.entries ?? installedEntryFiles();
    if (open.size === 0) process.once("exit", killAll);
    open.add(this);
  }

  /**
   * Starts every member. The cluster accepts writes after `waitReady`.
   *
   * @throws LumeoError CONFLICT if the folder or a port is in use, CONFIG if the topology is wrong.
   */
  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const folder = new ClusterFolder(options.dir);
    folder.make();
    const lock = takeLock(folder.lockFile, folder.path);
    try {
      refuseLeftovers(folder);
      const topology = await chooseTopology(folder, options);
      const plans = planMembers(topology);
      await requireFreePorts(plans);
      folder.writeTopology(topology);
      folder.writeEndpoints(masterEndpoints(plans));
      const cluster = new LocalCluster({ folder, lock, plans }, options);
      await using opening = new ResourceStack();
      opening.use(cluster);
      cluster.#startAll(plans);
      opening.move();
      return cluster;
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** The folder, absolute. */
  get dir(): string {
    return this.#folder.path;
  }

  /** Addresses of the masters. */
  get endpoints(): readonly string[] {
    return masterEndpoints(this.#plans);
  }

  /** Members that ended by themselves and were not started again. */
  get losses(): readonly MemberLoss[] {
    return this.#losses;
  }

  /** What members.json holds now. */
  members(): readonly MemberRecord[] {
    return this.#plans.map(({ id, role, address }) => ({
      id,
      role,
      pid: this.#running.get(id)?.identity.pid ?? null,
      address,
      dir: this.#folder.memberDir(id),
    }));
  }

  /**
   * Waits until the cluster accepts writes.
   *
   * Members that end meanwhile are done without, as long as there are enough.
   *
   * @throws LumeoError UNAVAILABLE when too few members are left or the time is up.
   */
  async waitReady(
    options: {
      readonly timeoutMs?: number;
      readonly signal?: AbortSignal;
      /** Chunkservers that must be alive; without it all that run. */
      readonly chunkserversMin?: number;
    } = {},
  ): Promise<void> {
    const timeoutMs = options.timeoutMs ?? READY_TIMEOUT_MS;
    const { watch } = this.#options;
    await using opened = new ResourceStack();
    const masters = opened.use(watch?.(this.endpoints) ?? new ClusterWatch(this.endpoints));
    let missing = "";
    const ready = await waitUntil(
      async () => {
        this.#requireEnough();
        const chunkserversMin = options.chunkserversMin ?? this.#countRunning("chunkserver");
        const state = readiness(await masters.look(), { chunkserversMin });
        if (state.kind === "ready") return state;
        missing = state.missing;
        return undefined;
      },
      { timeoutMs, signal: options.signal },
    );
    if (ready !== undefined) return;
    throw new LumeoError(
      "UNAVAILABLE",
      `Cannot wait longer for the cluster in "${this.dir}" after ${timeoutMs / 1000} s: ` +
        `${missing}. The members' logs are "${this.dir}/<member>/log"`,
    );
  }

  /** Ends one member and waits until it has ended. */
  async kill(id: string, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const member = this.#running.get(this.#plan(id).id);
    if (member === undefined) return;
    this.#dismissed.add(member);
    member.signal(signal);
    await member.ended;
  }

  /**
   * Starts a member again, after ending it if it runs.
   *
   * @param environment  What it has this time more than the other members.
   */
  async restart(
    id: string,
    { environment = {} }: { readonly environment?: Readonly<Record<string, string>> } = {},
  ): Promise<void> {
    this.#requireOpen();
    const plan = this.#plan(id);
    await this.kill(id, "SIGTERM");
    this.#startAll([plan], environment);
  }

  /**
   * Starts masters and takes them into the group, which works meanwhile; all of them vote from the
   * same moment on.
   *
   * @returns Their ids.
   * @throws LumeoError as `takeIn`; then they are gone again.
   */
  addMasters(count = 1): Promise<readonly string[]> {
    this.#requireOpen();
    return takeIn(this.#folder, count, () => this.#follow());
  }

  /** Takes masters out of the group, which works meanwhile, ends them and deletes their data. */
  removeMasters(ids: readonly string[]): Promise<void> {
    this.#requireOpen();
    return letGo(this.#folder, ids, () => this.#follow());
  }

  /** Runs what the folder says now. */
  async #follow(): Promise<void> {
    const topology = this.#folder.readTopology();
    if (topology === undefined) return;
    this.#plans = planMembers(topology);
    this.#folder.writeEndpoints(masterEndpoints(this.#plans));
    const kept = new Set(this.#plans.map(({ id }) => id));
    const gone = [...this.#running.values()].filter(({ id }) => !kept.has(id));
    for (const member of gone) this.#dismissed.add(member);
    await Promise.all(gone.map((member) => this.#end(member, STOP_GRACE_MS)));
    this.#startAll(this.#plans.filter((plan) => !this.#running.has(plan.id)));
  }

  /**
   * Starts every member that does not run, and ends masters that were removed from the folder.
   *
   * @returns The ids of those that were started.
   */
  async revive(): Promise<readonly string[]> {
    this.#requireOpen();
    const running = new Set(this.#running.keys());
    await this.#follow();
    return [...this.#running.keys()].filter((id) => !running.has(id));
  }

  /** Ends all members: asked first, killed after `graceMs`. The data stays. */
  async stop(graceMs = STOP_GRACE_MS): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all([...this.#running.values()].map((member) => this.#end(member, graceMs)));
    open.delete(this);
    if (open.size === 0) process.off("exit", killAll);
    this.#lock.release();
  }

  async close(): Promise<void> {
    await this.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Ends all members at once, without waiting: for a process that is about to exit. */
  killNow(): void {
    for (const member of this.#running.values()) member.signal("SIGKILL");
  }

  #startAll(plans: readonly MemberPlan[], more: Readonly<Record<string, string>> = {}): void {
    const environment = { ...this.#options.environment, ...more };
    const place = { folder: this.#folder, entries: this.#entries, environment };
    this.#losses = this.#losses.filter(({ id }) => plans.every((plan) => plan.id !== id));
    for (const plan of plans) {
      const member = MemberProcess.start(plan, this.#plans, place);
      this.#running.set(plan.id, member);
      void member.ended.then((exit) => this.#ended(member, exit));
    }
    this.#publish();
  }

  #ended(member: MemberProcess, exit: MemberExit): void {
    if (this.#running.get(member.id) === member) this.#running.delete(member.id);
    this.#publish();
    if (this.#dismissed.has(member) || this.#closed) return;
    const why = lastWords(exit, this.#folder.logTail(member.id));
    const loss = { id: member.id, pid: exit.pid, why };
    this.#losses = [...this.#losses, loss];
    this.#options.onMemberLost?.(loss);
  }

  async #end(member: MemberProcess, graceMs: number): Promise<void> {
    member.signal("SIGTERM");
    const alarm = setTimeout(() => member.signal("SIGKILL"), graceMs);
    await member.ended;
    clearTimeout(alarm);
  }

  #publish(): void {
    this.#folder.writeProcesses(
      [...this.#running.values()].map(({ id, identity }) => ({ id, ...identity })),
    );
    this.#folder.writeMembers(this.members());
  }

  /** Waiting is in vain once too few members are left to serve. */
  #requireEnough(): void {
    if (this.#losses.length === 0) return;
    const left = (role: Role): number => this.#countRunning(role);
    const total = (role: Role): number => this.#plans.filter((one) => one.role === role).length;
    const hasMajority = total("master") < 2 * left("master");
    const hasCopies = Math.min(COPIES_DEFAULT, total("chunkserver")) <= left("chunkserver");
    if (hasMajority && hasCopies) return;
    const losses = this.#losses.map(({ id, why }) => `${id} ended with ${why}`).join("; ");
    throw new LumeoError(
      "UNAVAILABLE",
      `Cannot start the cluster: ${losses}. The logs are "${this.dir}/<member>/log"`,
    );
  }

  #countRunning(role: Role): number {
    return this.#plans.filter((one) => one.role === role && this.#running.has(one.id)).length;
  }

  #plan(id: string): MemberPlan {
    const plan = this.#plans.find((one) => one.id === id);
    if (plan !== undefined) return plan;
    const known = this.#plans.map((one) => one.id).join(", ");
    throw new LumeoError("NOT_FOUND", `Cannot find member "${id}": there are ${known}`);
  }

  #requireOpen(): void {
    if (!this.#closed) return;
    throw new LumeoError("CLOSED", `Cannot start members of "${this.dir}": the cluster is stopped`);
  }
}

function refuseLeftovers(folder: ClusterFolder): void {
  const left = folder.readProcesses().filter(isRunning);
  if (left.length === 0) return;
  const names = left.map(({ id, pid }) => `${id} (${pid})`).join(", ");
  throw new LumeoError(
    "CONFLICT",
    `Cannot start a cluster in "${folder.path}": ${names} of an earlier start still run. ` +
      `Stop them with "lumeo dev stop --dir ${folder.path}"`,
  );
}

async function chooseTopology(
  folder: ClusterFolder,
  options: LocalClusterOptions,
): Promise<Topology> {
  const { masters, chunkservers, disks, host, portBase } = options;
  const wish: Partial<Topology> = {
    ...(masters === undefined ? {} : { masters }),
    ...(chunkservers === undefined ? {} : { chunkservers }),
    ...(disks === undefined ? {} : { disks }),
    ...(host === undefined ? {} : { host }),
    ...(typeof portBase === "number" ? { portBase } : {}),
  };
  const stored = folder.readTopology();
  if (stored !== undefined) return resumeTopology(stored, wish);
  const fresh = { ...TOPOLOGY_DEFAULT, ...wish };
  return portBase === "free" ? { ...fresh, portBase: await findPortBase(fresh) } : fresh;
}

/** Chunkservers below which a put with default settings is refused. */
export function enoughForDefaults(chunkservers: number): boolean {
  return COPIES_DEFAULT <= chunkservers;
}
