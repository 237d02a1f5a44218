// Chunks whose move failed lately: each is left alone for a while, longer after each failure, and
// is not sent again to a target that failed it. Bounded; what is forgotten is only tried earlier.

import type { ChunkHandle, MonotonicMs, ServerId } from "@lumeofs/base";

const PAUSE_MS_MIN = 500;
const PAUSE_MS_MAX = 60_000;
const CHUNKS_MAX = 10_000;
/** Targets remembered of one chunk: when all have failed, they are tried again. */
const TARGETS_MAX = 3;

interface Setback {
  readonly count: number;
  readonly until: number;
  readonly targets: readonly ServerId[];
}

const NOBODY: ReadonlySet<ServerId> = new Set();

export class Setbacks {
  readonly #setbacks = new Map<ChunkHandle, Setback>();

  note(handle: ChunkHandle, target: ServerId, now: MonotonicMs): void {
    const before = this.#setbacks.get(handle);
    const count = (before?.count ?? 0) + 1;
    const pauseMs = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(count, 20));
    const tried = [...(before?.targets ?? []).filter((one) => one !== target), target];
    const targets = tried.length <= TARGETS_MAX ? tried : [];
    this.#setbacks.delete(handle);
    if (CHUNKS_MAX <= this.#setbacks.size) this.#dropOldest();
    this.#setbacks.set(handle, { count, until: now + pauseMs, targets });
  }

  forget(handle: ChunkHandle): void {
    this.#setbacks.delete(handle);
  }

  /** Whether this chunk may be tried again. */
  isOver(handle: ChunkHandle, now: MonotonicMs): boolean {
    return (this.#setbacks.get(handle)?.until ?? 0) <= now;
  }

  /** Targets that failed this chunk. */
  targetsOf(handle: ChunkHandle): ReadonlySet<ServerId> {
    const targets = this.#setbacks.get(handle)?.targets;
    return targets === undefined ? NOBODY : new Set(targets);
  }

  #dropOldest(): void {
    const [oldest] = this.#setbacks.keys();
    if (oldest !== undefined) this.#setbacks.delete(oldest);
  }
}
