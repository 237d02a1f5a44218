// LevelDB as the master's stores use it: bytes to bytes, and every write synced.
//
// D1. There is no unsynced write. LevelDB closes a rotated write-ahead log without syncing it, so
//     an unsynced batch between two synced ones could be missing after a power cut.
// D2. A batch is atomic; `clear` is not, so there is none.
// D3. A rejected or throwing call means that the database must not be used any more: after a failed
//     write LevelDB may acknowledge later ones and still lose them.

import { setImmediate } from "node:timers/promises";
import { type Closable, type ErrorCode, LumeoError, MiB } from "@lumeofs/base";
import { ClassicLevel } from "classic-level";

export type LevelOperation =
  | { readonly type: "put"; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: "del"; readonly key: Uint8Array };

export type LevelPair = readonly [key: Uint8Array, value: Uint8Array];

/** Keys with from <= key < to. */
export interface LevelRange {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/** A frozen view of a database. To be closed before the database. */
export interface LevelSnapshot extends Closable {
  get(key: Uint8Array): Uint8Array | undefined;
  scan(range: LevelRange): LevelScan;
}

/** A walk in key order over what was there when it began. */
export interface LevelScan extends Closable {
  /** The next pairs, at most `countMax`; none at the end. */
  next(countMax: number): Promise<readonly LevelPair[]>;
}

/** What the stores need of LevelDB; tests put a failing one in its place. */
export interface LevelDatabase extends Closable {
  get(key: Uint8Array): Uint8Array | undefined;
  /**
   * One atomic durable batch. A long one is gathered in slices, and others have their turn between
   * two of them: what is iterated must not change meanwhile.
   */
  write(operations: Iterable<LevelOperation>): Promise<void>;
  scan(range: LevelRange): LevelScan;
  snapshot(): LevelSnapshot;
}

export interface LevelSettings {
  readonly compression: boolean;
  readonly cacheBytes: number;
  readonly writeBufferBytes: number;
}

/** Opens a database and makes it if it is missing. */
export type OpenLevel = (location: string, settings: LevelSettings) => Promise<LevelDatabase>;

type Level = ClassicLevel<Uint8Array, Uint8Array>;

/** So many operations go into a batch in one turn, at 1 to 2 µs each. */
const SLICE_OPERATIONS = 1_000;

/** So many bytes are read for `LevelScan.next` at most: far more pairs than its callers ask for. */
const SCAN_BYTES_MAX = 1 * MiB;

/**
 * The real thing.
 *
 * @throws CORRUPT, or STORE_FAILED for everything else, such as a folder in use by another process.
 */
export const openLevel: OpenLevel = async (location, settings) => {
  const level: Level = new ClassicLevel(location, {
    keyEncoding: "view",
    valueEncoding: "view",
    compression: settings.compression,
    cacheSize: settings.cacheBytes,
    writeBufferSize: settings.writeBufferBytes,
  });
  try {
    await level.open();
  } catch (error) {
    throw failure("open", location, error);
  }
  return new Database(level);
};

/** Removes a closed database with its folder; nothing happens if there is none. */
export async function destroyLevel(location: string): Promise<void> {
  try {
    await ClassicLevel.destroy(location);
  } catch (error) {
    throw failure("remove", location, error);
  }
}

class Database implements LevelDatabase {
  readonly #level: Level;

  constructor(level: Level) {
    this.#level = level;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return get(this.#level, key, undefined);
  }

  async write(operations: Iterable<LevelOperation>): Promise<void> {
    try {
      // Filled call by call: an array would be copied twice, at three times the cost.
      const batch = this.#level.batch();
      for (const operation of operations) {
        if (operation.type === "put") batch.put(operation.key, operation.value);
        else batch.del(operation.key);
        if (batch.length % SLICE_OPERATIONS === 0) await setImmediate();
      }
      await batch.write({ sync: true });
    } catch (error) {
      throw failure("write to", this.#level.location, error);
    }
  }

  scan(range: LevelRange): LevelScan {
    return new Scan(this.#level, range, undefined);
  }

  snapshot(): LevelSnapshot {
    return new Snapshot(this.#level);
  }

  async close(): Promise<void> {
    try {
      await this.#level.close();
    } catch (error) {
      throw failure("close", this.#level.location, error);
    }
  }
}

type LevelView = ReturnType<Level["snapshot"]>;

class Snapshot implements LevelSnapshot {
  readonly #level: Level;
  readonly #view: LevelView;

  constructor(level: Level) {
    this.#level = level;
    this.#view = level.snapshot();
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return get(this.#level, key, this.#view);
  }

  scan(range: LevelRange): LevelScan {
    return new Scan(this.#level, range, this.#view);
  }

  close(): Promise<void> {
    return this.#view.close();
  }
}

class Scan implements LevelScan {
  readonly #location: string;
  readonly #iterator;

  constructor(level: Level, range: LevelRange, view: LevelView | undefined) {
    this.#location = level.location;
    // The iterator sees the database as it is now, not as it is when the first pair is read.
    this.#iterator = level.iterator({
      gte: range.from,
      lt: range.to,
      highWaterMarkBytes: SCAN_BYTES_MAX,
      ...(view === undefined ? {} : { snapshot: view }),
    });
  }

  async next(countMax: number): Promise<readonly LevelPair[]> {
    try {
      return await this.#iterator.nextv(countMax);
    } catch (error) {
      throw failure("read", this.#location, error);
    }
  }

  close(): Promise<void> {
    return this.#iterator.close();
  }
}

function get(level: Level, key: Uint8Array, view: LevelView | undefined): Uint8Array | undefined {
  try {
    return level.getSync(key, view === undefined ? {} : { snapshot: view });
  } catch (error) {
    throw failure("read", level.location, error);
  }
}

function failure(action: string, location: string, cause: unknown): LumeoError {
  const codes = codesOf(cause);
  const code: ErrorCode = codes.includes("LEVEL_CORRUPTION") ? "CORRUPT" : "STORE_FAILED";
  const why = codes.includes("LEVEL_LOCKED") ? "another process has it open" : deepest(cause);
  return new LumeoError(code, `Cannot ${action} the database "${location}": ${why}`, { cause });
}

function codesOf(error: unknown): string[] {
  if (!(error instanceof Error)) return [];
  const { code } = error as Error & { code?: string };
  return [...(code === undefined ? [] : [code]), ...codesOf(error.cause)];
}

function deepest(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : deepest(error.cause);
}
