// Replicas that the masters cannot know of, by server: of epochs or under handles that were never
// given. Each is proof that the masters have lost what they knew (rule 22), and as long as there is
// one, nothing is deleted anywhere: what looks like garbage may be a file of the lost time.
//
// Nothing of it is in the log: heartbeats and inventories bring all of it again to a new leader.

import type { ChunkHandle, ServerId } from "@lumeofs/base";

/** Handles that are remembered of one server. */
export const NEWER_MAX = 1_000;

/** What a page of an inventory speaks of: handles above `after`, up to and including `to`. */
export interface InventoryRange {
  readonly after: number;
  readonly to: number;
}

export class Contradictions {
  readonly #newer = new Map<ServerId, Set<ChunkHandle>>();

  reset(): void {
    this.#newer.clear();
  }

  /** Whether the masters are known to have lost something. */
  get isAny(): boolean {
    return 0 < this.#newer.size;
  }

  /** @returns Whether nothing was known of this server before: an alarm. */
  note(server: ServerId, handle: ChunkHandle): boolean {
    const known = this.#newer.get(server) ?? new Set();
    if (known.size < NEWER_MAX) known.add(handle);
    const isNews = !this.#newer.has(server);
    this.#newer.set(server, known);
    return isNews;
  }

  /** Takes back what was known of a range, which an inventory has just told again. */
  clear(server: ServerId, { after, to }: InventoryRange): void {
    const known = this.#newer.get(server);
    if (known === undefined) return;
    for (const handle of known) if (after < handle && handle <= to) known.delete(handle);
    if (known.size === 0) this.#newer.delete(server);
  }

  /** Replicas of this server that the masters cannot know of, at most NEWER_MAX. */
  newerOf(server: ServerId): readonly ChunkHandle[] {
    return [...(this.#newer.get(server) ?? [])];
  }
}
