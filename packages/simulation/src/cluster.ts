// All machines of one world, with the shipped masters, chunkservers and clients on them.

import { chunkHandle, GiB, type LogFields, MiB, type Random } from "@lumeofs/base";
import { type ChunkserverConfig, readConfig } from "@lumeofs/chunkserver";
import {
  checkSettings,
  getChunk,
  getTail,
  type MasterConfig,
  type StateReader,
} from "@lumeofs/master";
import { shuffled, type World } from "@lumeofs/testkit";
import { ServedBytes } from "./checks/served-bytes.js";
import { isOfFailedStore, must } from "./checks/violation.js";
import { ChunkserverMachine } from "./machine/chunkserver-machine.js";
import { ClientMachine, type Program } from "./machine/client-machine.js";
import type { Machine, Surroundings } from "./machine/machine.js";
import { MasterMachine } from "./machine/master-machine.js";
import type { RpcLetter } from "./network/rpc-letter.js";
import { Links, Wires } from "./network/wires.js";
import type { ClusterOptions } from "./options.js";
import type { Parts } from "./parts.js";

const PORT = 7400;
const DATA_PORT = 7410;
const CONTROL_PORT = 7430;

/** Of the masters: short, so that much happens in little time. Each keeps its meaning. */
export const TIMES = {
  tickMs: 100,
  electionTicks: 9,
  heartbeatTicks: 3,
  heartbeatMs: 500,
  suspectMs: 1_200,
  deadMs: 2_000,
  steadyMs: 1_500,
  repairAfterMs: 3_500,
  grantUsableMs: 8_000,
  grantMs: 16_000,
  uploadIdleMs: 12_000,
  sessionIdleMs: 3_600_000,
  releasedGraceMs: 6_000,
  sweepMs: 1_000,
  checkStateMs: 15_000,
} as const;
const SCRUB_ROUND_MS = 3_000;
const TAIL_IDLE_MS = 4_000;
const DISK_SUSPECT_MS = 1_000;
const DISK_STUCK_MS = 4_000;

/** What a master has applied that is ahead of all others. */
export interface NewestState {
  readonly reader: StateReader;
  readonly applied: number;
}

/** The chunkservers that there are to be. */
export interface ChunkserverPark {
  readonly configs: readonly ChunkserverConfig[];
  readonly victims: ReadonlySet<string>;
}

export class Cluster {
  readonly world: World;
  readonly options: ClusterOptions;
  readonly links: Links;
  /** In the order in which they came; those that were replaced are retired. */
  readonly masters: MasterMachine[];
  readonly chunkservers: readonly ChunkserverMachine[];
  /** Those whose disks may lose something. */
  readonly victims: readonly ChunkserverMachine[];
  readonly clients: ClientMachine[] = [];
  readonly served: ServedBytes;
  mayFail = true;
  #appliedMax = 0;
  readonly #around: Surroundings;
  readonly #parts: Parts;

