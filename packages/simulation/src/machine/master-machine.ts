// A machine with a master.

import { integerBetween } from "@lumeofs/base";
import type { LevelDatabase, Master, MasterConfig } from "@lumeofs/master";
import type { Parts } from "../parts.js";
import { Machine, type Run, type Surroundings } from "./machine.js";
import { DatabaseContents, SimDatabase } from "./sim-database.js";

export class MasterMachine extends Machine {
  readonly #config: MasterConfig;
  readonly #parts: Parts;
  readonly #databases = new Map<string, DatabaseContents>();
  #master: Master | undefined;

  constructor(config: MasterConfig, parts: Parts, around: Surroundings) {
    super(config.id, around);
    this.#config = config;
    this.#parts = parts;
  }

  /** Undefined while it starts, and while it is down. */
  get master(): Master | undefined {
    return this.isUp ? this.#master : undefined;
  }

  protected async launch(run: Run): Promise<void> {
    this.#master = undefined;
    const master = await this.#parts.Master.start(this.#config, {
      logger: run.logger,
      onFatal: (error) => this.failed(run, error),
      host: {
        clock: run.clock,
        timers: run.clock,
        random: run.random,
        secret: (length) => Uint8Array.from({ length }, () => integerBetween(run.random, 0, 255)),
        openDisk: async () => this.mount(),
        network: run.rpc,
        hasProcess: false,
        databases: {
          openDatabase: (location) => this.#open(run, location),
          destroyDatabase: async (location) => {
            this.#databases.delete(location);
          },
        },
      },
    });
    if (this.run === run) this.#master = master;
  }

  async #open(run: Run, location: string): Promise<LevelDatabase> {
    // The folder is what says that there is a database.
    const disk = this.mount();
    await disk.makeFolder(location.slice(location.lastIndexOf("/") + 1));
    await disk.syncFolder("");
    const contents = this.#databases.get(location) ?? new DatabaseContents();
    this.#databases.set(location, contents);
    return new SimDatabase(contents, (land) => this.land(run, land));
  }
}
