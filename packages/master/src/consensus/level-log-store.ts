// The log of one member in a LevelDB database of its own: docs/formats/raft-log.md.
//
// L1. Every write is one synced batch that ends with the tail record: an entry, the hard state and
//     the end of the log become durable together or not at all.
// L2. What is read was checked when the store was opened, and is checked again when it is read from
//     the disk.
// L3. Memory follows the disk: `last` and `hardState` change after the batch is durable.
// L4. After the first failure nothing is written or read any more. Opening again is the only way to
//     find out what the disk holds.

import { InvariantViolation, invariant, LumeoError, MiB, type NodeId } from "@lumeofs/base";
import {
  type Entry,
  type HardState,
  type LogIndex,
  logIndex,
  type Membership,
  type SnapshotMeta,
  type Term,
  term,
} from "../raft/entry.js";
import { chainOf, encodeEntry, takeEntries } from "./entry-codec.js";
import type { LevelDatabase, LevelOperation, OpenLevel } from "./level-database.js";
import { openLevel } from "./level-database.js";
import { type LogBase, LogHistory } from "./log-history.js";
import {
  encodeHead,
  encodeTail,
  entryKey,
  HEAD_KEY,
  type LogHead,
  type LogTail,
  TAIL_KEY,
} from "./log-records.js";
import type { LogStore, LogWrite } from "./log-store.js";
import { CHAIN_BYTES, decodeStored, readFrame, verifyEntries } from "./log-verification.js";
import { RecentEntries } from "./recent-entries.js";
import { WAY_OUT } from "./way-out.js";

/**
 * Entries of a compacted log are removed in batches of this many: none holds up appends for long.
 */
const REMOVE_BATCH = 1_000;

const RECENT_BYTES_DEFAULT = 32 * MiB;

const SETTINGS = { compression: false, cacheBytes: 8 * MiB, writeBufferBytes: 16 * MiB } as const;

export interface LevelLogOptions {
  /** Folder of the database. */
  readonly location: string;
  readonly node: NodeId;
  /** Who takes part when the log is new; ignored afterwards. */
  readonly founders: Membership;
  /** What the store is called when the log is new; ignored afterwards. */
  readonly store: string;
  /** Newest entries that are kept in memory. */
  readonly recentBytesMax?: number;
  readonly openDatabase?: OpenLevel;
}

