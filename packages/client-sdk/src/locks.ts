// Advisory locks. Whoever holds one has a token that is larger than every earlier one, and gives it
// along with its changes (`fence`): a holder that lost the lock without knowing is refused.
//
// K1. `lost` is aborted before anybody else can hold the lock, as far as this machine's clock runs
//     as fast as the masters': the time to live is counted from before the request was sent.
// K2. A renewal that fails is tried again until the time is over. One that gets no answer is given
//     up early enough for others: its master may be gone.

import type { Alarm } from "@lumeofs/base";
import { LumeoError } from "./error.js";
import type { Listing } from "./listing.js";
import type { MetadataRunner } from "./metadata-runner.js";
import type { Fence, LockEntry } from "./operations.js";
import { type CallOptions, timeToLive } from "./options.js";
import { PagedListing } from "./paged-listing.js";
import type { Ports } from "./ports.js";

/** A lock that somebody holds. */
export interface LockInfo {
  readonly name: string;
  readonly holder: string;
  readonly token: number;
  readonly expiresAt: Date;
  /** How long it still lasted when the master answered. */
  readonly remainingMs: number;
}

export interface LockOptions extends CallOptions {
  /** How long it lasts without being renewed. Default 30 s. */
  readonly ttlMs?: number;
  /** For people who look who holds it. */
  readonly holder?: string;
}

const TTL_MS_DEFAULT = 30_000;
/** A lock is renewed this many times in its time to live. */
const RENEWALS = 3;
/** How long one renewal may take, and how long the next one waits if it fails: parts of that. */
const TRY_PART = 6;
const PAUSE_PART = 12;

export class Locks {
  readonly #runner: MetadataRunner;
  readonly #ports: Ports;

  constructor(runner: MetadataRunner, ports: Ports) {
    this.#runner = runner;
    this.#ports = ports;
  }

  /** Takes a lock. @throws LumeoError LUMEO_LOCKED if somebody else holds it. */
  async acquire(name: string, options: LockOptions = {}): Promise<LockInfo> {
    const { run, metadata } = this.#runner;
    const { ttlMs = TTL_MS_DEFAULT, holder = "" } = options;
    return run("locks.acquire", undefined, options, async (call) => {
      const ask = { name, holder, ttlMs: timeToLive(ttlMs) };
      return toLockInfo(await metadata.mutate(call, "acquireLock", ask));
    });
  }

  /** Lets it last for `ttlMs` from now. @throws LumeoError LUMEO_PRECONDITION if it was lost. */
  async renew(
    { lock, token }: Fence,
    options: CallOptions & { readonly ttlMs?: number } = {},
  ): Promise<LockInfo> {
    const { run, metadata } = this.#runner;
    return run("locks.renew", undefined, options, async (call) => {
      const ask = { name: lock, token, ttlMs: timeToLive(options.ttlMs ?? TTL_MS_DEFAULT) };
      return toLockInfo(await metadata.mutate(call, "renewLock", ask));
    });
  }

  /** Gives a lock up. */
  async release({ lock, token }: Fence, options: CallOptions = {}): Promise<void> {
    const { run, metadata } = this.#runner;
    await run("locks.release", undefined, options, (call) =>
      metadata.mutate(call, "releaseLock", { name: lock, token }),
    );
  }

  /** All locks that are held, by name. */
  list(options: CallOptions = {}): Listing<LockInfo> {
    const { run, metadata } = this.#runner;
    return new PagedListing(
      (after, countMax) =>
        run("locks.list", undefined, options, async (call) => {
          const { locks, more } = await metadata.query(call, "listLocks", { after, countMax });
          return { items: locks.map(toLockInfo), more };
        }),
      (lock) => lock.name,
    );
  }

  /** Takes a lock and keeps it until it is released or lost. */
  async lease(name: string, options: LockOptions = {}): Promise<Lease> {
    const begun = this.#ports.clock.monotonicMs();
    const { token } = await this.acquire(name, options);
    const { ttlMs = TTL_MS_DEFAULT } = options;
    return new Lease(this, this.#ports, { fence: { lock: name, token }, ttlMs, begun });
  }
}

/** A lock that is renewed by itself. */
export class Lease implements AsyncDisposable {
  /** Give it along with changes that only the holder may make. */
  readonly fence: Fence;
  readonly #locks: Locks;
  readonly #ports: Ports;
  readonly #ttlMs: number;
  readonly #lost = new AbortController();
  #endsAt: number;
  #alarm: Alarm | undefined;
  #isReleased = false;

  constructor(
    locks: Locks,
    ports: Ports,
    held: { readonly fence: Fence; readonly ttlMs: number; readonly begun: number },
  ) {
    this.fence = held.fence;
    this.#locks = locks;
    this.#ports = ports;
    this.#ttlMs = held.ttlMs;
    this.#endsAt = held.begun + held.ttlMs;
    this.#waitToRenew(this.#ttlMs / RENEWALS);
  }

  get token(): number {
    return this.fence.token;
  }

  /** Aborted when the lock is no longer held, with the reason; not after `release`. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Gives the lock up. Harmless if it was lost. */
  async release(options: CallOptions = {}): Promise<void> {
    if (this.#isReleased || this.lost.aborted) return;
    this.#isReleased = true;
    this.#alarm?.cancel();
    await this.#locks.release(this.fence, options).catch((error: unknown) => {
      if (!isLost(error)) throw error;
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #waitToRenew(pauseMs: number): void {
    const left = this.#endsAt - this.#ports.clock.monotonicMs();
    if (left <= 0) return this.#lose(undefined);
    this.#alarm = this.#ports.timers.after(Math.min(pauseMs, left), () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const begun = this.#ports.clock.monotonicMs();
    const left = this.#endsAt - begun;
    if (left <= 0) return this.#lose(undefined);
    let pauseMs = this.#ttlMs / RENEWALS;
    try {
      const deadlineMs = Math.min(left, this.#ttlMs / TRY_PART);
      await this.#locks.renew(this.fence, { ttlMs: this.#ttlMs, deadlineMs });
      this.#endsAt = begun + this.#ttlMs;
    } catch (error) {
      if (this.#isReleased) return;
      if (isLost(error)) return this.#lose(error);
      pauseMs = this.#ttlMs / PAUSE_PART;
    }
    if (!this.#isReleased) this.#waitToRenew(pauseMs);
  }

  #lose(cause: unknown): void {
    const message = `The lock "${this.fence.lock}" is no longer held`;
    this.#lost.abort(new LumeoError("LUMEO_LOCKED", message, { cause }));
  }
}

function isLost(error: unknown): boolean {
  return LumeoError.is(error, "LUMEO_PRECONDITION") || LumeoError.is(error, "LUMEO_NOT_FOUND");
}

function toLockInfo({ expiresAtMs, ...lock }: LockEntry): LockInfo {
  return { ...lock, expiresAt: new Date(expiresAtMs) };
}
