// Leases in virtual time, against masters that keep one lock in memory by the same clock.

import { type Alarm, LumeoError, monotonicMs, type Timers, wallMs } from "@lumeofs/base";
import test from "ava";
import { Calls } from "./calls.js";
import { Events } from "./events.js";
import { type Lease, Locks } from "./locks.js";
import { Metadata } from "./metadata.js";
import {
  type Answer,
  type Ask,
  type Attempt,
  LATEST,
  type LockEntry,
  type Masters,
  type OperationKind,
} from "./operations.js";
import { systemPorts } from "./ports.js";
import { RETRY_DEFAULT } from "./retry.js";

const TTL_MS = 3_000;

class VirtualTime implements Timers {
  now = 0;
  readonly #waiting = new Set<{ readonly at: number; readonly wake: () => void }>();

  after(delayMs: number, wake: () => void): Alarm {
    const alarm = { at: this.now + Math.max(0, delayMs), wake };
    this.#waiting.add(alarm);
    return { cancel: () => void this.#waiting.delete(alarm) };
  }

  every(): Alarm {
    throw new Error("nothing here repeats");
  }

  /** Lets all happen that is due until then, and all that follows from it. */
  async advance(ms: number): Promise<void> {
    const end = this.now + ms;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const due = [...this.#waiting].filter((alarm) => alarm.at <= end);
      const [next] = due.sort((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#waiting.delete(next);
      this.now = Math.max(this.now, next.at);
      next.wake();
    }
    this.now = end;
  }
}

class LockMasters implements Masters {
  readonly isUnreachable = false;
  /** What happens to requests: they are answered, refused at once, or never answered. */
  mood: "well" | "down" | "silent" = "well";
  renewals = 0;
  lock: LockEntry | undefined;
  readonly #time: VirtualTime;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  async attempt<K extends OperationKind>(attempt: Attempt<K>): Promise<Answer<K>> {
    if (this.mood === "down") throw new LumeoError("UNAVAILABLE", "No leader");
    if (this.mood === "silent") {
      const { signal } = attempt;
      await new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    }
    return this.#answer(attempt) as Answer<K>;
  }

  get isHeld(): boolean {
    return this.lock !== undefined && this.#time.now < this.lock.expiresAtMs;
  }

  #answer({ kind, ask }: Attempt<OperationKind>): unknown {
    switch (kind) {
      case "openSession":
        return { session: 1 };
      case "acquireLock": {
        const { name, holder, ttlMs } = ask as Ask<"acquireLock">;
        if (this.isHeld) throw new LumeoError("LOCKED", "Somebody holds it");
        return this.#keep({ name, holder, token: (this.lock?.token ?? 0) + 1 }, ttlMs);
      }
      case "renewLock": {
        const { token, ttlMs } = ask as Ask<"renewLock">;
        this.renewals++;
        return this.#keep(this.#held(token), ttlMs);
      }
      case "releaseLock":
        this.#held((ask as Ask<"releaseLock">).token);
        this.lock = undefined;
        return {};
      default:
        throw new Error(`nobody asks for ${kind}`);
    }
  }

  #held(token: number): LockEntry {
    const { lock } = this;
    if (lock?.token === token && this.isHeld) return lock;
    throw new LumeoError("PRECONDITION", "The token is not current");
  }

  #keep(lock: Pick<LockEntry, "name" | "holder" | "token">, ttlMs: number): LockEntry {
    const { name, holder, token } = lock;
    const expiresAtMs = this.#time.now + ttlMs;
    this.lock = { name, holder, token, expiresAtMs, remainingMs: ttlMs };
    return this.lock;
  }
}

function setup() {
  const time = new VirtualTime();
  const masters = new LockMasters(time);
  const clock = { monotonicMs: () => monotonicMs(time.now), wallMs: () => wallMs(time.now) };
  const ports = { ...systemPorts(), clock, timers: time, random: { ...systemPorts().random } };
  const steady = { ...ports, random: Object.assign(ports.random, { fraction: () => 0.5 }) };
  const calls = new Calls(steady, new Events());
  const metadata = new Metadata(masters);
  const locks = new Locks(
    {
      metadata,
      run: (method, path, options, action) => {
        const { signal, timeoutMs = 10_000, deadlineMs = Infinity } = options;
        const settings = {
          method,
          path,
          signal,
          timeoutMs,
          deadlineMs,
          policy: RETRY_DEFAULT,
          wish: LATEST,
          tellsFreshness: false,
        };
        return calls.run(settings, action);
      },
    },
    steady,
  );
  return { time, masters, locks };
}

