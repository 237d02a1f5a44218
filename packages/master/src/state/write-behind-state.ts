// The replicated state: changes are visible at once, and reach the database behind, many together.
//
// W1. `#changes` is newer than `#flushing`, and that is newer than the database.
// W2. A flush takes whole units only: it begins between two units, never within one.
// W3. One flush at a time; its batch holds the changes and the mark up to which they reach.
// W4. After the first failure nothing is flushed and nothing answered.

import {
  type Alarm,
  hashBytes,
  InvariantViolation,
  invariant,
  LumeoError,
  MiB,
  ROOT_INODE,
  type Timers,
} from "@lumeofs/base";
import type {
  LevelDatabase,
  LevelOperation,
  LevelPair,
  LevelSnapshot,
} from "../consensus/level-database.js";
import type { StateImage } from "../consensus/replicated-state.js";
import { decodeCounter } from "../metadata/counters.js";
import { counterKey } from "../metadata/keys.js";
import { logIndex, term } from "../raft/entry.js";
import { FreshNames } from "./fresh-names.js";
import { type FreezableState, type FrozenState, frozenState } from "./frozen-state.js";
import { decodeImage, encodeImage } from "./image-codec.js";
import { type Change, changesWithin, Overlay, sortedInSlices, unsortedWithin } from "./overlay.js";
import { MergedScan } from "./range.js";
import { ReadCache } from "./read-cache.js";
import type { StateDatabases } from "./state-databases.js";
import type { AppliedMark } from "./state-store.js";
import {
  checkFlushMarks,
  MACHINE_KEYS,
  readStanding,
  type Standing,
  standingOperations,
} from "./store-records.js";

export interface WriteBehindLimits {
  /** A change waits at most this long before its flush begins. */
  readonly flushDelayMs: number;
  /** A flush begins at once when so many bytes of changes wait. */
  readonly flushBytes: number;
  /** The store is congested when so many bytes wait. */
  readonly waitingBytesMax: number;
}

export const WRITE_BEHIND_LIMITS_DEFAULT: WriteBehindLimits = {
  flushDelayMs: 100,
  flushBytes: 4 * MiB,
  waitingBytesMax: 32 * MiB,
};

export class WriteBehindState implements FreezableState {
  readonly #databases: StateDatabases;
  readonly #timers: Timers;
  readonly #limits: WriteBehindLimits;
  /** What was read of the database and not changed since. */
  readonly #cache = new ReadCache();
  #names: FreshNames;
  #changes = new Overlay();
  #flushing: Overlay | undefined;
  #flush: Promise<void> | undefined;
  /** The newest write of it: while changes keep coming fast, others follow without an end. */
  #write: Promise<void> | undefined;
  #alarm: Alarm | undefined;
  #applied: AppliedMark;
  #standing: Standing;
  /** Something was changed since the last commit. */
  #withinUnit = false;
  #failure: LumeoError | undefined;
  #closing: Promise<void> | undefined;
  readonly #failed: Promise<LumeoError>;
  #tellFailure: (error: LumeoError) => void = () => undefined;