export class LevelLogStore implements LogStore {
  readonly #location: string;
  readonly #db: LevelDatabase;
  readonly #recent: RecentEntries;
  #history: LogHistory;
  #head: LogHead;
  #tail: LogTail;
  /** Keys from here to the base are garbage. */
  #garbageFrom: number;
  #removal: Promise<void> = Promise.resolve();
  #writing: Promise<unknown> = Promise.resolve();
  #failure: LumeoError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(
    location: string,
    db: LevelDatabase,
    frame: { readonly head: LogHead; readonly tail: LogTail },
    loaded: Loaded,
  ) {
    this.#location = location;
    this.#db = db;
    this.#head = frame.head;
    this.#tail = frame.tail;
    this.#history = loaded.history;
    this.#recent = loaded.recent;
    this.#garbageFrom = loaded.oldest;
  }

  /**
   * Opens the log, makes it if there is none, and proves that it is whole.
   *
   * @throws CORRUPT       It is not what was written: see the message for the way out.
   * @throws STORE_FAILED  The database does not open, for example because it is in use.
   */
  static async open(options: LevelLogOptions): Promise<LevelLogStore> {
    const { location } = options;
    const db = await (options.openDatabase ?? openLevel)(location, SETTINGS).catch(
      (error: unknown) => Promise.reject(explained(location, error)),
    );
    try {
      const frame = (await readFrame(db, options.node)) ?? (await found(db, options));
      const history = new LogHistory(frame.head.base);
      const recent = new RecentEntries(options.recentBytesMax ?? RECENT_BYTES_DEFAULT);
      const oldest = await verifyEntries(db, frame, (entry) => {
        history.append(entry);
        recent.push(entry);
      });
      const store = new LevelLogStore(location, db, frame, { history, recent, oldest });
      store.#removeGarbage(frame.head.base.index);
      return store;
    } catch (error) {
      await db.close();
      throw explained(location, error);
    }
  }

  /** Drawn when the log was made. */
  get store(): string {
    return this.#head.store;
  }

  get hardState(): HardState {
    return this.#tail.hardState;
  }

  get snapshot(): SnapshotMeta {
    return this.#head.snapshot;
  }

  get first(): LogIndex {
    return logIndex(this.#head.base.index + 1);
  }

  get last(): LogIndex {
    return this.#tail.last;
  }

  get bytes(): number {
    return this.#history.bytes;
  }

  termAt(index: LogIndex): Term {
    this.#mustKnow(index);
    return this.#history.termAt(index);
  }

  membershipAt(index: LogIndex): Membership {
    this.#mustKnow(index);
    return this.#history.membershipAt(index);
  }

  entries(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] {
    this.#mustWork();
    invariant(this.first <= from && from <= to && to <= this.last, "entries outside of the log", {
      from,
      to,
      first: this.first,
      last: this.last,
    });
    return takeEntries({ from, to }, bytesMax, (index) => this.#entryAt(index));
  }

  write(write: LogWrite): Promise<void> {
    return this.#exclusively(async () => {
      const { hardState = this.hardState, truncateFrom, entries } = write;
      const cut = logIndex(Math.min(truncateFrom ?? this.last + 1, this.last + 1));
      invariant(this.first <= cut, "truncation reaches before the log", { cut });
      const operations: LevelOperation[] = keysFrom(cut, this.last);
      let chain = this.#chainAt(logIndex(cut - 1));
      let [last, lastTerm] = [cut - 1, this.termAt(logIndex(cut - 1))];
      for (const entry of entries) {
        invariant(entry.index === last + 1, "entries have a gap", { index: entry.index, last });
        operations.push({ type: "put", key: entryKey(entry.index), value: stored(entry, chain) });
        chain = chainOf(entry, chain);
        [last, lastTerm] = [entry.index, entry.term];
      }
      const tail = { last: logIndex(last), lastTerm, chain, hardState };
      operations.push({ type: "put", key: TAIL_KEY, value: encodeTail(tail) });
      await this.#db.write(operations);
      this.#tail = tail;
      this.#history.truncate(cut);
      this.#recent.truncate(cut);
      for (const entry of entries) {
        this.#history.append(entry);
        this.#recent.push(entry);
      }
    });
  }

  reset(meta: SnapshotMeta): Promise<void> {
    return this.#exclusively(async () => {
      const { last } = this;
      const head: LogHead = { ...this.#head, base: meta, baseChain: 0, snapshot: meta };
      const tail: LogTail = {
        last: meta.index,
        lastTerm: meta.term,
        chain: 0,
        hardState: this.hardState,
      };
      await this.#db.write([
        ...keysFrom(meta.index + 1, last),
        { type: "put", key: HEAD_KEY, value: encodeHead(head) },
        { type: "put", key: TAIL_KEY, value: encodeTail(tail) },
      ]);
      [this.#head, this.#tail] = [head, tail];
      this.#history = new LogHistory(meta);
      this.#recent.clear();
      this.#removeGarbage(Math.min(meta.index, last), meta.index + 1);
    });
  }

  compact(meta: SnapshotMeta, upTo: LogIndex): Promise<void> {
    return this.#exclusively(async () => {
      invariant(upTo <= meta.index, "compaction passes the snapshot", { upTo, meta: meta.index });
      invariant(this.first - 1 <= upTo, "compaction goes back", { upTo, first: this.first });
      const base: LogBase = {
        index: upTo,
        term: this.#history.termAt(upTo),
        membership: this.#history.membershipAt(upTo),
      };
      const baseChain = this.#chainAt(upTo);
      const head: LogHead = { ...this.#head, base, baseChain, snapshot: meta };
      await this.#db.write([{ type: "put", key: HEAD_KEY, value: encodeHead(head) }]);
      this.#head = head;
      this.#history.compact(upTo);
      this.#recent.compact(upTo);
      this.#removeGarbage(upTo);
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await Promise.allSettled([this.#writing]);
    await Promise.allSettled([this.#removal]);
    await this.#db.close();
  }

  #entryAt(index: LogIndex): Entry {
    const recent = this.#recent.find(index);
    if (recent !== undefined) return recent;
    return this.#checked(() => {
      const value = this.#db.get(entryKey(index));
      if (value === undefined) throw new LumeoError("CORRUPT", `entry ${index} is missing`);
      return decodeStored(value, index)[0];
    });
  }

  /** Chain at the base or at an entry: each value carries that of the entry before it. */
  #chainAt(index: LogIndex): number {
    if (index === this.last) return this.#tail.chain;
    if (index === this.#head.base.index) return this.#head.baseChain;
    return this.#checked(() => {
      const next = logIndex(index + 1);
      const value = this.#db.get(entryKey(next));
      if (value === undefined) throw new LumeoError("CORRUPT", `entry ${next} is missing`);
      return decodeStored(value, next)[1];
    });
  }

  /**
   * Removes old keys up to an index, behind. What is left after a crash is removed at the start.
   *
   * @param nextFrom  The next removal begins here: between `upTo` and this nothing was ever stored.
   */
  #removeGarbage(upTo: number, nextFrom = upTo + 1): void {
    this.#removal = this.#removal.then(async () => {
      while (this.#garbageFrom <= upTo && this.#failure === undefined) {
        const end = Math.min(upTo, this.#garbageFrom + REMOVE_BATCH - 1);
        await this.#db.write(keysFrom(this.#garbageFrom, end));
        this.#garbageFrom = end + 1;
      }
      this.#garbageFrom = Math.max(this.#garbageFrom, nextFrom);
    });
    this.#removal.catch((error: unknown) => this.#fail(error));
  }

  /** Runs a change of the store; calls that overlap are a bug of the caller. */
  async #exclusively(change: () => Promise<void>): Promise<void> {
    this.#mustWork();
    const done = change();
    this.#writing = done.catch(() => undefined);
    try {
      await done;
    } catch (error) {
      throw this.#fail(error);
    }
    // A removal may have failed meanwhile: then this write may not be counted on either.
    this.#mustWork();
  }

  #checked<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw this.#fail(error);
    }
  }

  #fail(error: unknown): LumeoError {
    this.#failure ??= explained(this.#location, error);
    if (error instanceof InvariantViolation) throw error;
    return this.#failure;
  }

  #mustKnow(index: LogIndex): void {
    this.#mustWork();
    invariant(this.first - 1 <= index && index <= this.last, "index outside of the log", {
      index,
      first: this.first,
      last: this.last,
    });
  }

  #mustWork(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined) {
      throw new LumeoError("CLOSED", `Cannot use the log "${this.#location}": it is closed`);
    }
  }
}

