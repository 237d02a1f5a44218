// One simulated master: media that outlive crashes, and the process that runs on them for a while.

import {
  asLumeoError,
  integerBetween,
  type NodeId,
  type Random,
  type SeededRandom,
  SILENT_LOGGER,
} from "@lumeofs/base";
import { Lifetime, SimClock, SimDisk, type SimNetwork, type World } from "@lumeofs/testkit";
import { DRIVER_LIMITS_DEFAULT } from "../../src/consensus/config.js";
import { leaseMs } from "../../src/consensus/lease.js";
import type { ReadGate } from "../../src/consensus/read-gate.js";
import type { State, StateReader } from "../../src/metadata/state.js";
import type { Membership } from "../../src/raft/entry.js";
import type { RaftMessage, RaftOptions } from "../../src/raft/message.js";
import type { Checker, Standing } from "./checker.js";
import { CoreShell } from "./core-shell.js";
import type { SwarmOptions } from "./options.js";
import type { Outcomes } from "./outcomes.js";
import type { Parts, Process } from "./parts.js";
import { SimIo } from "./sim-io.js";
import { type Parcel, SimLinks } from "./sim-links.js";
import { LogMedium, SimLogStore } from "./sim-log-store.js";
import { SimStateStore, StateMedium } from "./sim-state-store.js";

/** Which shell drives the core: the product's, or the simulation's own. */
export type ShellKind = "driver" | "core";

export interface MemberParts {
  readonly world: World;
  readonly network: SimNetwork<Parcel>;
  readonly checker: Checker;
  readonly outcomes: Outcomes;
  /** Told when something reaches this member: it may have changed after this event. */
  readonly touched: (member: Member) => void;
  readonly options: SwarmOptions;
  readonly parts: Parts;
  readonly shell: ShellKind;
}

/** Lost with its disk, or with a damaged log that nobody may use; removed by the group. */
export type Fate = "living" | "lost" | "removed";

/** So many reads take so long at most. */
const DAWDLE_SHARE = 0.3;
const DAWDLE_MS_MAX = 30;
/** A master makes sure so often that its state is not too old. */
const REFRESH_MS = 200;

/** One run of the process, from start to end. */
interface Run {
  readonly lifetime: Lifetime;
  readonly clock: SimClock;
  readonly store: SimStateStore;
  readonly links: SimLinks;
  process: (Process & { readonly details: Standing }) | undefined;
  gate: Pick<ReadGate, "open"> | undefined;
}

export class Member {
  readonly log: LogMedium;
  readonly state = new StateMedium();
  readonly io: SimIo;
  /** Power failures so far. */
  crashes = 0;
  #fate: Fate = "living";
  #run: Run | undefined;
  #runs = 0;
  readonly #disk: SimDisk;
  readonly #parts: MemberParts;
  readonly #clockRate: number;
  readonly #random: SeededRandom;

