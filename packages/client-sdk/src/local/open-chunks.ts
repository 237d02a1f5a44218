// Files of chunks that are kept open between the spans that are read from them.
//
// O1. A file serves for KEPT_MS after it was opened, then it is asked for anew: a token that is not
//     renewed, a chunk that was stopped or removed are noticed that late at most. What could not be
//     opened is not tried again before that either.
// O2. At most OPEN_FILES_MAX are kept; the one that was opened first goes first. Whoever reads it
//     may finish.
// O3. No file stays open, and keeps the space of a removed chunk, longer than twice KEPT_MS after
//     it was opened, unless somebody is reading it.

import type { Alarm, Clock, Closable, Timers } from "@lumeofs/base";
import type { LocalFile } from "./local-file.js";

export const KEPT_MS = 10_000;
export const OPEN_FILES_MAX = 128;

/** The file of a chunk, and the checksums of its blocks. */
export interface OpenChunk {
  readonly file: LocalFile;
  readonly crcs: Uint8Array;
}

interface Entry {
  /** Never rejects. Undefined: not to be had. */
  readonly chunk: Promise<OpenChunk | undefined>;
  readonly openedAt: number;
  users: number;
  /** Closed as soon as the last user is done. */
  isDropped: boolean;
}

/** What a reader has while it reads. */
export interface OpenChunkLease {
  readonly chunk: Promise<OpenChunk | undefined>;
  /** Once, when nothing of it is read any more. */
  release(): void;
}

export class OpenChunks implements Closable {
  readonly #clock: Clock;
  readonly #timers: Timers;
  /** In the order of opening. */
  readonly #entries = new Map<string, Entry>();
  #alarm: Alarm | undefined;

  constructor(clock: Clock, timers: Timers) {
    this.#clock = clock;
    this.#timers = timers;
  }

  /** @param open  Opens it, if it is not open already; must not reject. */
  take(key: string, open: () => Promise<OpenChunk | undefined>): OpenChunkLease {
    const entry = this.#fresh(key) ?? this.#open(key, open);
    entry.users++;
    return {
      chunk: entry.chunk,
      release: () => {
        entry.users--;
        closeIfDone(entry);
      },
    };
  }

  /** Those that are being read stay open until their readers are done. */
  async close(): Promise<void> {
    this.#alarm?.cancel();
    this.#alarm = undefined;
    for (const key of [...this.#entries.keys()]) this.#drop(key);
  }

  #fresh(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || !this.#isOld(entry)) return entry;
    this.#drop(key);
    return undefined;
  }

  #open(key: string, open: () => Promise<OpenChunk | undefined>): Entry {
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size < OPEN_FILES_MAX) break;
      this.#drop(oldest);
    }
    const openedAt = this.#clock.monotonicMs();
    const entry: Entry = { chunk: open(), openedAt, users: 0, isDropped: false };
    this.#entries.set(key, entry);
    this.#alarm ??= this.#timers.after(KEPT_MS, () => this.#sweep());
    return entry;
  }

  #sweep(): void {
    for (const [key, entry] of this.#entries) if (this.#isOld(entry)) this.#drop(key);
    const isEmpty = this.#entries.size === 0;
    this.#alarm = isEmpty ? undefined : this.#timers.after(KEPT_MS, () => this.#sweep());
  }

  #isOld({ openedAt }: Entry): boolean {
    return openedAt + KEPT_MS <= this.#clock.monotonicMs();
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    entry.isDropped = true;
    closeIfDone(entry);
  }
}

function closeIfDone(entry: Entry): void {
  if (!entry.isDropped || 0 < entry.users) return;
  // Nothing was written: that a file could not be closed is nobody's loss.
  entry.chunk.then((chunk) => chunk?.file.close()).catch(() => undefined);
}
