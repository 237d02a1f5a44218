// What the leader has not heard yet of damaged replicas. A new stream may lead to a new leader,
// which knows nothing: it is told everything once, and the news after that.

import type { ChunkHandle } from "@lumeofs/base";

/** Handles in one heartbeat; the rest waits for the next. */
export const DAMAGED_PER_HEARTBEAT_MAX = 10_000;

export class DamageReport {
  readonly #unheard: Set<ChunkHandle>;

  /** @param known  All replicas damaged at the start of the stream. */
  constructor(known: Iterable<ChunkHandle>) {
    this.#unheard = new Set(known);
  }

  add(handle: ChunkHandle): void {
    this.#unheard.add(handle);
  }

  /** Takes what the next heartbeat carries. If it is lost, so is the stream, and a new one begins. */
  take(): readonly ChunkHandle[] {
    const taken: ChunkHandle[] = [];
    for (const handle of this.#unheard) {
      if (DAMAGED_PER_HEARTBEAT_MAX <= taken.length) break;
      taken.push(handle);
      this.#unheard.delete(handle);
    }
    return taken;
  }
}
