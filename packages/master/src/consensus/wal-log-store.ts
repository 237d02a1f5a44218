// The log of one member in a write-ahead log of our own: docs/formats/raft-log.md.
//
// L1. Every change is one group of records, written and synced together: it becomes durable as a
//     whole or not at all.
// L2. What is read was checked when the store was opened, and is checked again when it is read from
//     the disk.
// L3. Memory follows the disk: it changes after the group is durable.
// L4. After the first failure nothing is written or read any more. Opening again is the only way to
//     find out what the disk holds.
// L5. A segment goes only when a later one says where the log begins, and with which hard state,
//     and all entries that are left lie in later ones.
// L6. A torn last write was never acknowledged and is dropped. Every other damage is refused: the
//     member rejoins from its peers.

import { createHash } from "node:crypto";
import {
  type Disk,
  InvariantViolation,
  invariant,
  LumeoError,
  MiB,
  type NodeId,
  RECORD_PREFIX_BYTES,
  readRecordPrefix,
  recordIsIntact,
  segmentSeed,
  Wal,
  type WalPlace,
} from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
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
import { takeEntries } from "./entry-codec.js";
import { type EntryGroup, findGroup, groupsBefore, groupsBehind } from "./entry-groups.js";
import { type LogBase, LogHistory } from "./log-history.js";
import type { LogHead } from "./log-records.js";
import type { LogStore, LogWrite } from "./log-store.js";
import { RecentEntries } from "./recent-entries.js";
import { encodeChange, GroupReader, type LogChange } from "./wal-log-records.js";
import { ReplayedLog } from "./wal-log-replay.js";
import { WAY_OUT } from "./way-out.js";

const RECENT_BYTES_DEFAULT = 32 * MiB;
const SEGMENT_BYTES_DEFAULT = 16 * MiB;

/** Reads a file of the disk at once, as LevelDB's reads do: old entries are asked for rarely. */
export type ReadAtSync = (path: string, into: Uint8Array, position: number) => number;

export interface WalLogOptions {
  readonly disk: Disk;
  readonly readAtSync: ReadAtSync;
  /** Of the log, below the disk's. */
  readonly folder: string;
  readonly node: NodeId;
  /** Who takes part when the log is new; ignored afterwards. */
  readonly founders: Membership;
  /** What the store is called when the log is new; ignored afterwards. */
  readonly store: string;
  /** Newest entries that are kept in memory. */
  readonly recentBytesMax?: number;
  readonly segmentBytes?: number;
}

