// The state databases as folders `state-<n>` beside a file CURRENT that names the one in use:
// docs/formats/state.md.
//
// F1. CURRENT changes by rename only, after the database that it names is complete and synced.
// F2. What CURRENT does not name is never opened, and is removed.

import type { Disk } from "@lumeofs/base";
import { LumeoError } from "@lumeofs/base";
import {
  destroyLevel,
  type LevelDatabase,
  type OpenLevel,
  openLevel,
} from "../consensus/level-database.js";
import { WAY_OUT } from "../consensus/way-out.js";
import type { PreparedDatabase, StateDatabases } from "./state-databases.js";

const CURRENT = "CURRENT";
const CURRENT_PART = "CURRENT.part";
const NAME = /^state-([1-9][0-9]{0,14})$/;

export interface LevelDatabasesOptions {
  /** The folder that holds the databases, as a path of the file system. */
  readonly folder: string;
  /** The same folder. */
  readonly disk: Disk;
  readonly cacheBytes: number;
  readonly writeBufferBytes: number;
  readonly openDatabase?: OpenLevel;
  readonly destroyDatabase?: (location: string) => Promise<void>;
}

export class LevelDatabases implements StateDatabases {
  readonly #options: LevelDatabasesOptions;
  #number: number;
  #current: LevelDatabase;

  private constructor(options: LevelDatabasesOptions, number: number, current: LevelDatabase) {
    this.#options = options;
    this.#number = number;
    this.#current = current;
  }

  /** @throws CORRUPT if CURRENT is unreadable or names nothing; STORE_FAILED for the rest. */
  static async open(options: LevelDatabasesOptions): Promise<LevelDatabases> {
    const { disk } = options;
    const named = await readCurrent(disk);
    for (const name of await disk.list("")) {
      const number = numberOf(name);
      if (name === CURRENT_PART) await disk.remove(name);
      if (number !== undefined && number !== named) await destroyNumber(options, number);
    }
    const number = named ?? 1;
    if (named !== undefined && !(await disk.list("")).includes(nameOf(number))) {
      throw new LumeoError(
        "CORRUPT",
        `Cannot open the state in "${options.folder}": ${CURRENT} names "${nameOf(number)}", ` +
          `which is missing. ${WAY_OUT}`,
      );
    }
    const current = await openNumber(options, number);
    try {
      if (named === undefined) await writeCurrent(disk, number);
      return new LevelDatabases(options, number, current);
    } catch (error) {
      await current.close();
      throw error;
    }
  }

  get current(): LevelDatabase {
    return this.#current;
  }

  async prepare(): Promise<PreparedDatabase> {
    const number = this.#number + 1;
    await destroyNumber(this.#options, number);
    const database = await openNumber(this.#options, number);
    return {
      database,
      activate: (switched) => this.#activate(number, database, switched),
      discard: async () => {
        await database.close();
        await destroyNumber(this.#options, number);
      },
    };
  }

  close(): Promise<void> {
    return this.#current.close();
  }

  async #activate(number: number, database: LevelDatabase, switched: () => void): Promise<void> {
    const { disk } = this.#options;
    await disk.syncFolder(nameOf(number));
    await writeCurrent(disk, number);
    const old = { database: this.#current, number: this.#number };
    this.#current = database;
    this.#number = number;
    switched();
    await old.database.close();
    await destroyNumber(this.#options, old.number);
  }
}

function openNumber(options: LevelDatabasesOptions, number: number): Promise<LevelDatabase> {
  const { cacheBytes, writeBufferBytes } = options;
  const settings = { compression: true, cacheBytes, writeBufferBytes };
  return (options.openDatabase ?? openLevel)(location(options, number), settings);
}

function destroyNumber(options: LevelDatabasesOptions, number: number): Promise<void> {
  return (options.destroyDatabase ?? destroyLevel)(location(options, number));
}

async function readCurrent(disk: Disk): Promise<number | undefined> {
  if (!(await disk.exists(CURRENT))) return undefined;
  const file = await disk.open(CURRENT, { create: false });
  try {
    const bytes = new Uint8Array(64);
    const text = new TextDecoder().decode(bytes.subarray(0, await file.readAt(bytes, 0)));
    const number = text.endsWith("\n") ? numberOf(text.slice(0, -1)) : undefined;
    if (number === undefined) {
      throw new LumeoError("CORRUPT", `Cannot open the state: ${CURRENT} says "${text.trim()}"`);
    }
    return number;
  } finally {
    await file.close();
  }
}

async function writeCurrent(disk: Disk, number: number): Promise<void> {
  const file = await disk.open(CURRENT_PART, { create: true });
  try {
    await file.truncate(0);
    await file.writeAt([new TextEncoder().encode(`${nameOf(number)}\n`)], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(CURRENT_PART, CURRENT);
  await disk.syncFolder("");
}

function nameOf(number: number): string {
  return `state-${number}`;
}

function numberOf(name: string): number | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : Number(match[1]);
}

function location(options: LevelDatabasesOptions, number: number): string {
  return `${options.folder}/${nameOf(number)}`;
}
