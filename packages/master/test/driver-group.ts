// Whole members (driver, core, stores in memory) on virtual time, connected in this process.

import { type NodeId, nodeId, SILENT_LOGGER } from "@lumeofs/base";
import { Lifetime, MemoryDisk, SimClock, World } from "@lumeofs/testkit";
import type { DriverLimits } from "../src/consensus/config.js";
import { DRIVER_LIMITS_DEFAULT, RAFT_OPTIONS_DEFAULT } from "../src/consensus/config.js";
import { Driver } from "../src/consensus/driver.js";
import {
  type Durability,
  MemoryLogDisk,
  MemoryLogStore,
} from "../src/consensus/memory-log-store.js";
import type { PeerLinks, PeerListener } from "../src/consensus/peer-link.js";
import { SnapshotStore } from "../src/consensus/snapshot-store.js";
import type { State } from "../src/metadata/state.js";
import type { LogIndex } from "../src/raft/entry.js";
import { founders } from "../src/raft/membership.js";
import type { RaftOptions } from "../src/raft/message.js";
import { MachineState } from "../src/state/machine-state.js";
import { MemoryStateDisk } from "../src/state/memory-databases.js";
import { openMemoryState } from "../src/state/memory-state.js";
import type { WriteBehindLimits } from "../src/state/write-behind-state.js";

const LINK_MS = 2;
const DISK_MS = 3;
const STATE_KEYS = { from: new Uint8Array([0x01]), to: new Uint8Array([0x80]) };

/** The state machine of these tests: remembers every command under its index, and echoes it. */
export function remember(state: State, index: LogIndex, data: Uint8Array): Uint8Array {
  const key = new Uint8Array(9);
  new DataView(key.buffer).setBigUint64(1, BigInt(index));
  key[0] = 0x10;
  state.put(key, data);
  return new TextEncoder().encode(`${index}:${new TextDecoder().decode(data)}`);
}

/** One member over all its restarts. */
export class TestMember {
  readonly log: MemoryLogDisk;
  readonly state = new MemoryStateDisk();
  readonly disk = new MemoryDisk();
  readonly fatal: unknown[] = [];
  driver: Driver | undefined;
  machine: MachineState | undefined;
  clock: SimClock | undefined;
  listener: PeerListener | undefined;
  lifetime: Lifetime | undefined;
  /** Writes to this member's log and state fail from now on. */
  isDiskBroken = false;
  /** Writes to log and state do not end while this holds. */
  isDiskStalled = false;
  /** What a write to the log takes. */
  logMs = DISK_MS;
  /** What a write to the state takes. */
  stateMs = DISK_MS;

  constructor(
    readonly id: NodeId,
    readonly group: DriverGroup,
  ) {
    this.log = new MemoryLogDisk(founders(group.members));
  }

  async start(): Promise<void> {
    const { world, limits, raft } = this.group;
    const lifetime = new Lifetime(world);
    const clock = new SimClock(world, lifetime);
    const taking = (ms: () => number): Durability => {
      return async (land) => {
        await new Promise<void>((resolve) => lifetime.after(ms(), resolve));
        while (this.isDiskStalled) {
          await new Promise<void>((resolve) => lifetime.after(DISK_MS, resolve));
        }
        if (this.isDiskBroken) throw new Error("the disk is gone");
        land();
      };
    };
    const durability = taking(() => this.logMs);
    const store = await openMemoryState(this.state, clock, {
      durability: taking(() => this.stateMs),
      ...(this.group.stateLimits === undefined ? {} : { limits: this.group.stateLimits }),
    });
    this.lifetime = lifetime;
    this.clock = clock;
    this.machine = new MachineState(store, this.group.apply);
    const self = { id: this.id, store: "", address: "" };
    const config = { ...self, tickMs: 50, raft, limits };
    this.driver = await Driver.start(config, {
      log: new MemoryLogStore(this.log, durability),
      state: this.machine,
      snapshots: await SnapshotStore.open(this.disk),
      links: new TestLinks(this, lifetime),
      timers: clock,
      clock,
      random: world.random(`${this.id} ${world.now}`),
      logger: SILENT_LOGGER,
      onFatal: (error) => this.fatal.push(error),
    });
  }

  /** As a power cut: nothing is flushed, closed or told. */
  crash(): void {
    this.lifetime?.end();
    this.listener = undefined;
    this.driver = undefined;
    this.machine = undefined;
  }

  get isLeader(): boolean {
    return this.driver?.status.role === "leader";
  }

  /** All commands that this member has applied, as text, in order. */
  async commands(): Promise<readonly string[]> {
    const reader = this.machine?.reader;
    const pairs = await reader?.range(STATE_KEYS.from, STATE_KEYS.to, 1_000_000);
    return (pairs ?? []).map(([, value]) => new TextDecoder().decode(value));
  }
}

/** Delivers after a while, unless the link is cut. */
class TestLinks implements PeerLinks {
  readonly #member: TestMember;
  readonly #lifetime: Lifetime;

  constructor(member: TestMember, lifetime: Lifetime) {
    this.#member = member;
    this.#lifetime = lifetime;
  }

  listen(listener: PeerListener): void {
    this.#member.listener = listener;
  }

  /** Everybody is connected to everybody here. */
  follow(): void {}