export class WalLogStore implements LogStore {
  readonly #options: WalLogOptions;
  readonly #owner: Uint8Array;
  readonly #wal: Wal;
  readonly #recent: RecentEntries;
  #history: LogHistory;
  #head: LogHead;
  #hardState: HardState;
  /** Groups of the entries that are there, by rising `first`. */
  #groups: EntryGroup[];
  /** The group that was read from the disk last. */
  #read: { readonly group: EntryGroup; readonly entries: readonly Entry[] } | undefined;
  #writing: Promise<unknown> = Promise.resolve();
  #failure: LumeoError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: WalLogOptions, owner: Uint8Array, wal: Wal, replayed: ReplayedLog) {
    const { head, hardState } = replayed;
    this.#options = options;
    this.#owner = owner;
    this.#wal = wal;
    this.#head = head;
    this.#hardState = hardState;
    this.#groups = replayed.groups;
    this.#recent = replayed.recent;
    this.#history = replayed.history;
  }

  /**
   * Opens the log, makes it if there is none, and proves that it is whole.
   *
   * @throws CORRUPT       It is not what was written: see the message for the way out.
   * @throws STORE_FAILED  The disk refused.
   */
  static async open(options: WalLogOptions): Promise<WalLogStore> {
    const { disk, folder, node, segmentBytes = SEGMENT_BYTES_DEFAULT } = options;
    const owner = ownerOf(node);
    let wal: Wal | undefined;
    try {
      const settings = { folder, owner, crc32c: nativeCrc32c, segmentBytes, preallocate: true };
      wal = await Wal.open(disk, settings);
      const recent = new RecentEntries(options.recentBytesMax ?? RECENT_BYTES_DEFAULT);
      const replayed = new ReplayedLog(recent);
      await replay(wal, replayed);
      if (replayed.isEmpty) {
        const change = founding(options);
        await append(wal, change);
        replayed.take(change, []);
      }
      replayed.check(node);
      return new WalLogStore(options, owner, wal, replayed);
    } catch (error) {
      await wal?.close().catch(() => undefined); // the first error is the one to tell
      throw explained(folder, error);
    }
  }

  /** Drawn when the log was made. */
  get store(): string {
    return this.#head.store;
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  get snapshot(): SnapshotMeta {
    return this.#head.snapshot;
  }

  get first(): LogIndex {
    return logIndex(this.#head.base.index + 1);
  }

  get last(): LogIndex {
    return this.#history.last;
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
      const { hardState = this.#hardState, truncateFrom, entries } = write;
      const cut = logIndex(Math.min(truncateFrom ?? this.last + 1, this.last + 1));
      invariant(this.first <= cut, "truncation reaches before the log", { cut });
      const [first] = entries;
      invariant(first === undefined || first.index === cut, "entries have a gap", { cut });
      const cutFrom = cut <= this.last ? cut : undefined;
      const change = { kind: "write", hardState, truncateFrom: cutFrom, entries } as const;
      const places = await append(this.#wal, change);
      this.#hardState = hardState;
      if (cutFrom !== undefined) this.#truncate(cutFrom);
      for (const entry of entries) {
        this.#history.append(entry);
        this.#recent.push(entry);
      }
      if (first !== undefined) this.#groups.push({ first: first.index, places });
    });
  }

  reset(meta: SnapshotMeta): Promise<void> {
    return this.#exclusively(async () => {
      const head: LogHead = { ...this.#head, base: meta, baseChain: 0, snapshot: meta };
      const hardState = this.#hardState;
      const places = await append(this.#wal, { kind: "begin", hardState, head });
      this.#head = head;
      this.#history = new LogHistory(meta);
      this.#recent.clear();
      this.#groups = [];
      this.#read = undefined;
      await this.#removeSegments(places);
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
      const head: LogHead = { ...this.#head, base, baseChain: 0, snapshot: meta };
      const hardState = this.#hardState;
      const places = await append(this.#wal, { kind: "compact", hardState, head });
      this.#head = head;
      this.#history.compact(upTo);
      this.#recent.compact(upTo);
      this.#groups = groupsBehind(this.#groups, upTo, this.last);
      this.#read = undefined;
      await this.#removeSegments(places);
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    await Promise.allSettled([this.#writing]);
    if (this.#failure === undefined) {
      // Whatever is damaged from now on was acknowledged: a torn write it is not.
      await append(this.#wal, { kind: "seal", hardState: this.#hardState });
    }
    await this.#wal.close();
  }

  #truncate(cut: LogIndex): void {
    this.#history.truncate(cut);
    this.#recent.truncate(cut);
    this.#groups = groupsBefore(this.#groups, cut);
    this.#read = undefined;
  }

  /** Removes what a change that says where the log begins has made needless (L5). */
  async #removeSegments(change: readonly WalPlace[]): Promise<void> {
    const needed = [...change, ...(this.#groups[0]?.places ?? [])];
    const oldest = Math.min(...needed.map(({ segment }) => segment));
    for (const segment of this.#wal.segments) {
      if (segment < oldest) await this.#wal.removeSegment(segment);
    }
  }

  #entryAt(index: LogIndex): Entry {
    const recent = this.#recent.find(index);
    if (recent !== undefined) return recent;
    return this.#checked(() => {
      const group = findGroup(this.#groups, index);
      if (this.#read?.group !== group) this.#read = { group, entries: this.#readGroup(group) };
      const entry = this.#read.entries[index - group.first];
      if (entry?.index !== index) throw corrupt(`entry ${index} is missing`);
      return entry;
    });
  }

  #readGroup(group: EntryGroup): readonly Entry[] {
    const reader = new GroupReader();
    let change: LogChange | undefined;
    for (const place of group.places) change = reader.take(this.#readRecord(place));
    if (change?.kind !== "write") throw corrupt(`entry ${group.first} is missing`);
    return change.entries;
  }

  #readRecord(place: WalPlace): Uint8Array {
    const { segment, position, bodyBytes } = place;
    const bytes = new Uint8Array(RECORD_PREFIX_BYTES + bodyBytes);
    const found = this.#options.readAtSync(this.#wal.pathOf(segment), bytes, position);
    const prefix = readRecordPrefix(bytes.subarray(0, found), 0);
    const seed = segmentSeed({ owner: this.#owner, number: segment }, nativeCrc32c);
    const isIntact =
      prefix?.bodyBytes === bodyBytes &&
      recordIsIntact(bytes, prefix, { position, seed }, nativeCrc32c);
    if (isIntact) return bytes.subarray(RECORD_PREFIX_BYTES);
    throw corrupt(`the record at byte ${position} of segment ${segment} is damaged`);
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
  }

  #checked<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      throw this.#fail(error);
    }
  }

  #fail(error: unknown): LumeoError {
    this.#failure ??= explained(this.#options.folder, error);
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
      throw new LumeoError("CLOSED", `Cannot use the log "${this.#options.folder}": it is closed`);
    }
  }
}

async function replay(wal: Wal, into: ReplayedLog): Promise<void> {
  const groups = new GroupReader();
  let places: WalPlace[] = [];
  for await (const item of wal.replay(undefined)) {
    if (item.kind === "damage") {
      const { segment, position } = item;
      throw corrupt(`segment ${segment} is damaged at byte ${position}`);
    }
    if (item.kind !== "record") continue; // a torn tail (L6)
    if (GroupReader.begins(item.body)) places = [];
    places.push(item.place);
    const change = groups.take(new Uint8Array(item.body)); // the log reuses its memory
    if (change !== undefined) into.take(change, places);
  }
}

/** Writes a change durably. @returns Where it stands. */
async function append(wal: Wal, change: LogChange): Promise<readonly WalPlace[]> {
  const places: WalPlace[] = [];
  const note = (place: WalPlace): void => {
    places.push(place);
  };
  await Promise.all(encodeChange(change).map((body) => wal.append(body, note)));
  return places;
}

function founding(options: WalLogOptions): LogChange {
  const base = { index: logIndex(0), term: term(0), membership: options.founders };
  const { node, store } = options;
  const head: LogHead = { node, store, base, baseChain: 0, snapshot: base };
  return { kind: "begin", hardState: { term: term(0), votedFor: undefined }, head };
}

/** Keeps apart the logs of different members: their checksums differ. */
function ownerOf(node: NodeId): Uint8Array {
  return new Uint8Array(createHash("sha256").update(node).digest().subarray(0, 16));
}

function corrupt(why: string): LumeoError {
  return new LumeoError("CORRUPT", why);
}

function explained(folder: string, error: unknown): LumeoError {
  if (error instanceof LumeoError && error.code !== "CORRUPT") return error;
  const why = error instanceof Error ? error.message : String(error);
  const cause = { cause: error };
  if (!(error instanceof LumeoError)) {
    return new LumeoError("STORE_FAILED", `Cannot use the log "${folder}": ${why}`, cause);
  }
  return new LumeoError("CORRUPT", `Cannot use the log "${folder}": ${why}. ${WAY_OUT}`, cause);
}