  /** @param founders Of the group, as its log begins with them; nobody for who joins later. */
  constructor(
    readonly name: NodeId,
    founders: Membership,
    parts: MemberParts,
  ) {
    this.#parts = parts;
    const { world, options } = parts;
    this.#random = world.random(`member ${name}`);
    this.#clockRate = 1 + options.clockDrift * (2 * this.#random.fraction() - 1);
    this.log = new LogMedium(founders);
    this.io = new SimIo(world, name, options.io);
    this.io.powerFailed = () => this.crash();
    this.#disk = new SimDisk({
      random: world.random(`disk ${name}`),
      latencyMs: { min: options.io.latencyMsMin, mean: options.io.latencyMsMean },
      timers: {
        after: (ms, wake) => world.after(ms, () => this.#run?.lifetime.deliver(wake)),
        every: (ms, wake) => world.after(ms, wake),
      },
      faultOf: ({ kind }) => this.io.fateOfFileCall(kind === "write"),
      crashed: () => this.crash(),
    });
    parts.checker.watch(name, this.log, this.state);
  }

  get fate(): Fate {
    return this.#fate;
  }

  /** Its log is damaged somewhere: it goes on until it reads that place. */
  get isRotten(): boolean {
    return this.log.isRotten(this.log.first, this.log.last);
  }

  get isUp(): boolean {
    return this.#run !== undefined;
  }

  get isPaused(): boolean {
    return this.#run?.lifetime.isPaused ?? false;
  }

  get process(): Process | undefined {
    return this.#run?.process;
  }

  get clock(): SimClock | undefined {
    return this.#run?.clock;
  }

  /** Says when the reader may be read. */
  get gate(): Pick<ReadGate, "open"> | undefined {
    return this.#run?.gate;
  }

  /** Adds a line about this member to the trace. */
  record(line: () => string): void {
    this.#parts.world.record(() => `${this.name} ${line()}`);
  }

  /** True time. */
  get nowMs(): number {
    return this.#parts.world.now;
  }

  /** Takes a little while, sometimes: for code that has nothing to wait for. */
  dawdle(): Promise<void> {
    const ms = this.#random.fraction() < DAWDLE_SHARE ? DAWDLE_MS_MAX * this.#random.fraction() : 0;
    if (ms === 0) return Promise.resolve();
    return new Promise((resolve) => this.#run?.lifetime.after(ms, resolve));
  }

  /** For queries behind the gate. */
  get reader(): StateReader | undefined {
    return this.#run?.store;
  }

  /** The last entry that `reader` shows; 0 while there is none. */
  get applied(): number {
    return this.#run?.store.applied.index ?? 0;
  }

  get standing(): Standing | undefined {
    return this.#run?.process?.details;
  }

  /** Digest of the state as it is visible; undefined while the process is not there. */
  get digest(): number | undefined {
    return this.#run?.store.digest;
  }

  /** Runs `act` in the process: not while it is paused, never if it ends before. */
  deliver(act: () => void): void {
    this.#run?.lifetime.deliver(act);
  }

  start(): void {
    const { world, network, checker, touched, options } = this.#parts;
    this.#runs++;
    const lifetime = new Lifetime(world, () => touched(this));
    const run: Run = {
      lifetime,
      clock: new SimClock(world, lifetime, { rate: this.#clockRate }),
      store: new SimStateStore(this.state, this.io, lifetime, options.batchesWaitingMax),
      links: new SimLinks(this.name, {
        network,
        lifetime,
        leaving: (to, message) => this.#leaving(to, message),
        reached: (from, message) => checker.reached(this.name, from, message),
        record: (line) => world.record(line),
      }),
      process: undefined,
      gate: undefined,
    };
    this.#run = run;
    checker.restarted(this.name);
    world.record(() => `${this.name} starts`);
    this.#open(run).catch((error: unknown) => this.#failed(run, error));
  }

  /** The machine loses power. */
  crash(): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#parts.world.record(() => `${this.name} crashes`);
    this.#run = undefined;
    this.crashes++;
    run.lifetime.end();
    void run.links.close();
    this.io.settle();
    this.#disk.crash("some");
  }

  /** The machine is gone, and everything on it. */
  lose(): void {
    this.#parts.world.record(() => `${this.name} is lost`);
    this.#fate = "lost";
    this.crash();
  }

  /** An entry of its log turns into something else. */
  rot(random: Random): void {
    const { first, last } = this.log;
    if (last < first) return;
    const index = integerBetween(random, first, last);
    this.#parts.world.record(() => `${this.name} entry ${index} rots`);
    this.log.rot(index);
  }

  pause(): void {
    this.#run?.lifetime.pause();
  }

  resume(): void {
    if (this.isPaused) this.#run?.lifetime.resume();
  }

  streamBroken(peer: NodeId): void {
    this.#run?.links.streamBroken(peer);
  }

  async #open(run: Run): Promise<void> {
    const { world, options, parts, shell } = this.#parts;
    const log = new SimLogStore(this.log, this.io, run.lifetime);
    const state = new parts.MachineState(run.store, (changed, index, data) =>
      this.#apply(run, changed, index, data),
    );
    const ports = {
      log,
      state,
      links: run.links,
      random: world.random(`${this.name} run ${this.#runs}`),
    };
    const onFatal = (error: unknown): void => this.#failed(run, error);
    if (shell === "core") {
      const settings = { id: this.name, ...options, raft: this.#raftOptions() };
      const { lifetime, clock } = run;
      const makeCore: Parameters<typeof CoreShell.start>[1]["makeCore"] = (...args) =>
        new parts.RaftCore(...args);
      const shellPorts = { ...ports, lifetime, clock, makeCore, fatal: onFatal };
      const started = await CoreShell.start(settings, shellPorts);
      run.process = started;
      run.gate = {
        open: async () => ({ index: await started.read(), ageMs: Infinity, holds: () => true }),
      };
      return;
    }
    const snapshots = await parts.SnapshotStore.open(this.#disk.mount());
    const { compactEntries, tailEntries } = options;
    const config = {
      id: this.name,
      ...{ store: "", address: "" },
      tickMs: options.tickMs,
      raft: this.#raftOptions(),
      limits: { ...DRIVER_LIMITS_DEFAULT, compactEntries, tailEntries },
    };
    const driverPorts = {
      ...ports,
      snapshots,
      timers: run.clock,
      clock: run.clock,
      logger: SILENT_LOGGER,
      onFatal,
    };
    const driver = await parts.Driver.start(config, driverPorts);
    run.process = driver;
    const { clock } = run;
    run.gate = new parts.ReadGate(
      { replication: driver, clock, timers: clock },
      {
        leaseMs: options.raft.leases ? leaseMs(options.raft, options.tickMs) : undefined,
        refreshMs: REFRESH_MS,
      },
    );
  }

  /** A process that was rolled to another version has other sizes in its configuration. */
  #raftOptions(): RaftOptions {
    const { raft, isRolling } = this.#parts.options;
    if (!isRolling || this.#runs % 2 === 1) return raft;
    const { appendBytesMax, inFlightAppendsMax, applyBytesMax } = raft;
    return {
      ...raft,
      appendBytesMax: Math.ceil(appendBytesMax / 10),
      inFlightAppendsMax: Math.ceil(inFlightAppendsMax / 2),
      applyBytesMax: Math.ceil(applyBytesMax / 10),
    };
  }

  #apply(run: Run, state: State, index: number, data: Uint8Array): Uint8Array {
    const reply = this.#parts.parts.applyEntry(state, index, data);
    const { digest } = run.store;
    this.#parts.outcomes.applied(this.name, index, { data, reply, digest });
    return reply;
  }

  #leaving(to: NodeId, message: RaftMessage): void {
    const { checker, world } = this.#parts;
    world.record(() => `${this.name} > ${to} ${JSON.stringify(message)}`);
    checker.leaving(this.name, to, message);
  }

  /** The process ends by itself: a failed store, or something wrong in our own code. */
  #failed(run: Run, error: unknown): void {
    if (run !== this.#run) return;
    const known = asLumeoError(error);
    this.#parts.world.record(() => `${this.name} ends: ${known.message}`);
    if (known.code === "STORE_FAILED") return this.crash();
    if (known.code === "CORRUPT" && this.isRotten) return this.lose();
    if (known.code !== "CONFIG") return this.#parts.world.fail(error);
    this.#fate = "removed";
    this.crash();
  }
}
