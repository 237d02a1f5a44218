// One machine whose power fails at a chosen call of its disk or of its databases, with the stores
// of a member on it as the product puts them together: for tests that try every such call.
//
// M1. Calls are numbered from 1 over files and databases together, in their order.
// M2. A write of a database is one call: it lands as a whole or not, as LevelDB promises.
// M3. After the failure nothing of the old process ends or changes anything.

import { nodeId, SeededRandom, SILENT_LOGGER, type Timers } from "@lumeofs/base";
import { type CrashLoss, SimDisk } from "@lumeofs/testkit";
import type { LevelDatabase, OpenLevel } from "../src/consensus/level-database.js";
import { LevelLogStore } from "../src/consensus/level-log-store.js";
import { recover } from "../src/consensus/recovery.js";
import { SnapshotStore } from "../src/consensus/snapshot-store.js";
import type { State } from "../src/metadata/state.js";
import type { LogIndex } from "../src/raft/entry.js";
import { LevelDatabases } from "../src/state/level-databases.js";
import { MachineState } from "../src/state/machine-state.js";
import { MemoryDatabase } from "../src/state/memory-databases.js";
import { WriteBehindState } from "../src/state/write-behind-state.js";
import { FOUNDERS } from "./contract/log-store.js";

/** Nothing happens by time alone in these tests: flushes are asked for. */
const NO_TIMERS: Timers = {
  after: () => ({ cancel: () => {} }),
  every: () => ({ cancel: () => {} }),
};

const FOLDER = "m";

/** What a crash does with what was under way and not yet synced. */
export interface CrashWay {
  readonly loss: CrashLoss;
  /** Whether the call that meets the failure has its effect, if it is one of a database. */
  readonly lands: boolean;
  readonly seed: number;
}

/** The stores of a member, open. */
export interface Stores {
  readonly log: LevelLogStore;
  readonly machine: MachineState;
  readonly snapshots: SnapshotStore;
  readonly databases: LevelDatabases;
}

/** Thrown away with everything that waits for it: the process is gone. */
export const POWER_FAILED = Symbol("the power has failed");

/** Remembers every command under its index. */
export function remember(state: State, index: LogIndex, data: Uint8Array): Uint8Array {
  const key = new Uint8Array(9);
  new DataView(key.buffer).setBigUint64(1, BigInt(index));
  key[0] = 0x10;
  state.put(key, data);
  return data;
}

export class CrashMachine {
  readonly #disk: SimDisk;
  /** What is durable of each database. */
  readonly #contents = new Map<string, Map<string, Uint8Array>>();
  readonly #way: CrashWay;
  #calls = 0;
  #crashAt = Number.POSITIVE_INFINITY;
  #generation = 0;
  #powerFailed: () => void = () => {};

  constructor(way: CrashWay) {
    this.#way = way;
    this.#disk = new SimDisk({
      random: new SeededRandom(way.seed),
      faultOf: () => (this.#fails() ? "crash" : undefined),
      crashed: () => this.#crash(),
    });
  }

  get calls(): number {
    return this.#calls;
  }

  /** Databases of states that are on the disk. */
  get states(): readonly string[] {
    return [...this.#contents.keys()].filter((location) => location.includes("/state-"));
  }

  paths(): readonly string[] {
    return this.#disk.paths();
  }

  /** Runs a process until it ends, or the power fails at its n-th call from now. */
  async run<T>(
    body: () => Promise<T>,
    crashAt = Number.POSITIVE_INFINITY,
  ): Promise<T | typeof POWER_FAILED> {
    this.#calls = 0;
    this.#crashAt = crashAt;
    const failed = new Promise<typeof POWER_FAILED>((resolve) => {
      this.#powerFailed = () => resolve(POWER_FAILED);
    });
    return Promise.race([body(), failed]);
  }

  /** Ends whatever process is running, as if at this moment the power had failed. */
  powerOff(): void {
    this.#crash();
    this.#crashAt = Number.POSITIVE_INFINITY;
  }

  /** Opens everything and brings it together, as a master does when it starts. */
  async boot(): Promise<Stores> {
    const disk = this.#disk.mount();
    const openDatabase = this.#opener();
    const databases = await LevelDatabases.open({
      folder: FOLDER,
      disk,
      cacheBytes: 0,
      writeBufferBytes: 0,
      openDatabase,
      destroyDatabase: async (location) => {
        await this.#call(() => this.#contents.delete(location));
      },
    });
    const limits = { flushDelayMs: 1, flushBytes: 1 << 30, waitingBytesMax: 1 << 30 };
    const state = await WriteBehindState.open(databases, NO_TIMERS, limits);
    const machine = new MachineState(state, remember);
    const log = await LevelLogStore.open({
      location: `${FOLDER}/log`,
      node: nodeId("m1"),
      founders: FOUNDERS,
      store: "s1",
      openDatabase,
    });
    const snapshots = await SnapshotStore.open(disk);
    await recover({ log, state: machine, snapshots }, SILENT_LOGGER);
    return { log, machine, snapshots, databases };
  }

  #opener(): OpenLevel {
    const generation = this.#generation;
    return async (location): Promise<LevelDatabase> => {
      // As LevelDB: a folder with a synced file in it. That its own name is durable is our
      // business.
      const [disk, folder] = [this.#disk.mount(), location.slice(FOLDER.length + 1)];
      await disk.makeFolder(folder);
      await (await disk.open(`${folder}/MANIFEST`, { create: true })).close();
      await disk.syncFolder(folder);
      const contents = this.#contents.get(location) ?? new Map<string, Uint8Array>();
      await this.#call(() => this.#contents.set(location, contents));
      return new MemoryDatabase(contents, (land) => this.#call(land, generation));
    };
  }

  /** One call of a database. */
  async #call(land: () => void, generation = this.#generation): Promise<void> {
    if (generation !== this.#generation) return forever();
    if (this.#fails()) {
      if (this.#way.lands) land();
      this.#crash();
      return forever();
    }
    await Promise.resolve();
    if (generation !== this.#generation) return forever();
    land();
  }

  #fails(): boolean {
    this.#calls += 1;
    return this.#calls === this.#crashAt;
  }

  #crash(): void {
    this.#generation += 1;
    this.#disk.crash(this.#way.loss);
    // A database whose folder was never synced is gone with all that was in it.
    const paths = new Set(this.#folders());
    for (const location of this.#contents.keys()) {
      if (!paths.has(location.slice(FOLDER.length + 1))) this.#contents.delete(location);
    }
    this.#powerFailed();
  }

  #folders(): readonly string[] {
    return this.#disk.paths().flatMap((path) => path.split("/").slice(0, -1));
  }
}

function forever(): Promise<never> {
  return new Promise(() => {});
}
