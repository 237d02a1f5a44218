// Chunks that need a move, those with the fewest readable copies first. What does not fit is found
// again by the next round over all chunks.

import type { ChunkHandle } from "@lumeofs/base";

/** Chunks with at least this many readable copies are equally urgent. */
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

  /** @returns Whether it waits now; false if the queue is full. */
  offer(handle: ChunkHandle, readable: number): boolean {
    if (this.#waiting.has(handle)) return true;
    if (QUEUE_MAX <= this.#waiting.size) return false;
    this.#waiting.add(handle);
    this.#level(readable).handles.push(handle);
    return true;
  }

  /** Takes up to `countMax` handles, the most urgent first, of chunks with up to `readableMax`. */
  take(countMax: number, readableMax: number): readonly ChunkHandle[] {
    const taken: ChunkHandle[] = [];
    for (const level of this.#levels.slice(0, readableMax + 1)) {
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

  #level(readable: number): Level {
    return this.#levels[Math.min(readable, LEVELS - 1)] as Level;
  }
}
