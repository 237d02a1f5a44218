import { wallMs } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { MemoryState } from "../../test/memory-state.js";
import type { Reply } from "./command.js";
import { getCount } from "./counters.js";
import type { Moment } from "./inodes.js";
import {
  acquireLock,
  decodeLock,
  encodeLock,
  expireLocks,
  getLock,
  LOCK_TTL_MS_MAX,
  locksPage,
  refuseFence,
  releaseLock,
  renewLock,
} from "./locks.js";

/** A state and a clock; every command has an index of its own. */
class Table {
  readonly state = new MemoryState();
  index = 10;
  at = 1_000_000;

  now(): Moment {
    return { index: this.index, at: wallMs(this.at), emitted: { count: 0 } };
  }

  acquire(name: string, holder = "h", ttlMs = 1_000): Reply {
    this.index++;
    return acquireLock(this.state, { name, holder, ttlMs }, this.now());
  }

  renew(name: string, token: number, ttlMs = 1_000): Reply {
    this.index++;
    return renewLock(this.state, { name, token, ttlMs }, this.now());
  }

  release(name: string, token: number): Reply {
    this.index++;
    return releaseLock(this.state, { name, token }, this.now());
  }

  fence(lock: string, token: number): string | undefined {
    const fence = { lock, token };
    return refuseFence(this.state, () => "Cannot write", fence, wallMs(this.at))?.code;
  }
}

function tokenOf(reply: Reply): number {
  if (reply.kind !== "locked") throw new Error(JSON.stringify(reply));
  return reply.token;
}

function message(reply: Reply): string {
  return reply.kind === "refused" ? `${reply.code}: ${reply.message}` : reply.kind;
}

test("a lock that somebody holds is refused, with the holder and what is left", (t) => {
  const table = new Table();
  const reply = table.acquire("job", "worker 1", 1_000);
  t.like(reply, { kind: "locked", holder: "worker 1", token: 11, expiresAt: 1_001_000 });
  table.at += 400;
  t.regex(message(table.acquire("job", "worker 2")), /^LOCKED: .*"worker 1" holds it for .*600 ms/);
  t.is(tokenOf(table.acquire("another", "worker 2")), 13);
});

test("a lapsed lock goes to whoever asks first, with a larger token", (t) => {
  const table = new Table();
  const first = tokenOf(table.acquire("job"));
  table.at += 1_000;
  const second = tokenOf(table.acquire("job", "other"));
  t.true(first < second);
  t.is(table.fence("job", first), "PRECONDITION");
  t.is(table.fence("job", second), undefined);
});

test("renewing lets a lock last from now on, longer or shorter", (t) => {
  const table = new Table();
  const token = tokenOf(table.acquire("job"));
  table.at += 999;
  t.like(table.renew("job", token, 5_000), { kind: "locked", token, expiresAt: table.at + 5_000 });
  t.like(table.renew("job", token, 100), { expiresAt: table.at + 100 });
  table.at += 100;
  t.regex(message(table.renew("job", token)), /^PRECONDITION: .*lapsed 0 ms ago; acquire it again/);
});

test("a lapsed lock is never current again, even if nobody else took it", (t) => {
  const table = new Table();
  const token = tokenOf(table.acquire("job"));
  table.at += 2_000;
  t.is(table.fence("job", token), "PRECONDITION");
  t.is(table.renew("job", token).kind, "refused");
  t.is(table.release("job", token).kind, "refused");
});

test("a released lock is free at once, and its token is of no use", (t) => {
  const table = new Table();
  const token = tokenOf(table.acquire("job"));
  t.is(table.release("job", token).kind, "done");
  t.is(getLock(table.state, "job"), undefined);
  t.is(table.fence("job", token), "PRECONDITION");
  t.regex(message(table.release("job", token)), /nobody holds it now, and token 11 is of the past/);
  const next = tokenOf(table.acquire("job", "other"));
  t.regex(message(table.release("job", token)), /"other" holds it with token 14, not 11/);
  t.is(table.fence("job", next), undefined);
});