  private constructor(
    databases: StateDatabases,
    timers: Timers,
    limits: WriteBehindLimits,
    standing: Standing,
  ) {
    this.#failed = new Promise((resolve) => {
      this.#tellFailure = resolve;
    });
    this.#databases = databases;
    this.#timers = timers;
    this.#limits = limits;
    this.#standing = standing;
    this.#applied = standing.mark;
    this.#names = new FreshNames(countOf(databases.current.get(INODE_COUNTER)));
  }

  /**
   * Takes over the databases, which it closes in the end.
   *
   * @throws CORRUPT if the current one is not as it was written.
   */
  static async open(
    databases: StateDatabases,
    timers: Timers,
    limits: WriteBehindLimits = WRITE_BEHIND_LIMITS_DEFAULT,
  ): Promise<WriteBehindState> {
    const standing = readStanding(databases.current) ?? NEW;
    await checkFlushMarks(databases.current, standing.flushes);
    return new WriteBehindState(databases, timers, limits, standing);
  }

  get applied(): AppliedMark {
    return this.#applied;
  }

  get durable(): AppliedMark {
    return this.#standing.mark;
  }

  get failed(): Promise<LumeoError> {
    return this.#failed;
  }

  get congested(): boolean {
    return this.#limits.waitingBytesMax < this.#changes.bytes + (this.#flushing?.bytes ?? 0);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.#mustWork();
    return this.#find(key);
  }

  #find(key: Uint8Array): Uint8Array | undefined {
    const hash = hashBytes(key);
    const change = this.#changes.find(key, hash);
    if (0 <= change) return this.#changes.valueAt(change);
    const flushing = this.#flushing?.find(key, hash) ?? -1;
    if (0 <= flushing) return this.#flushing?.valueAt(flushing);
    const known = this.#cache.get(key, hash);
    if (known !== undefined) return known;
    if (!this.#names.mayHold(key, hash)) return undefined;
    const value = this.#look(key);
    if (value !== undefined) this.#cache.add(key, value);
    return value;
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.#change(key, value);
  }

  delete(key: Uint8Array): void {
    this.#change(key, undefined);
  }

  async range(from: Uint8Array, to: Uint8Array, countMax: number): Promise<readonly LevelPair[]> {
    this.#mustWork();
    // Changes and scan are taken in one turn: together they are the state as it is now.
    const overlays =
      this.#flushing === undefined ? [this.#changes] : [this.#flushing, this.#changes];
    const changes = changesWithin(overlays, from, to);
    const database = this.#db;
    const scan = this.#checked(() => database.scan({ from, to }));
    try {
      return await new MergedScan(scan, changes).next(countMax);
    } catch (error) {
      // Whoever closes the state ends what is being read: that is no failure of the store.
      if (database === this.#db && this.#closing === undefined) throw this.#fail(error);
      this.#mustWork();
      throw new LumeoError("UNAVAILABLE", "Cannot list: the state is being replaced", {
        cause: error,
      });
    } finally {
      await scan.close().catch((error: unknown) => this.#fail(error));
    }
  }

  commit(mark: AppliedMark): void {
    this.#mustWork();
    invariant(this.#applied.index < mark.index, "applied index goes back", { ...mark });
    this.#applied = mark;
    this.#withinUnit = false;
    if (this.#flush !== undefined) return;
    if (this.#limits.flushBytes <= this.#changes.bytes) this.#beginFlush();
    else this.#alarm ??= this.#timers.after(this.#limits.flushDelayMs, () => this.#beginFlush());
  }

  async flush(): Promise<void> {
    this.#mustWork();
    const target = this.#applied.index;
    while (this.durable.index < target) {
      this.#beginFlush();
      await this.#write?.catch((error: unknown) => {
        throw this.#fail(error);
      });
      if (this.#failure !== undefined) throw this.#failure;
    }
  }

  async image(): Promise<StateImage> {
    this.#mustWork();
    const snapshot = this.#checked(() => this.#db.snapshot());
    const { index, term } = this.#checked(() => readStanding(snapshot) ?? NEW).mark;
    return imageOf({ index, term }, snapshot, []);
  }

  capture(): StateImage {
    this.#mustWork();
    invariant(!this.#withinUnit, "state is captured within a unit of changes");
    const { from, to } = MACHINE_KEYS;
    // In one turn: a flush that is under way is in the snapshot or not, and lies over it anyway.
    const snapshot = this.#checked(() => this.#db.snapshot());
    const overlays =
      this.#flushing === undefined ? [this.#changes] : [this.#flushing, this.#changes];
    const changes = unsortedWithin(overlays, from, to);
    const { index, term } = this.#applied;
    return imageOf({ index, term }, snapshot, changes);
  }

  async freeze(): Promise<FrozenState> {
    this.#mustWork();
    const snapshot = this.#checked(() => this.#db.snapshot());
    const { mark } = this.#checked(() => readStanding(snapshot) ?? NEW);
    return frozenState(mark.index, snapshot);
  }

  async install(mark: AppliedMark, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    this.#mustWork();
    invariant(!this.#withinUnit, "state is replaced within a unit of changes");
    const next = await this.#databases.prepare().catch((error: unknown) => {
      throw this.#fail(error);
    });
    let standing: Standing;
    try {
      standing = await fill(next.database, mark, pieces);
    } catch (error) {
      await next.discard().catch((failed: unknown) => this.#fail(failed));
      throw error instanceof LumeoError && error.code === "CORRUPT" ? error : this.#fail(error);
    }
    try {
      await this.#flush;
      this.#mustWork();
      this.#alarm?.cancel();
      this.#alarm = undefined;
      await next.activate(() => {
        this.#changes = new Overlay();
        this.#cache.clear();
        this.#names = new FreshNames(countOf(next.database.get(INODE_COUNTER)));
        this.#applied = mark;
        this.#standing = standing;
      });
    } catch (error) {
      throw this.#fail(error);
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    while (this.#failure === undefined && this.durable.index < this.#applied.index) {
      this.#beginFlush();
      await this.#flush;
    }
    this.#alarm?.cancel();
    await this.#flush;
    await this.#databases.close();
  }

  get #db(): LevelDatabase {
    return this.#databases.current;
  }

  #change(key: Uint8Array, value: Uint8Array | undefined): void {
    this.#mustWork();
    const first = key[0] ?? 0;
    invariant(0x01 <= first && first < 0x80, "key does not belong to the state machine", { first });
    this.#withinUnit = true;
    this.#changes.set(key, value);
  }

  #beginFlush(): void {
    this.#alarm?.cancel();
    this.#alarm = undefined;
    if (this.#flush !== undefined || this.#failure !== undefined) return;
    if (this.durable.index === this.#applied.index) return;
    this.#flush = this.#flushAll()
      .catch((error: unknown) => void this.#fail(error))
      .finally(() => {
        this.#flush = undefined;
      });
  }

  /** Flushes until little waits; what came during the last write waits for its own alarm. */
  async #flushAll(): Promise<void> {
    do {
      this.#write = this.#flushOnce();
      await this.#write;
    } while (this.#limits.flushBytes <= this.#changes.bytes);
    if (this.durable.index < this.#applied.index && this.#closing === undefined) {
      this.#alarm ??= this.#timers.after(this.#limits.flushDelayMs, () => this.#beginFlush());
    }
  }

  async #flushOnce(): Promise<void> {
    invariant(!this.#withinUnit, "flush begins within a unit of changes");
    const standing = { mark: this.#applied, flushes: this.#standing.flushes + 1 };
    const flushing = this.#changes;
    this.#flushing = flushing;
    this.#changes = new Overlay();
    const lastInode = countOf(this.#find(INODE_COUNTER));
    await this.#db.write(this.#operationsOf(flushing, standing, lastInode));
    this.#flushing = undefined;
    this.#standing = standing;
  }

  /** Taken in slices, between which all goes on: `flushing` stands before cache and database. */
  *#operationsOf(
    flushing: Overlay,
    standing: Standing,
    lastInode: number,
  ): Generator<LevelOperation, void> {
    for (let i = 0; i < flushing.size; i++) {
      const key = flushing.keyAt(i);
      const value = flushing.valueAt(i);
      if (value !== undefined) this.#names.add(key, lastInode);
      this.#cache.forget(key);
      yield value === undefined ? { type: "del", key } : { type: "put", key, value };
    }
    yield* standingOperations(standing);
  }

  #look(key: Uint8Array): Uint8Array | undefined {
    return this.#checked(() => this.#db.get(key));
  }

  #checked<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw this.#fail(error);
    }
  }

  #fail(error: unknown): LumeoError {
    if (error instanceof InvariantViolation) throw error;
    const why = error instanceof Error ? error.message : String(error);
    this.#failure ??= new LumeoError("STORE_FAILED", `The state store has failed: ${why}`, {
      cause: error,
    });
    this.#tellFailure(this.#failure);
    return this.#failure;
  }

  #mustWork(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) {
      throw new LumeoError("CLOSED", "Cannot use the state: it is closed");
    }
  }
}