  constructor(
    world: World,
    options: ClusterOptions,
    { configs, victims }: ChunkserverPark,
    parts: Parts,
  ) {
    this.world = world;
    this.options = options;
    this.#parts = parts;
    this.served = new ServedBytes({
      failed: (error) => world.fail(error),
      isCopied: (handle) => this.#isCopied(handle),
      activeEpoch: (handle) => this.#activeEpoch(handle),
    });
    this.links = new Links(world);
    this.#around = {
      world,
      links: this.links,
      calls: new Wires<RpcLetter>(world, this.links, "call", options.wire),
      bytes: new Wires<Buffer>(world, this.links, "data", options.wire),
      options,
      served: this.served,
      mayFail: () => this.mayFail,
      isClient: (name) => this.clients.some((client) => client.name === name),
      alarmed: (machine, message, fields) => this.#alarmed(machine, message, fields),
    };
    const names = masterNames(options.masters);
    const peers = names.map((name) => `${name}=${name}:${PORT}`).join();
    this.masters = names.map(
      (name) => new MasterMachine(masterConfig(name, { peers }), parts, this.#around),
    );
    this.chunkservers = configs.map(
      (config) => new ChunkserverMachine(config, parts, this.#around),
    );
    this.victims = this.chunkservers.filter(({ name }) => victims.has(name));
  }

  get endpoints(): readonly string[] {
    return this.masters.map(({ name }) => `${name}:${PORT}`);
  }

  get all(): readonly Machine[] {
    return [...this.masters, ...this.chunkservers, ...this.clients];
  }

  get calls(): Surroundings["calls"] {
    return this.#around.calls;
  }

  get bytes(): Surroundings["bytes"] {
    return this.#around.bytes;
  }

  /** A master that waits to be taken in, under a name that nobody has had. */
  addMaster(): MasterMachine {
    const name = `m${this.masters.length + 1}`;
    const config = masterConfig(name, { join: this.endpoints.join() });
    const machine = new MasterMachine(config, this.#parts, this.#around);
    this.masters.push(machine);
    machine.start();
    return machine;
  }

  /** Whoever leads the latest term, as far as the masters say. */
  get leader(): MasterMachine | undefined {
    const leading = this.masters.filter(({ master }) => master?.status.role === "leader");
    const termOf = ({ master }: MasterMachine): number => master?.status.term ?? 0;
    return leading.sort((a, b) => termOf(b) - termOf(a))[0];
  }

  addClient(name: string, program: Program): ClientMachine {
    const what = { endpoints: this.endpoints, program };
    const client = new ClientMachine(name, what, this.#parts, this.#around);
    this.clients.push(client);
    return client;
  }

  start(): void {
    for (const machine of [...this.masters, ...this.chunkservers]) machine.start();
  }

  /**
   * What the group has decided, if a running master knows all of it that anybody has acted on:
   * undefined while only masters run that are behind one that is down.
   */
  newest(): NewestState | undefined {
    let newest: NewestState | undefined;
    for (const { master, isHarmed } of this.masters) {
      if (master === undefined) continue;
      const { applied } = master.status;
      this.#appliedMax = Math.max(this.#appliedMax, applied);
      // What it has cannot be read, perhaps.
      if (isHarmed) continue;
      if (newest === undefined || newest.applied < applied) {
        newest = { reader: master.reader, applied };
      }
    }
    return newest !== undefined && this.#appliedMax <= newest.applied ? newest : undefined;
  }

  #isCopied(handle: number): boolean {
    const reader = this.newest()?.reader;
    try {
      const record = reader && getChunk(reader, chunkHandle(handle));
      return record !== undefined && record.coding === undefined;
    } catch (error) {
      if (isOfFailedStore(error)) return false;
      throw error;
    }
  }

  /** While clocks run worse than leases allow, nothing is promised to readers of growing chunks. */
  #activeEpoch(handle: number): number | undefined {
    if (this.mayFail && this.options.faults.warpMs !== undefined) return undefined;
    const reader = this.newest()?.reader;
    try {
      const tail = reader && getTail(reader, chunkHandle(handle));
      if (tail !== undefined) return tail.authority.lastActive.epoch;
      return reader && getChunk(reader, chunkHandle(handle))?.epoch; // that of its seal
    } catch (error) {
      if (isOfFailedStore(error)) return undefined;
      throw error;
    }
  }

  /** Says of a log that it names what must not be: two histories, states that differ. */
  #alarmed(machine: string, message: string, fields: LogFields | undefined): void {
    const isAboutFault = fields?.code === "STORE_FAILED" || fields?.code === "NO_SPACE";
    const isAlarm = /two histories|differ/.test(message) && !isAboutFault;
    if (isAlarm) {
      try {
        must(false, "alarm", () => `${machine} logs "${message}" of chunk ${fields?.chunk}`);
      } catch (error) {
        this.world.fail(error);
      }
    }
  }
}

function masterNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `m${i + 1}`);
}

function masterConfig(
  name: string,
  group: { readonly peers: string } | { readonly join: string },
): MasterConfig {
  return checkSettings({
    ...TIMES,
    id: name,
    logStore: "level",
    dir: `/${name}`,
    listen: `${name}:${PORT}`,
    ...group,
    compactEntries: 400,
    tailEntries: 100,
    healBytesPerSecond: 20 * MiB,
  });
}

/** Their settings, each with the product's defaults. @param victims  Who has several disks. */
export function chunkserverConfigs(
  options: ClusterOptions,
  victims: ReadonlySet<string>,
): Promise<readonly ChunkserverConfig[]> {
  const { masters, chunkservers, racks, tokens, inventoryPauseMs, disks } = options;
  const endpoints = masterNames(masters).map((name) => `${name}:${PORT}`);
  const settings = chunkserverNames(chunkservers).map((name, i) => ({
    name,
    "listen-data": `${name}:${DATA_PORT}`,
    "listen-control": `${name}:${CONTROL_PORT}`,
    masters: endpoints.join(),
    label: `rack=r${(i % racks) + 1}`,
    "capacity-bytes": 1 * GiB,
    "reserve-bytes": 1 * MiB,
    tokens,
    "inventory-pause-ms": inventoryPauseMs,
    "tail-idle-ms": TAIL_IDLE_MS,
    "scrub-round-ms": SCRUB_ROUND_MS,
    "disk-suspect-ms": DISK_SUSPECT_MS,
    "disk-stuck-ms": DISK_STUCK_MS,
  }));
  return Promise.all(
    settings.map((one) => {
      const count = victims.has(one.name) ? disks : 1;
      const folders = Array.from({ length: count }, (_, disk) =>
        count === 1 ? `/${one.name}` : `/${one.name}/d${disk + 1}`,
      );
      const flags = Object.entries(one).flatMap(([name, value]) => [`--${name}`, String(value)]);
      return readConfig([...flags, ...folders.flatMap((folder) => ["--dir", folder])], {});
    }),
  );
}

/** Those whose disks may lose what they had promised to keep. */
export function drawVictims(options: ClusterOptions, random: Random): ReadonlySet<string> {
  const names = chunkserverNames(options.chunkservers);
  return new Set(shuffled(names, random).slice(0, options.victims));
}

function chunkserverNames(count: number): readonly string[] {
  return Array.from({ length: count }, (_, i) => `cs${i + 1}`);
}