test("what is not a name, a holder or a time is refused", (t) => {
  const table = new Table();
  for (const name of ["", "a\nb", "ü".repeat(513)]) {
    t.regex(message(table.acquire(name)), /^INVALID_ARGUMENT: Cannot use lock name/);
  }
  t.regex(message(table.acquire("a", "x".repeat(257))), /^INVALID_ARGUMENT: .* its holder is/);
  for (const ttlMs of [0, 99, LOCK_TTL_MS_MAX + 1]) {
    t.regex(message(table.acquire("a", "", ttlMs)), /^INVALID_ARGUMENT: .* for \d+ ms/);
  }
  t.is(table.acquire("ü".repeat(512), "", LOCK_TTL_MS_MAX).kind, "locked");
  t.regex(message(table.acquire("ü".repeat(512))), /somebody holds it/);
});

test("clearing away takes only what has lapsed, and repeating it is harmless", (t) => {
  const table = new Table();
  table.acquire("short", "", 100);
  table.acquire("long", "", 10_000);
  table.at += 100;
  for (let i = 0; i < 2; i++) expireLocks(table.state, ["short", "long", "none"], table.now());
  t.is(getLock(table.state, "short"), undefined);
  t.not(getLock(table.state, "long"), undefined);
  t.is(getCount(table.state, "locks"), 1);
});

test("pages hold the locks that are held, or those that have lapsed, by name", async (t) => {
  const table = new Table();
  for (const name of ["a", "c", "e", "g"]) table.acquire(name, "", 100);
  for (const name of ["b", "d", "f"]) table.acquire(name, "", 10_000);
  const at = wallMs(table.at + 100);
  const names = async (are: "held" | "lapsed", after: string) => {
    const page = await locksPage(table.state, { after, countMax: 3 }, { are, at });
    return [page.locks.map((lock) => lock.name).join(""), page.hasMore, page.last];
  };
  t.deepEqual(await names("held", ""), ["b", true, "c"]);
  t.deepEqual(await names("held", "c"), ["df", true, "f"]);
  t.deepEqual(await names("held", "f"), ["", false, "g"]);
  t.deepEqual(await names("lapsed", ""), ["ac", true, "c"]);
  t.deepEqual(await names("lapsed", "g"), ["", false, "g"]);
});

test("a lock's record gives the lock back", (t) => {
  const lock = { holder: "ü", token: 2 ** 50, expiresAt: wallMs(5) };
  t.deepEqual(decodeLock(encodeLock(lock)), lock);
});

type Step = { kind: "acquire" | "renew" | "release" | "fence"; who: number } | { kind: "wait" };

test("L2: whatever happens, one token at most is current, and tokens of the past stay refused", (t) => {
  const steps: fc.Arbitrary<Step> = fc.oneof(
    fc.record({
      kind: fc.constantFrom("acquire", "renew", "release", "fence"),
      who: fc.nat({ max: 2 }),
    }),
    fc.constant({ kind: "wait" }),
  );
  fc.assert(
    fc.property(fc.array(steps, { maxLength: 60 }), (all) => {
      const table = new Table();
      const tokens = [0, 0, 0];
      let newest = 0;
      for (const step of all) {
        if (step.kind === "wait") {
          table.at += 300;
          continue;
        }
        const token = tokens[step.who] as number;
        if (step.kind === "acquire") {
          const reply = table.acquire("job");
          if (reply.kind === "locked") {
            t.true(newest < reply.token);
            newest = reply.token;
            tokens[step.who] = newest;
          }
        }
        if (step.kind === "renew" && table.renew("job", token).kind === "locked")
          t.is(token, newest);
        if (step.kind === "release" && table.release("job", token).kind === "done") {
          t.is(token, newest);
        }
        const current = tokens.filter((each) => table.fence("job", each) === undefined);
        t.true(current.length <= 1);
        t.true(current.every((each) => each === newest));
        t.is(getCount(table.state, "locks"), getLock(table.state, "job") === undefined ? 0 : 1);
      }
    }),
  );
});
