// Locks: what answers say of them, and who holds which.

import { type Clock, type WallMs, wallMs } from "@lumeofs/base";
import type { lumeo } from "@lumeofs/proto";
import type { MetadataLog } from "../duties/metadata-log.js";
import { stateClock } from "../metadata/counters.js";
import { locksPage, type NamedLock } from "../metadata/locks.js";
import type { StateReader } from "../metadata/state.js";
import type { PageAfter } from "./operation-wire.js";

export interface LockParts {
  readonly log: MetadataLog;
  readonly clock: Clock;
}

/** A lock, and how long it still lasts as this master's clock has it. */
export function encodeLock(parts: LockParts, lock: NamedLock): lumeo.master.v1.ILock {
  const { name, holder, token, expiresAt } = lock;
  const remainingMs = Math.max(0, expiresAt - now(parts));
  return { name, holder, token, expiresAtMs: expiresAt, remainingMs };
}

/** Locks that are held, by name. */
export async function listLocks(
  parts: LockParts,
  state: StateReader,
  asked: PageAfter,
): Promise<{ readonly locks: lumeo.master.v1.ILocks }> {
  const wanted = { are: "held", at: now(parts) } as const;
  let page = await locksPage(state, asked, wanted);
  // Where all of a page has lapsed, the caller would not know how to go on.
  while (page.locks.length === 0 && page.hasMore) {
    page = await locksPage(state, { ...asked, after: page.last }, wanted);
  }
  const locks = page.locks.map((lock) => encodeLock(parts, lock));
  return { locks: { locks, more: page.hasMore } };
}

/** The state's clock lags behind while nothing is written. */
function now({ log, clock }: LockParts): WallMs {
  return wallMs(Math.max(stateClock(log.local), clock.wallMs()));
}
