import { ERRORS, type ErrorCode, LumeoError } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { afterFailure, type FailedAttempt, REDIRECTS_MAX, RETRY_DEFAULT } from "./retry.js";

const half = { fraction: () => 0.5 };
const policy = { ...RETRY_DEFAULT, maxAttempts: 5, baseDelayMs: 100, maxDelayMs: 1_000 };

function failed(code: ErrorCode, rest: Partial<FailedAttempt> = {}): FailedAttempt {
  const error = new LumeoError(code, "Cannot");
  const first = { count: 1, redirects: 0, idempotent: true, elapsedMs: 0, remainingMs: Infinity };
  return { error, ...first, ...rest };
}

test("what cannot pass is given up at once", (t) => {
  for (const [code, traits] of Object.entries(ERRORS)) {
    const { kind } = afterFailure(failed(code as ErrorCode), policy, half);
    t.is(kind, traits.retryable ? "wait" : "giveUp", code);
  }
});

test("R1: what may have taken effect is repeated only if that is harmless", (t) => {
  const lost = { idempotent: false };
  t.is(afterFailure(failed("CONNECTION_LOST", lost), policy, half).kind, "giveUp");
  t.is(afterFailure(failed("UNAVAILABLE", lost), policy, half).kind, "wait");
});

test("R2: ceilings double up to the largest, and a wait is anywhere below", (t) => {
  const waits = [1, 2, 3, 4].map((count) =>
    afterFailure(failed("UNAVAILABLE", { count }), { ...policy, maxDelayMs: 300 }, half),
  );
  t.deepEqual(waits, [
    { kind: "wait", ms: 50 },
    { kind: "wait", ms: 100 },
    { kind: "wait", ms: 150 },
    { kind: "wait", ms: 150 },
  ]);
});

test("R3: a server's wish is a lower bound", (t) => {
  const error = new LumeoError("OVERLOADED", "Cannot", { retryAfterMs: 777 });
  t.deepEqual(afterFailure({ ...failed("OVERLOADED"), error }, policy, half), {
    kind: "wait",
    ms: 777,
  });
});

test("R4: no wait goes past the deadline", (t) => {
  t.is(afterFailure(failed("UNAVAILABLE", { remainingMs: 50 }), policy, half).kind, "giveUp");
  t.is(afterFailure(failed("UNAVAILABLE", { remainingMs: 51 }), policy, half).kind, "wait");
});

test("attempts are counted", (t) => {
  t.is(afterFailure(failed("UNAVAILABLE", { count: 4 }), policy, half).kind, "wait");
  t.is(afterFailure(failed("UNAVAILABLE", { count: 5 }), policy, half).kind, "giveUp");
});

test("a hint to the leader is followed at once, but not for ever", (t) => {
  const error = new LumeoError("NOT_LEADER", "Cannot", { leader: "m2:1" });
  const redirected = (redirects: number) =>
    afterFailure({ ...failed("NOT_LEADER"), error, count: redirects, redirects }, policy, half);
  t.deepEqual(redirected(1), { kind: "wait", ms: 0 });
  t.deepEqual(redirected(REDIRECTS_MAX), { kind: "wait", ms: 0 });
  t.deepEqual(redirected(REDIRECTS_MAX + 1), { kind: "wait", ms: 50 });
});

test("a wait is never negative, endless or above what the policy and the server say", (t) => {
  const attempts = fc.record({
    count: fc.integer({ min: 1, max: 19 }),
    redirects: fc.nat(19),
    fraction: fc.double({ min: 0, max: 0.999, noNaN: true }),
  });
  fc.assert(
    fc.property(attempts, ({ count, redirects, fraction }) => {
      const retry = afterFailure(
        failed("UNAVAILABLE", { count, redirects: Math.min(redirects, count) }),
        RETRY_DEFAULT,
        { fraction: () => fraction },
      );
      t.true(retry.kind === "wait" && 0 <= retry.ms && retry.ms <= RETRY_DEFAULT.maxDelayMs);
    }),
  );
});

test("hints to a leader that is gone are followed ever more slowly", (t) => {
  const error = new LumeoError("NOT_LEADER", "Cannot", { leader: "m2:1" });
  const waits = [3, 4, 5, 6].map((count) =>
    afterFailure({ ...failed("NOT_LEADER"), error, count, redirects: count }, RETRY_DEFAULT, half),
  );
  t.deepEqual(
    waits.map((retry) => retry.kind === "wait" && retry.ms),
    [0, 25, 50, 100],
  );
});

test("R6: while nobody leads, time counts and not attempts", (t) => {
  for (const code of ["NO_LEADER", "NOT_LEADER", "LEADERSHIP_LOST"] as const) {
    const late = { count: 90, elapsedMs: RETRY_DEFAULT.leaderlessMs - 1 };
    t.is(afterFailure(failed(code, late), policy, half).kind, "wait", code);
    const tooLate = { count: 90, elapsedMs: RETRY_DEFAULT.leaderlessMs };
    t.is(afterFailure(failed(code, tooLate), policy, half).kind, "giveUp", code);
  }
  const late = { count: 90, elapsedMs: 0 };
  t.is(afterFailure(failed("UNAVAILABLE", late), policy, half).kind, "giveUp");
});

test("R6: what is on its way, such as a seal, is waited for as an election is", (t) => {
  const error = new LumeoError("UNAVAILABLE", "Cannot append for a moment", { retryAfterMs: 50 });
  const after = (elapsedMs: number) =>
    afterFailure({ ...failed("UNAVAILABLE", { count: 90, elapsedMs }), error }, policy, half);
  t.is(after(RETRY_DEFAULT.leaderlessMs - 1).kind, "wait");
  t.is(after(RETRY_DEFAULT.leaderlessMs).kind, "giveUp");
});

test("R5: what is on its way is asked for again as often after many tries as after one", (t) => {
  const error = new LumeoError("UNAVAILABLE", "Cannot append for a moment", { retryAfterMs: 50 });
  for (const count of [1, 9, 40]) {
    const after = (fraction: number) =>
      afterFailure({ ...failed("UNAVAILABLE", { count }), error }, policy, {
        fraction: () => fraction,
      });
    t.deepEqual(after(0), { kind: "wait", ms: 50 });
    t.deepEqual(after(0.5), { kind: "wait", ms: 100 });
  }
});
