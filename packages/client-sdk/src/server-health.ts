// Which chunkservers failed this client lately. Pure: the time is passed in.

import type { MonotonicMs, ServerId } from "@lumeofs/base";

/** How long a server that failed is left alone where there is another. */
export const SUSPECT_MS = 30_000;

export class ServerHealth {
  /** Until when each is a suspect. */
  readonly #suspects = new Map<ServerId, number>();

  failed(servers: readonly ServerId[], now: MonotonicMs): void {
    for (const server of servers) this.#suspects.set(server, now + SUSPECT_MS);
  }

  /** It answered as it should. */
  worked(server: ServerId): void {
    this.#suspects.delete(server);
  }

  isSuspect(server: ServerId, now: MonotonicMs): boolean {
    return now < (this.#suspects.get(server) ?? 0);
  }

  suspects(now: MonotonicMs): readonly ServerId[] {
    for (const [server, until] of this.#suspects) if (until <= now) this.#suspects.delete(server);
    return [...this.#suspects.keys()];
  }
}
