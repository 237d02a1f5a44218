// A machine with a master. Its disk may fail, fill, rot and be lost. A master that has lost what it
// knew never comes back: another one with another name takes its place.
//
// What rots in the database of the state is noticed by whoever reads it: LevelDB has checksums, and
// the state none of its own. What rots in the log may be noticed, or not: entries have their own.

import { integerBetween, LumeoError, type SeededRandom } from "@lumeofs/base";
import type { LevelDatabase, Master, MasterConfig } from "@lumeofs/master";
import type { Parts } from "../parts.js";
import { Machine, type Run, type Surroundings } from "./machine.js";
import { DatabaseContents, SimDatabase } from "./sim-database.js";

const LOG = /[/]log$/;

export class MasterMachine extends Machine {
  /** Its disk has lost something by itself. */
  isHarmed = false;
  /** It cannot go on: it is to be replaced. */
  isLost = false;
  readonly address: string;
  readonly #config: MasterConfig;
  readonly #parts: Parts;
  readonly #databases = new Map<string, DatabaseContents>();
  readonly #readRandom: SeededRandom;
  #master: Master | undefined;

  constructor(config: MasterConfig, parts: Parts, around: Surroundings) {
    super(config.id, around);
    this.#config = config;
    this.#parts = parts;
    this.#readRandom = this.random.fork("reads");
    this.address = config.listen;
  }

  /** Undefined while it starts, and while it is down. */
  get master(): Master | undefined {
    return this.isUp ? this.#master : undefined;
  }

  /** The disk is replaced by an empty one, and the master starts with that, under its old name. */
  wipe(): void {
    this.losePower("none");
    this.record(() => "is wiped");
    this.isHarmed = true;
    this.isLost = true;
    this.disk.replace();
    this.#databases.clear();
  }

  /** Something on the disk goes bad: a pair of a database, or a bit of a file. */
  rot(random: SeededRandom): void {
    this.isHarmed = true;
    const files = this.disk.paths().filter((path) => 0 < this.disk.length(path));
    const path = files[integerBetween(random, 0, Math.max(0, files.length - 1))];
    if (path !== undefined && random.fraction() < 0.3) {
      const position = integerBetween(random, 0, this.disk.length(path) - 1);
      this.record(() => `bit flips in ${path} at ${position}`);
      this.disk.flipBit(path, position, integerBetween(random, 0, 7));
      return;
    }
    const isOfLog = random.fraction() < 0.5;
    const some = [...this.#databases].filter(([location]) => LOG.test(location) === isOfLog);
    const [location, contents] = some.at(-1) ?? [];
    if (location === undefined || contents === undefined || contents.size === 0) return;
    const index = integerBetween(random, 0, contents.size - 1);
    const isSilent = isOfLog && random.fraction() < 0.5;
    this.record(() => `pair ${index} of ${location} rots${isSilent ? ", unseen" : ""}`);
    if (isSilent) contents.flip(index, random);
    else contents.rot(index);
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

  protected override failed(run: Run, error: unknown): void {
    const isCorrupt = isOfDamage(error);
    if (isCorrupt && !this.isHarmed) this.around.world.fail(error);
    super.failed(run, error);
    if (isCorrupt) this.isLost = true;
  }

  async #open(run: Run, location: string): Promise<LevelDatabase> {
    // The folder is what says that there is a database.
    const disk = this.mount();
    await disk.makeFolder(location.slice(location.lastIndexOf("/") + 1));
    await disk.syncFolder("");
    const contents = this.#databases.get(location) ?? new DatabaseContents();
    this.#databases.set(location, contents);
    return new SimDatabase(contents, {
      landWrite: (land) => this.#land(run, land),
      checkRead: () => this.#checkRead(),
    });
  }

  #checkRead(): void {
    const fault = this.diskFaultOf("read", this.#readRandom);
    if (fault === undefined) return;
    throw new LumeoError("STORE_FAILED", "Cannot read the database: input/output error (EIO)");
  }

  /** A write to a disk that is full or fails may land, or not: nobody may go on from there. */
  #land(run: Run, land: () => void): Promise<void> {
    const fault = this.diskFaultOf("write", this.random);
    if (fault === undefined) return this.land(run, land);
    if (this.random.fraction() < 0.3) land();
    const message = `Cannot write to the database: ${fault}`;
    return Promise.reject(new LumeoError("STORE_FAILED", message));
  }
}

/** Whether something is damaged, and not only out of reach for now. */
function isOfDamage(error: unknown): boolean {
  if (!(error instanceof LumeoError)) return false;
  return error.code === "CORRUPT" || isOfDamage(error.cause);
}
