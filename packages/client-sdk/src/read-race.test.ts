import { monotonicMs } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { HedgePolicy } from "./hedge-policy.js";
import { type RaceStep, ReadRace } from "./read-race.js";

const LIMITS = { msMin: 10, msMax: 50, share: 0.1 };

function at(ms: number) {
  return monotonicMs(ms);
}

/** A race whose first replica is asked at 0; the policy's first delay is 50 ms. */
function setUp(replicas = ["a", "b", "c"], policy = new HedgePolicy(LIMITS)) {
  const race = new ReadRace(replicas, policy, at(0));
  return { race, policy, first: race.start(at(0)) };
}

function asked(steps: readonly RaceStep<string>[]): readonly string[] {
  return steps.flatMap((step) => (step.kind === "ask" ? [`${step.leg}:${step.replica}`] : []));
}

test("A race asks one replica, and a second one only after the delay", (t) => {
  const { race, first } = setUp();
  t.deepEqual(first, [
    { kind: "ask", leg: 0, replica: "a" },
    { kind: "wake", inMs: 50 },
  ]);
  t.deepEqual(race.woke(at(49)), [{ kind: "wake", inMs: 1 }]);
  t.deepEqual(asked(race.woke(at(50))), ["1:b"]);
  t.deepEqual(asked(race.woke(at(1_000))), [], "never three at a time (R1)");
});

test("A look is a whole millisecond away at least, whatever fractions clocks leave over", (t) => {
  const { race } = setUp();
  t.deepEqual(race.woke(at(50 - 7e-13)), [{ kind: "wake", inMs: 1 }]);
});

test("The first piece decides: the silent one is cancelled, and was silent since it was asked (R2)", (t) => {
  const { race } = setUp();
  race.woke(at(50));
  const { steps, waitedMs } = race.piece(1, at(53));
  t.deepEqual(steps, [{ kind: "cancel", leg: 0, silentMs: 53 }]);
  t.is(waitedMs, 53);
  t.false(race.isRunning(0));
  t.true(race.isRunning(1));
});

test("A slow first replica that comes in time beats the second one", (t) => {
  const { race } = setUp();
  race.woke(at(50));
  t.deepEqual(race.piece(0, at(51)).steps, [{ kind: "cancel", leg: 1, silentMs: 1 }]);
});

test("A replica that falls silent in the middle is hedged again, counted from its last piece", (t) => {
  const { race } = setUp();
  race.piece(0, at(40));
  t.deepEqual(race.woke(at(60)), [{ kind: "wake", inMs: 30 }]);
  t.deepEqual(asked(race.woke(at(90))), ["1:b"]);
});

test("A failure asks the next at once, one of two leaves the other running (R3, R4)", (t) => {
  const { race } = setUp(["a", "b"]);
  race.woke(at(50));
  t.deepEqual(race.failed(0, at(55)), []);
  t.deepEqual(race.failed(1, at(56)), [{ kind: "exhausted" }]);
  const other = setUp(["a", "b"]).race;
  t.deepEqual(asked(other.failed(0, at(5))), ["1:b"]);
});

test("One that was cancelled is asked again when all others have failed (R2)", (t) => {
  const { race } = setUp(["a", "b"]);
  race.woke(at(50));
  race.piece(1, at(53));
  t.deepEqual(asked(race.failed(1, at(60))), ["2:a"]);
});

test("Hedges are a share of the reads, but the greatest silence is not paid for (H2, H3)", (t) => {
  const policy = new HedgePolicy(LIMITS);
  let hedges = 0;
  for (let read = 0; read < 1_000; read++) {
    policy.readBegan();
    if (policy.tryHedge()) hedges++;
  }
  t.true(100 <= hedges && hedges <= 117, `${hedges}`);
  const { race } = setUp(["a", "b"], policy);
  while (policy.tryHedge());
  for (let i = 0; i < 100; i++) policy.waited(1);
  t.deepEqual(asked(race.woke(at(40))), []);
  t.deepEqual(asked(race.woke(at(50))), ["1:b"]);
});

test("The delay follows what pieces take, within the limits (H1)", (t) => {
  const policy = new HedgePolicy(LIMITS);
  for (let i = 0; i < 128; i++) policy.waited(i % 5 === 0 ? 20 : 2);
  t.is(policy.delayMs, 30);
  for (let i = 0; i < 256; i++) policy.waited(1);
  t.is(policy.delayMs, LIMITS.msMin);
  for (let i = 0; i < 256; i++) policy.waited(5_000);
  t.is(policy.delayMs, LIMITS.msMax);
});

test("Without hedges a race waits for its replica as long as it takes", (t) => {
  const policy = new HedgePolicy(undefined);
  const race = new ReadRace(["a", "b"], policy, at(0));
  t.deepEqual(race.start(at(0)), [{ kind: "ask", leg: 0, replica: "a" }]);
  t.deepEqual(asked(race.failed(0, at(9))), ["1:b"]);
});

test("Whatever happens, at most two are asked at a time, and it ends when all have failed", (t) => {
  const event = fc.record({
    kind: fc.constantFrom("piece", "failed", "woke"),
    pick: fc.nat(9),
    laterMs: fc.nat(120),
  });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5 }), fc.array(event, { maxLength: 60 }), (n, events) => {
      const replicas = Array.from({ length: n }, (_, i) => `r${i}`);
      const race = new ReadRace(replicas, new HedgePolicy(LIMITS), at(0));
      const running = new Map<number, string>();
      const failed = new Set<string>();
      let isExhausted = false;
      const note = (steps: readonly RaceStep<string>[]): void => {
        for (const step of steps) {
          if (step.kind === "ask") {
            t.false(failed.has(step.replica), "a replica that failed is asked again");
            running.set(step.leg, step.replica);
          }
          if (step.kind === "cancel") t.true(running.delete(step.leg));
          if (step.kind === "exhausted") isExhausted = true;
        }
        t.true(running.size <= 2);
        t.is(new Set(running.values()).size, running.size);
      };
      let now = 0;
      note(race.start(at(now)));
      for (const { kind, pick, laterMs } of events) {
        if (isExhausted) break;
        now += laterMs;
        const leg = [...running.keys()][pick % running.size] as number;
        if (kind === "woke") note(race.woke(at(now)));
        if (kind === "piece") note(race.piece(leg, at(now)).steps);
        if (kind !== "failed") continue;
        failed.add(running.get(leg) as string);
        running.delete(leg);
        note(race.failed(leg, at(now)));
      }
      t.is(isExhausted, failed.size === n);
    }),
    { numRuns: 300 },
  );
});