interface Loaded {
  readonly history: LogHistory;
  readonly recent: RecentEntries;
  readonly oldest: LogIndex;
}

/** Writes the records of a new, empty log. */
async function found(
  db: LevelDatabase,
  options: LevelLogOptions,
): Promise<{ readonly head: LogHead; readonly tail: LogTail }> {
  const base = { index: logIndex(0), term: term(0), membership: options.founders };
  const { node, store } = options;
  const head: LogHead = { node, store, base, baseChain: 0, snapshot: base };
  const hardState = { term: term(0), votedFor: undefined };
  const tail: LogTail = { last: logIndex(0), lastTerm: term(0), chain: 0, hardState };
  await db.write([
    { type: "put", key: HEAD_KEY, value: encodeHead(head) },
    { type: "put", key: TAIL_KEY, value: encodeTail(tail) },
  ]);
  return { head, tail };
}

function stored(entry: Entry, previousChain: number): Uint8Array {
  const bytes = encodeEntry(entry);
  const value = new Uint8Array(CHAIN_BYTES + bytes.byteLength);
  new DataView(value.buffer).setUint32(0, previousChain, true);
  value.set(bytes, CHAIN_BYTES);
  return value;
}

/** Deletes of all entries from one index to another, both included. */
function keysFrom(from: number, to: number): LevelOperation[] {
  const operations: LevelOperation[] = [];
  for (let index = from; index <= to; index++) {
    operations.push({ type: "del", key: entryKey(index) });
  }
  return operations;
}

function explained(location: string, error: unknown): LumeoError {
  if (error instanceof LumeoError && error.code !== "CORRUPT") return error;
  const why = error instanceof Error ? error.message : String(error);
  const cause = { cause: error };
  if (!(error instanceof LumeoError)) {
    return new LumeoError("STORE_FAILED", `Cannot use the log "${location}": ${why}`, cause);
  }
  return new LumeoError("CORRUPT", `Cannot use the log "${location}": ${why}. ${WAY_OUT}`, cause);
}