  send(to: NodeId, message: Parameters<PeerLinks["send"]>[1]): void {
    const { group, id } = this.#member;
    group.onSend(id, message);
    group.world.after(LINK_MS, () => {
      if (!group.isCut(id, to)) group.member(to).listener?.received(id, message);
    });
  }

  async sendSnapshot(...[to, offer, bytes]: Parameters<PeerLinks["sendSnapshot"]>) {
    const { group, id } = this.#member;
    const { listener } = group.member(to);
    await new Promise<void>((resolve) => this.#lifetime.after(LINK_MS, resolve));
    if (listener === undefined || group.isCut(id, to)) return "broken" as const;
    const offset = await listener.offered(id, offer);
    if (offset === undefined) return "refused" as const;
    const pieces = group.cutter?.(bytes(offset)) ?? bytes(offset);
    const isTaken = await listener.arriving(id, offer, { offset, pieces });
    return isTaken ? ("delivered" as const) : ("broken" as const);
  }

  async close(): Promise<void> {}
}

export class DriverGroup {
  readonly world: World;
  readonly members: Readonly<Record<NodeId, string>>;
  readonly limits: DriverLimits;
  readonly #all: readonly TestMember[];
  readonly #isolated = new Set<NodeId>();
  /** What members that start from now on do with a command. */
  apply: (state: State, index: LogIndex, data: Uint8Array) => Uint8Array = remember;
  /** Of the states of members that start from now on. */
  stateLimits: WriteBehindLimits | undefined;
  readonly #cuts = new Set<string>();
  /** Puts itself between the bytes of snapshots and who takes them. */
  cutter: ((bytes: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>) | undefined;
  /** Sees every message as it leaves. */
  onSend: (from: NodeId, message: Parameters<PeerLinks["send"]>[1]) => void = () => {};

  constructor(
    count: number,
    limits: Partial<DriverLimits> = {},
    seed = 1,
    readonly raft: RaftOptions = RAFT_OPTIONS_DEFAULT,
  ) {
    this.world = new World(seed);
    this.limits = { ...DRIVER_LIMITS_DEFAULT, ...limits };
    const ids = Array.from({ length: count }, (_, i) => nodeId(`m${i + 1}`));
    this.members = Object.fromEntries(ids.map((id) => [id, `${id}:7400`]));
    this.#all = ids.map((id) => new TestMember(id, this));
  }

  static async start(...args: ConstructorParameters<typeof DriverGroup>): Promise<DriverGroup> {
    const group = new DriverGroup(...args);
    for (const member of group.all) await group.settled(member.start());
    return group;
  }

  get all(): readonly TestMember[] {
    return this.#all;
  }

  member(id: NodeId): TestMember {
    const found = this.#all.find((member) => member.id === id);
    if (found === undefined) throw new Error(`no member ${id}`);
    return found;
  }

  isolate(id: NodeId): void {
    this.#isolated.add(id);
  }

  /** Nothing passes between these two. */
  cut(one: NodeId, other: NodeId): void {
    this.#cuts.add(`${one} ${other}`).add(`${other} ${one}`);
  }

  heal(): void {
    this.#isolated.clear();
    this.#cuts.clear();
  }

  isCut(from: NodeId, to: NodeId): boolean {
    const isIsolated = this.#isolated.has(from) || this.#isolated.has(to);
    return isIsolated || this.#cuts.has(`${from} ${to}`);
  }

  /** Runs until it holds, for at most a virtual minute. */
  async until(condition: () => boolean): Promise<void> {
    const end = await this.world.run(condition, { timeMs: this.world.now + 60_000 });
    if (end !== "condition") throw new Error(`did not come about: ${end}`);
  }

  /** The leader that everybody who is connected follows. */
  async leader(): Promise<TestMember> {
    const connected = () =>
      this.#all.filter(({ id, driver }) => driver !== undefined && !this.#isolated.has(id));
    const agreed = () => {
      const leaders = new Set(connected().map(({ driver }) => driver?.status.leader));
      const [leader] = leaders;
      return leaders.size === 1 && leader !== undefined ? this.member(leader) : undefined;
    };
    await this.until(() => agreed()?.isLeader === true);
    return agreed() as TestMember;
  }

  /** Lets time pass until a promise has settled. */
  async settled<T>(promise: Promise<T>): Promise<PromiseSettledResult<T>> {
    let result: PromiseSettledResult<T> | undefined;
    void Promise.allSettled([promise]).then(([settled]) => {
      result = settled;
    });
    await this.until(() => result !== undefined);
    return result as PromiseSettledResult<T>;
  }

  /** Proposes at the leader and waits for the reply. */
  async put(...texts: readonly string[]): Promise<readonly string[]> {
    const { driver } = await this.leader();
    const all = texts.map((text) => driver?.propose(new TextEncoder().encode(text)));
    const result = await this.settled(Promise.all(all));
    if (result.status === "rejected") throw result.reason;
    return result.value.map((reply) => new TextDecoder().decode(reply));
  }

  /** Waits until all members that run have applied the same. */
  async converge(): Promise<void> {
    const running = this.#all.filter(({ driver }) => driver !== undefined);
    await this.until(() => {
      const commits = running.map(({ driver }) => driver?.status);
      const commit = Math.max(...commits.map((status) => status?.commit ?? 0));
      return commits.every((status) => status?.applied === commit);
    });
  }
}