const INODE_COUNTER = counterKey("inode");

function countOf(counter: Uint8Array | undefined): number {
  return counter === undefined ? ROOT_INODE : decodeCounter(counter);
}

const NEW: Standing = { mark: { index: logIndex(0), term: term(0) }, flushes: 0 };

/** An image goes into the database in batches of this size: each is synced. */
const INSTALL_BATCH_BYTES = 2 * MiB;

/** The pairs of a snapshot, with changes laid over them, which come in any order. */
function imageOf(
  mark: AppliedMark,
  snapshot: LevelSnapshot,
  changes: readonly Change[],
): StateImage {
  const pieces = async function* (): AsyncIterable<Uint8Array> {
    const scan = new MergedScan(snapshot.scan(MACHINE_KEYS), await sortedInSlices(changes));
    try {
      yield* encodeImage(mark, scan);
    } finally {
      await scan.close();
    }
  };
  return { ...mark, pieces, close: () => snapshot.close() };
}

/** Writes a whole image into an empty database. */
async function fill(
  database: LevelDatabase,
  mark: AppliedMark,
  pieces: AsyncIterable<Uint8Array>,
): Promise<Standing> {
  let batch: LevelOperation[] = [];
  let bytes = 0;
  for await (const pairs of decodeImage(mark, pieces)) {
    for (const [key, value] of pairs) {
      batch.push({ type: "put", key, value });
      bytes += key.byteLength + value.byteLength;
    }
    if (bytes < INSTALL_BATCH_BYTES) continue;
    await database.write(batch);
    [batch, bytes] = [[], 0];
  }
  await database.write(batch);
  const standing = { mark, flushes: 1 };
  await database.write(standingOperations(standing));
  return standing;
}
