// Advisory locks with fencing tokens. A lock is held for a time and lapses unless it is renewed:
// whoever held it may not know, so what is done under it carries its token, and is refused when
// the token is no longer the current one (Chubby §2.4).
//
// L1. A token is the log index of its acquisition: it grows for ever, over all locks.
// L2. At any index at most one token of a name is current, and a lapsed one is never so again.
// L3. Time is the state's clock, which moves with commands and never back. What a command decides
//     depends on the log alone; a lock lapses when a command finds it so, not by a timer.

import { type ByteReader, utf8Length, type WallMs, wallMs } from "@lumeofs/base";
import { DONE, quoted, type Refused, type Reply, refuse } from "./command.js";
import { addToCount } from "./counters.js";
import { encodeWhole, readText, readWhole, writeText } from "./fields.js";
import type { Moment } from "./inodes.js";
import { lockKey, lockNameOf, locksAfter } from "./keys.js";
import type { State, StateReader, StateView } from "./state.js";

/** Held or lapsed, in the whole cluster; lapsed ones are cleared away by a duty. */
export const LOCKS_MAX = 100_000;
export const LOCK_NAME_BYTES_MAX = 1024;
export const LOCK_HOLDER_BYTES_MAX = 256;
export const LOCK_TTL_MS_MIN = 100;
export const LOCK_TTL_MS_MAX = 86_400_000;

export interface Lock {
  /** For people: who holds it; may be "". */
  readonly holder: string;
  readonly token: number;
  readonly expiresAt: WallMs;
}

/** Lets a change take effect only while this lock is held with this token. */
export interface Fence {
  readonly lock: string;
  readonly token: number;
}

const UNFIT_TEXT = /[\p{Cc}\p{Surrogate}]/u;

/** Takes a lock that nobody holds; LOCKED, with its holder and what is left, if somebody does. */
export function acquireLock(
  state: State,
  command: { readonly name: string; readonly holder: string; readonly ttlMs: number },
  now: Moment,
): Reply {
  const { name, holder, ttlMs } = command;
  const unfit = refuseName(name) ?? refuseHolder(name, holder) ?? refuseTtl(name, ttlMs);
  if (unfit !== undefined) return unfit;
  const old = getLock(state, name);
  if (old !== undefined && now.at < old.expiresAt) {
    const who = `${shown(old.holder)} holds it for another ${lasting(old.expiresAt - now.at)}`;
    return refuse("LOCKED", `Cannot acquire lock ${quoted(name)}: ${who}, unless it is renewed`);
  }
  if (old === undefined && LOCKS_MAX < addToCount(state, "locks", 1)) {
    const what = `Cannot acquire lock ${quoted(name)}`;
    return refuse("OVERLOADED", `${what}: there are ${LOCKS_MAX}, and no more can be; try later`);
  }
  return keep(state, name, { holder, token: now.index, expiresAt: wallMs(now.at + ttlMs) });
}

/** Lets a lock last `ttlMs` from now; PRECONDITION if the token is not current any more. */
export function renewLock(
  state: State,
  command: { readonly name: string; readonly token: number; readonly ttlMs: number },
  now: Moment,
): Reply {
  const { name, token, ttlMs } = command;
  const unfit = refuseTtl(name, ttlMs);
  if (unfit !== undefined) return unfit;
  const lock = getLock(state, name);
  const lost = lossOf(lock, token, now.at);
  if (lock === undefined || lost !== undefined) {
    return refuse("PRECONDITION", `Cannot renew lock ${quoted(name)}: ${lost}`);
  }
  return keep(state, name, { ...lock, expiresAt: wallMs(now.at + ttlMs) });
}

/** Gives a lock up; PRECONDITION if the token is not current any more. */
export function releaseLock(
  state: State,
  command: { readonly name: string; readonly token: number },
  now: Moment,
): Reply {
  const { name, token } = command;
  const lost = lossOf(getLock(state, name), token, now.at);
  if (lost !== undefined) {
    return refuse("PRECONDITION", `Cannot release lock ${quoted(name)}: ${lost}`);
  }
  forget(state, name);
  return DONE;
}

/** Clears away those of the locks that have lapsed. Repeating is harmless. */
export function expireLocks(state: State, names: readonly string[], now: Moment): void {
  for (const name of names) {
    const lock = getLock(state, name);
    if (lock !== undefined && lock.expiresAt <= now.at) forget(state, name);
  }
}

/** Why a change under a lock may not take effect; undefined if it may, or if it needs none. */
export function refuseFence(
  view: StateView,
  what: () => string,
  fence: Fence | undefined,
  at: WallMs,
): Refused | undefined {
  if (fence === undefined) return undefined;
  const lost = lossOf(getLock(view, fence.lock), fence.token, at);
  if (lost === undefined) return undefined;
  return refuse("PRECONDITION", `${what()}: lock ${quoted(fence.lock)} is lost: ${lost}`);
}