/** When the lease was lost, in virtual time; undefined while it is not. */
function watchLoss(lease: Lease, time: VirtualTime): { at: number | undefined } {
  const loss: { at: number | undefined } = { at: undefined };
  lease.lost.addEventListener("abort", () => {
    loss.at = time.now;
  });
  return loss;
}

test("a lease is renewed three times in its time to live, for as long as it is kept", async (t) => {
  const { time, masters, locks } = setup();
  const lease = await locks.lease("job", { ttlMs: TTL_MS, holder: "worker" });
  await time.advance(10 * TTL_MS);
  t.false(lease.lost.aborted);
  t.true(masters.isHeld);
  t.is(masters.renewals, 30);
  t.deepEqual(lease.fence, { lock: "job", token: 1 });
});

test("nobody else gets the lock while a lease is kept", async (t) => {
  const { time, locks } = setup();
  await locks.lease("job", { ttlMs: TTL_MS });
  await time.advance(5 * TTL_MS);
  await t.throwsAsync(locks.acquire("job"), { code: "LUMEO_LOCKED" });
});

for (const mood of ["down", "silent"] as const) {
  test(`K1: masters that are ${mood} cost the lease before another can have it`, async (t) => {
    const { time, masters, locks } = setup();
    const lease = await locks.lease("job", { ttlMs: TTL_MS });
    const loss = watchLoss(lease, time);
    await time.advance(TTL_MS * 2 + 100);
    const lastMs = masters.lock?.expiresAtMs ?? 0;
    masters.mood = mood;
    await time.advance(4 * TTL_MS);
    t.true(lease.lost.aborted);
    t.true(loss.at !== undefined && loss.at <= lastMs, `${loss.at} ≤ ${lastMs}`);
    t.is((lease.lost.reason as { code?: string }).code, "LUMEO_LOCKED");
  });

  test(`K2: masters that are ${mood} for less than the time to live cost nothing`, async (t) => {
    const { time, masters, locks } = setup();
    const lease = await locks.lease("job", { ttlMs: TTL_MS });
    masters.mood = mood;
    await time.advance(TTL_MS * (mood === "down" ? 0.9 : 0.8));
    masters.mood = "well";
    await time.advance(TTL_MS);
    t.false(lease.lost.aborted);
    t.true(masters.isHeld);
  });
}

test("a lease whose token is no longer current is lost at the next renewal", async (t) => {
  const { time, masters, locks } = setup();
  const lease = await locks.lease("job", { ttlMs: TTL_MS });
  if (masters.lock !== undefined) masters.lock = { ...masters.lock, token: 7 };
  const loss = watchLoss(lease, time);
  await time.advance(TTL_MS / 3 - 1);
  t.false(lease.lost.aborted);
  await time.advance(1);
  t.is(loss.at, TTL_MS / 3);
  await time.advance(TTL_MS);
  t.is(masters.renewals, 1);
});

test("a released lease renews no more, frees the lock, and was not lost", async (t) => {
  const { time, masters, locks } = setup();
  {
    await using lease = await locks.lease("job", { ttlMs: TTL_MS });
    t.is(lease.token, 1);
  }
  await time.advance(5 * TTL_MS);
  t.is(masters.lock, undefined);
  t.is(masters.renewals, 0);
});

test("releasing a lease that was lost meanwhile is harmless", async (t) => {
  const { time, masters, locks } = setup();
  const lease = await locks.lease("job", { ttlMs: TTL_MS });
  masters.lock = undefined; // as if time had run faster at the masters
  await lease.release();
  await lease.release();
  await time.advance(2 * TTL_MS);
  t.false(lease.lost.aborted);
});
