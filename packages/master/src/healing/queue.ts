// Chunks that need a move, the most endangered first: those of which the fewest copies or units may
// be lost until they cannot be read. What does not fit is found again by the next round.

import type { ChunkHandle } from "@lumeofs/base";

/** Levels of urgency: margins of -1 and less, 0, 1, and 2 and more. */
const LEVELS = 4;
/** Handles that wait. */
export const QUEUE_MAX = 100_000;

interface Level {
  readonly handles: ChunkHandle[];
  /** Those before it have been taken. */
  next: number;
}

export class MoveQueue {
  readonly #levels: readonly Level[] = Array.from({ length: LEVELS }, () => ({
    handles: [],
    next: 0,
  }));
  readonly #waiting = new Set<ChunkHandle>();

  get size(): number {
    return this.#waiting.size;
  }

  /**
   * @param margin  So many of its copies or units may be lost; below 0, it cannot be read now.
   * @returns       Whether it waits now; false if the queue is full.
   */
  offer(handle: ChunkHandle, margin: number): boolean {
    if (this.#waiting.has(handle)) return true;
    if (QUEUE_MAX <= this.#waiting.size) return false;
    this.#waiting.add(handle);
    this.#level(margin).handles.push(handle);
    return true;
  }

  /** Takes up to `countMax` handles, the most urgent first, with margins of up to `marginMax`. */
  take(countMax: number, marginMax: number): readonly ChunkHandle[] {
    const taken: ChunkHandle[] = [];
    for (const level of this.#levels.slice(0, marginMax + 2)) {
      while (taken.length < countMax && level.next < level.handles.length) {
        const handle = level.handles[level.next++] as ChunkHandle;
        this.#waiting.delete(handle);
        taken.push(handle);
      }
      if (level.next === level.handles.length) {
        level.handles.length = 0;
        level.next = 0;
      }
    }
    return taken;
  }

  clear(): void {
    for (const level of this.#levels) {
      level.handles.length = 0;
      level.next = 0;
    }
    this.#waiting.clear();
  }

  #level(margin: number): Level {
    return this.#levels[Math.max(0, Math.min(margin + 1, LEVELS - 1))] as Level;
  }
}