export function getLock(view: StateView, name: string): Lock | undefined {
  const bytes = view.get(lockKey(name));
  return bytes === undefined ? undefined : decodeLock(bytes);
}

export function encodeLock(lock: Lock): Uint8Array {
  return encodeWhole((w) => writeText(w.u53(lock.token).u53(lock.expiresAt), lock.holder));
}

export function decodeLock(bytes: Uint8Array): Lock {
  return readWhole("lock record", bytes, (r: ByteReader) => {
    const token = r.u53();
    const expiresAt = wallMs(r.u53());
    return { holder: readText(r), token, expiresAt };
  });
}

export interface LockPage {
  readonly locks: readonly NamedLock[];
  /** More names follow the last one looked at. */
  readonly hasMore: boolean;
  /** Where the next page begins: the last name looked at. */
  readonly last: string;
}

export interface NamedLock extends Lock {
  readonly name: string;
}

/** One page of locks, in the byte order of their names; those that have lapsed by `at`, or not. */
export async function locksPage(
  reader: StateReader,
  page: { readonly after: string; readonly countMax: number },
  wanted: { readonly are: "held" | "lapsed"; readonly at: WallMs },
): Promise<LockPage> {
  const { from, to } = locksAfter(page.after);
  const pairs = await reader.range(from, to, page.countMax + 1);
  const looked = pairs.slice(0, page.countMax);
  const locks = looked.map(([key, value]) => ({ name: lockNameOf(key), ...decodeLock(value) }));
  return {
    locks: locks.filter(({ expiresAt }) => wanted.at < expiresAt === (wanted.are === "held")),
    hasMore: page.countMax < pairs.length,
    last: locks.at(-1)?.name ?? page.after,
  };
}

/** Why a token is not current; undefined if it is. */
function lossOf(lock: Lock | undefined, token: number, at: WallMs): string | undefined {
  if (lock === undefined || (lock.token !== token && lock.expiresAt <= at)) {
    return `nobody holds it now, and token ${token} is of the past; acquire it again`;
  }
  if (lock.token !== token) {
    return `${shown(lock.holder)} holds it with token ${lock.token}, not ${token}`;
  }
  if (at < lock.expiresAt) return undefined;
  return `token ${token} lapsed ${lasting(at - lock.expiresAt)} ago; acquire it again`;
}

function shown(holder: string): string {
  return holder === "" ? "somebody" : quoted(holder);
}

function keep(state: State, name: string, lock: Lock): Reply {
  state.put(lockKey(name), encodeLock(lock));
  return { kind: "locked", ...lock };
}

function forget(state: State, name: string): void {
  state.delete(lockKey(name));
  addToCount(state, "locks", -1);
}

function refuseName(name: string): Refused | undefined {
  const bytes = utf8Length(name);
  if (1 <= bytes && bytes <= LOCK_NAME_BYTES_MAX && !UNFIT_TEXT.test(name)) return undefined;
  const shape = `1 to ${LOCK_NAME_BYTES_MAX} bytes of text without control characters`;
  return refuse("INVALID_ARGUMENT", `Cannot use lock name ${quoted(name)}: expected ${shape}`);
}

function refuseHolder(name: string, holder: string): Refused | undefined {
  const bytes = utf8Length(holder);
  if (bytes <= LOCK_HOLDER_BYTES_MAX && !UNFIT_TEXT.test(holder)) return undefined;
  const shape = `at most ${LOCK_HOLDER_BYTES_MAX} bytes of text without control characters`;
  const what = `Cannot acquire lock ${quoted(name)}`;
  return refuse("INVALID_ARGUMENT", `${what}: its holder is ${quoted(holder)}, expected ${shape}`);
}

function refuseTtl(name: string, ttlMs: number): Refused | undefined {
  if (LOCK_TTL_MS_MIN <= ttlMs && ttlMs <= LOCK_TTL_MS_MAX) return undefined;
  const limits = `${LOCK_TTL_MS_MIN} to ${LOCK_TTL_MS_MAX}`;
  return refuse(
    "INVALID_ARGUMENT",
    `Cannot hold lock ${quoted(name)} for ${ttlMs} ms: expected ${limits}`,
  );
}

/** A time for people: `250 ms`, `12.5 s`, `3m 20s`, `2h 5m`. */
function lasting(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 60_000) return `${Math.floor(ms / 100) / 10} s`;
  const seconds = Math.floor(ms / 1_000);
  const minutes = Math.floor(seconds / 60);
  return minutes < 60
    ? `${minutes}m ${seconds % 60}s`
    : `${Math.floor(minutes / 60)}h ${minutes % 60}m`;
}
