// What the leader has not heard yet of damaged replicas. A new stream may lead to a new leader,
// which knows nothing: each stream has a report of its own, which tells everything once.

import type { ChunkHandle } from "@lumeofs/base";

/** Handles in one heartbeat; the rest waits for the next. */
export const DAMAGED_PER_HEARTBEAT_MAX = 10_000;

export class DamageReport {
  readonly #told = new Set<ChunkHandle>();

  /**
   * Takes what the next heartbeat carries of what is damaged now. If it is lost, so is the stream,
   * and with it this report. What was healed and is damaged again is news.
   */
  take(damaged: readonly ChunkHandle[]): readonly ChunkHandle[] {
    const now = new Set(damaged);
    for (const handle of this.#told) if (!now.has(handle)) this.#told.delete(handle);
    const news = damaged
      .filter((handle) => !this.#told.has(handle))
      .slice(0, DAMAGED_PER_HEARTBEAT_MAX);
    for (const handle of news) this.#told.add(handle);
    return news;
  }

  /** Damage was found: it is news, also where it was healed between two heartbeats. */
  found(handle: ChunkHandle): void {
    this.#told.delete(handle);
  }
}
