// Chunks that need a move, the most endangered first: those of which the fewest copies or units may
// be lost until they cannot be read. What does not fit is found again by the next round.
//
// V1. A chunk waits once, by the most urgent margin with which it was offered.
// V2. Of equally urgent ones, who has waited longest is first: who is put back waits behind all.
// V3. Where there is no room, the more urgent one takes the place of one that is less so.

import { type ChunkHandle, invariant } from "@lumeofs/base";

/** Levels of urgency: margins of -1 and less, 0, 1, and 2 and more. */
const LEVELS = 4;
/** Handles that wait. */
export const QUEUE_MAX = 100_000;

export class MoveQueue {
  /** The most urgent first, each in the order in which its handles came. */
  readonly #levels = Array.from({ length: LEVELS }, () => new Set<ChunkHandle>());
  /** At which of them a handle waits. */
  readonly #waiting = new Map<ChunkHandle, number>();

  get size(): number {
    return this.#waiting.size;
  }

  get isFull(): boolean {
    return QUEUE_MAX <= this.#waiting.size;
  }

  has(handle: ChunkHandle): boolean {
    return this.#waiting.has(handle);
  }

  /**
   * @param margin  So many of its copies or units may be lost; below 0, it cannot be read now.
   * @returns       Whether it waits now; false if the queue is full of what is as urgent.
   */
  offer(handle: ChunkHandle, margin: number): boolean {
    const level = Math.max(0, Math.min(margin + 1, LEVELS - 1));
    const before = this.#waiting.get(handle);
    if (before !== undefined && before <= level) return true;
    if (before !== undefined) this.#remove(handle, before);
    else if (this.isFull && !this.#makeRoom(level)) return false;
    this.#waiting.set(handle, level);
    this.#at(level).add(handle);
    return true;
  }

  /** Takes up to `countMax` handles, the most urgent first, with margins of up to `marginMax`. */
  take(countMax: number, marginMax: number): readonly ChunkHandle[] {
    const taken: ChunkHandle[] = [];
    for (const [level, handles] of this.#levels.entries()) {
      if (marginMax + 1 < level) break;
      for (const handle of handles) {
        if (countMax <= taken.length) return taken;
        this.#remove(handle, level);
        taken.push(handle);
      }
    }
    return taken;
  }

  /** One that is less urgent than `level` goes, if there is one. */
  #makeRoom(level: number): boolean {
    for (let worst = LEVELS - 1; level < worst; worst--) {
      for (const handle of this.#at(worst)) {
        this.#remove(handle, worst);
        return true;
      }
    }
    return false;
  }

  #remove(handle: ChunkHandle, level: number): void {
    this.#at(level).delete(handle);
    this.#waiting.delete(handle);
  }

  #at(level: number): Set<ChunkHandle> {
    const handles = this.#levels[level];
    invariant(handles !== undefined, "a level of urgency exists", { level });
    return handles;
  }
}
