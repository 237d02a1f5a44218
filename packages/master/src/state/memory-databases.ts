import { LumeoError } from "@lumeofs/base";
import type {
  LevelDatabase,
  LevelOperation,
  LevelPair,
  LevelRange,
  LevelScan,
  LevelSnapshot,
} from "../consensus/level-database.js";
import type { Durability } from "../consensus/memory-log-store.js";
import type { PreparedDatabase, StateDatabases } from "./state-databases.js";

type Contents = Map<string, Uint8Array>;

/** The "disk" under MemoryDatabases: what is on it survives a crash of its user. */
export class MemoryStateDisk {
  contents: Contents = new Map();
}

const AT_ONCE: Durability = async (land) => {
  await Promise.resolve();
  land();
};

/** StateDatabases in memory, whose durability is in the hands of the test or the simulator. */
export class MemoryDatabases implements StateDatabases {
  readonly #disk: MemoryStateDisk;
  readonly #durability: Durability;
  #current: MemoryDatabase;

  constructor(disk: MemoryStateDisk, durability: Durability = AT_ONCE) {
    this.#disk = disk;
    this.#durability = durability;
    this.#current = new MemoryDatabase(disk.contents, durability);
  }

  get current(): LevelDatabase {
    return this.#current;
  }

  async prepare(): Promise<PreparedDatabase> {
    const contents: Contents = new Map();
    const database = new MemoryDatabase(contents, this.#durability);
    return {
      database,
      activate: async (switched) => {
        await this.#durability(() => {
          this.#disk.contents = contents;
        });
        const old = this.#current;
        this.#current = database;
        switched();
        await old.close();
      },
      discard: () => database.close(),
    };
  }

  close(): Promise<void> {
    return this.#current.close();
  }
}

/** An ordered map in memory with the face of LevelDB. */
export class MemoryDatabase implements LevelDatabase {
  readonly #contents: Contents;
  readonly #durability: Durability;
  #closed = false;

  constructor(contents: Contents = new Map(), durability: Durability = AT_ONCE) {
    this.#contents = contents;
    this.#durability = durability;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#mustBeOpen();
    return this.#contents.get(nameOf(key));
  }

  async write(operations: Iterable<LevelOperation>): Promise<void> {
    this.#mustBeOpen();
    const all = [...operations];
    await this.#durability(() => {
      for (const operation of all) {
        const name = nameOf(operation.key);
        if (operation.type === "put") this.#contents.set(name, new Uint8Array(operation.value));
        else this.#contents.delete(name);
      }
    });
  }

  scan(range: LevelRange): LevelScan {
    this.#mustBeOpen();
    return scanOf(this.#contents, range);
  }

  snapshot(): LevelSnapshot {
    this.#mustBeOpen();
    const frozen = new Map(this.#contents);
    return {
      get: (key) => frozen.get(nameOf(key)),
      scan: (range) => scanOf(frozen, range),
      close: async () => frozen.clear(),
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new LumeoError("CLOSED", "Cannot use the database: it is closed");
  }
}

function scanOf(contents: Contents, range: LevelRange): LevelScan {
  const [from, to] = [nameOf(range.from), nameOf(range.to)];
  const pairs: LevelPair[] = [...contents]
    .filter(([name]) => from <= name && name < to)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => [keyOf(name), value]);
  let next = 0;
  return {
    next: async (countMax) => pairs.slice(next, (next += countMax)),
    close: async () => {},
  };
}

/** A key as a string with one character for each byte: works in a Map, and compares alike. */
function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");
}

function keyOf(name: string): Uint8Array {
  return Buffer.from(name, "latin1");
}
