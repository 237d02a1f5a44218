import { invariant, LumeoError } from "@lumeofs/base";
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
import { type LogBase, LogHistory } from "./log-history.js";
import type { LogStore, LogWrite } from "./log-store.js";

/** What a crash leaves. */
interface Contents {
  readonly base: LogBase;
  readonly snapshot: SnapshotMeta;
  readonly hardState: HardState;
  readonly entries: readonly Entry[];
}

/**
 * The "disk" under a MemoryLogStore: it outlives the store that writes to it, as a real one
 * outlives a process.
 */
export class MemoryLogDisk {
  #contents: Contents;

  constructor(founders: Membership) {
    const base = { index: logIndex(0), term: term(0), membership: founders };
    const hardState = { term: term(0), votedFor: undefined };
    this.#contents = { base, snapshot: base, hardState, entries: [] };
  }

  get contents(): Contents {
    return this.#contents;
  }

  replace(contents: Contents): void {
    this.#contents = contents;
  }
}

/**
 * Waits until a change is durable. Rejecting fails the store for good. A simulator that crashes the
 * member in between never settles it, and decides by `land` whether the change had reached the
 * disk.
 */
export type Durability = (land: () => void) => Promise<void>;

/** Everything is durable in the next turn. */
const AT_ONCE: Durability = async (land) => {
  await Promise.resolve();
  land();
};

/** LogStore in memory, whose durability is in the hands of the test or the simulator. */
export class MemoryLogStore implements LogStore {
  readonly #disk: MemoryLogDisk;
  readonly #durability: Durability;
  #contents: Contents;
  #history: LogHistory;
  #failure: LumeoError | undefined;
  #closed = false;

  constructor(disk: MemoryLogDisk, durability: Durability = AT_ONCE) {
    this.#disk = disk;
    this.#durability = durability;
    this.#contents = disk.contents;
    this.#history = historyOf(disk.contents);
  }

  get hardState(): HardState {
    return this.#contents.hardState;
  }

  get snapshot(): SnapshotMeta {
    return this.#contents.snapshot;
  }

  get first(): LogIndex {
    return logIndex(this.#contents.base.index + 1);
  }

  get last(): LogIndex {
    return this.#history.last;
  }

  get bytes(): number {
    return this.#history.bytes;
  }

  termAt(index: LogIndex): Term {
    this.#mustWork();
    invariant(this.first - 1 <= index && index <= this.last, "index outside of the log", { index });
    return this.#history.termAt(index);
  }

  membershipAt(index: LogIndex): Membership {
    this.#mustWork();
    return this.#history.membershipAt(index);
  }

  entries(from: LogIndex, to: LogIndex, bytesMax: number): readonly Entry[] {
    this.#mustWork();
    const { first, last } = this;
    invariant(first <= from && from <= to && to <= last, "entries outside of the log", {
      from,
      to,
      first,
      last,
    });
    const { entries } = this.#contents;
    return takeEntries({ from, to }, bytesMax, (index) => entries[index - first] as Entry);
  }

  async write(write: LogWrite): Promise<void> {
    this.#mustWork();
    const { hardState = this.hardState, truncateFrom, entries } = write;
    const cut = Math.min(truncateFrom ?? this.last + 1, this.last + 1);
    invariant(this.first <= cut, "truncation reaches before the log", { cut });
    const kept = cut <= this.last ? this.#contents.entries.slice(0, cut - this.first) : undefined;
    await this.#change({
      ...this.#contents,
      hardState,
      entries: [...(kept ?? this.#contents.entries), ...entries],
    });
  }

  async reset(meta: SnapshotMeta): Promise<void> {
    this.#mustWork();
    const { hardState } = this;
    await this.#change({ base: meta, snapshot: meta, hardState, entries: [] });
  }

  async compact(meta: SnapshotMeta, upTo: LogIndex): Promise<void> {
    this.#mustWork();
    invariant(upTo <= meta.index, "compaction passes the snapshot", { upTo, meta: meta.index });
    invariant(this.first - 1 <= upTo, "compaction goes back", { upTo, first: this.first });
    const base: LogBase = {
      index: upTo,
      term: this.#history.termAt(upTo),
      membership: this.#history.membershipAt(upTo),
    };
    const entries = this.#contents.entries.slice(upTo + 1 - this.first);
    await this.#change({ ...this.#contents, base, snapshot: meta, entries });
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async #change(contents: Contents): Promise<void> {
    const history = historyOf(contents);
    try {
      await this.#durability(() => this.#disk.replace(contents));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#failure ??= new LumeoError("STORE_FAILED", `Cannot write the log: ${why}`, {
        cause: error,
      });
      throw this.#failure;
    }
    this.#contents = contents;
    this.#history = history;
  }

  #mustWork(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw new LumeoError("CLOSED", "Cannot use the log: it is closed");
  }
}

function historyOf(contents: Contents): LogHistory {
  const history = new LogHistory(contents.base);
  for (const entry of contents.entries) history.append(entry);
  return history;
}
