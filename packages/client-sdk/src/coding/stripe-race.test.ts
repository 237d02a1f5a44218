import { type Code, type MonotonicMs, monotonicMs, type Stripe, stripeOf } from "@lumeofs/base";
import test from "ava";
import fc from "fast-check";
import { HEDGE_DEFAULT, HedgePolicy } from "../hedge-policy.js";
import {
  type CellOrigin,
  type CellPart,
  StripeRace,
  type StripeStep,
  type UnitOutlook,
} from "./stripe-race.js";

const CODE: Code = { data: 4, parity: 2, cellBytes: 65_536 };
const UNITS = [0, 1, 2, 3, 4, 5];
const FULL = stripeOf(CODE, 4 * CODE.cellBytes, 0);
const DELAY_MS = 100;

function at(ms: number): MonotonicMs {
  return monotonicMs(ms);
}

function outlooks(doubts: Readonly<Record<number, number>> = {}): readonly UnitOutlook[] {
  return UNITS.map((unit) => ({ doubt: doubts[unit] ?? 0, rank: unit }));
}

function wholeCells(units: readonly number[]): readonly CellPart[] {
  return units.map((unit) => ({ unit, from: 0, to: CODE.cellBytes }));
}

function raceFor(
  wanted: readonly CellPart[],
  doubts: Readonly<Record<number, number>> = {},
  stripe: Stripe = FULL,
): StripeRace {
  const task = { code: CODE, stripe, wanted, outlooks: outlooks(doubts) };
  return new StripeRace(task, new HedgePolicy(HEDGE_DEFAULT));
}

function asked(steps: readonly StripeStep[]): readonly number[] {
  return steps.flatMap((step) => (step.kind === "ask" ? [step.part.unit] : []));
}

function pieceOf(steps: readonly StripeStep[], unit: number): number {
  const found = steps.find((step) => step.kind === "ask" && step.part.unit === unit);
  return found?.kind === "ask" ? found.piece : -1;
}

function originsIn(steps: readonly StripeStep[]): readonly CellOrigin[] | undefined {
  const done = steps.find((step) => step.kind === "done");
  return done?.kind === "done" ? done.cells : undefined;
}

test("a healthy stripe is read from the units that are wanted, and from no other (T1)", (t) => {
  const race = raceFor(wholeCells([0, 1, 2, 3]));
  const steps = race.start(at(0));
  t.deepEqual(asked(steps), [0, 1, 2, 3]);
  for (const piece of [0, 1, 2]) t.deepEqual(race.done(piece, at(5)), []);
  const end = race.done(3, at(6));
  t.deepEqual(
    originsIn(end)?.map(({ kind }) => kind),
    ["read", "read", "read", "read"],
  );
});

test("a unit that fails is rebuilt from what is read anyway, and one more (T2)", (t) => {
  const race = raceFor(wholeCells([0, 1, 2, 3]));
  race.start(at(0));
  for (const piece of [0, 2, 3]) race.done(piece, at(5));
  const steps = race.failed(1, at(6));
  t.deepEqual(asked(steps), [4]);
  const [, second] = originsIn(race.done(pieceOf(steps, 4), at(7))) ?? [];
  t.is(second?.kind, "rebuilt");
  t.deepEqual(second?.kind === "rebuilt" && second.sources.map(({ unit }) => unit), [0, 2, 3, 4]);
});

test("a small range of a unit that fails costs the same range of four others", (t) => {
  const race = raceFor([{ unit: 2, from: 100, to: 200 }]);
  const [first] = race.start(at(0));
  t.deepEqual(first, { kind: "ask", piece: 0, part: { unit: 2, from: 100, to: 200 } });
  const steps = race.failed(0, at(1));
  t.deepEqual(asked(steps), [0, 1, 3, 4]);
  t.true(steps.every((step) => step.kind !== "ask" || step.part.to - step.part.from === 100));
});

test("a silent unit is rebuilt from others after the delay; whoever is first wins (T2, T3)", (t) => {
  for (const winner of ["itself", "the others"]) {
    const race = raceFor(wholeCells([0, 1, 2, 3]));
    race.start(at(0));
    for (const piece of [0, 2, 3]) {
      race.heard(piece, at(5));
      race.done(piece, at(5));
    }
    t.deepEqual(race.woke(at(DELAY_MS - 1)), [{ kind: "wake", inMs: 1 }]);
    const steps = race.woke(at(DELAY_MS));
    t.deepEqual(asked(steps), [4]);
    const end = race.done(winner === "itself" ? 1 : pieceOf(steps, 4), at(DELAY_MS + 1));
    t.is(originsIn(end)?.[1]?.kind, winner === "itself" ? "read" : "rebuilt");
    const cancels = end.filter((step) => step.kind === "cancel");
    const silentMs = winner === "itself" ? undefined : DELAY_MS + 1;
    t.deepEqual(cancels, [{ kind: "cancel", piece: winner === "itself" ? 4 : 1, silentMs }]);
  }
});

test("a source that falls silent too is followed by another", (t) => {
  const race = raceFor(wholeCells([0, 1, 2, 3]));
  race.start(at(0));
  for (const piece of [0, 2, 3]) race.done(piece, at(5));
  t.deepEqual(asked(race.woke(at(DELAY_MS))), [4]);
  const steps = race.woke(at(2 * DELAY_MS));
  t.deepEqual(asked(steps), [5]);
  t.is(originsIn(race.done(pieceOf(steps, 5), at(2 * DELAY_MS + 1)))?.[1]?.kind, "rebuilt");
});

test("units that something speaks against are rebuilt at once if enough others are better", (t) => {
  const two = raceFor(wholeCells([0, 1, 2, 3]), { 0: 3, 3: 1 });
  t.deepEqual(asked(two.start(at(0))), [1, 2, 4, 5]);
  const three = raceFor(wholeCells([0, 1, 2, 3]), { 0: 3, 3: 1, 5: 3 });
  t.deepEqual([...asked(three.start(at(0)))].sort(), [1, 2, 3, 4], "3 is the best of the doubtful");
  const damaged = raceFor(wholeCells([0]), { 0: Infinity, 1: Infinity });
  t.deepEqual(asked(damaged.start(at(0))), [2, 3, 4, 5]);
});

test("when too few can be had the race is lost (T5)", (t) => {
  const race = raceFor(wholeCells([0, 1, 2, 3]), { 4: Infinity });
  race.start(at(0));
  t.deepEqual(asked(race.failed(0, at(1))), [5]);
  const end = race.failed(1, at(2));
  t.is(end.at(-1)?.kind, "lost");
  const hopeless = raceFor(wholeCells([0]), { 0: Infinity, 1: Infinity, 4: Infinity });
  t.deepEqual(
    hopeless.start(at(0)).filter(({ kind }) => kind !== "wake" && kind !== "cancel"),
    [
      { kind: "ask", piece: 0, part: { unit: 2, from: 0, to: CODE.cellBytes } },
      { kind: "ask", piece: 1, part: { unit: 3, from: 0, to: CODE.cellBytes } },
      { kind: "ask", piece: 2, part: { unit: 5, from: 0, to: CODE.cellBytes } },
      { kind: "lost" },
    ],
  );
});

test("units without bytes in a short stripe count as zeros and are not asked", (t) => {
  const short = stripeOf(CODE, 100, 0); // cells of 64 bytes: 64, 36, 0, 0
  const race = raceFor([{ unit: 0, from: 0, to: 64 }], {}, short);
  race.start(at(0));
  const steps = race.failed(0, at(1));
  t.deepEqual(asked(steps), [1, 4]);
  t.deepEqual(steps[0], { kind: "ask", piece: 1, part: { unit: 1, from: 0, to: 36 } });
  race.done(1, at(2));
  const [cell] = originsIn(race.done(2, at(3))) ?? [];
  t.deepEqual(cell?.kind === "rebuilt" && cell.sources, [
    { unit: 1, piece: 1 },
    { unit: 2, piece: undefined },
    { unit: 3, piece: undefined },
    { unit: 4, piece: 2 },
  ]);
});

test("whatever fails, in whatever order: done if four units are left for each cell, else lost", (t) => {
  const trial = fc.record({
    lengthBytes: fc.integer({ min: 1, max: 4 * CODE.cellBytes }),
    bad: fc.uniqueArray(fc.nat(5)),
    doubts: fc.dictionary(fc.constantFrom("0", "1", "2", "3", "4", "5"), fc.nat(3)),
    order: fc.infiniteStream(fc.nat(1_000)),
  });
  fc.assert(
    fc.property(trial, ({ lengthBytes, bad, doubts, order }) => {
      const stripe = stripeOf(CODE, lengthBytes, 0);
      const wanted = UNITS.slice(0, 4).flatMap((unit) => {
        const to = Math.min(stripe.cellBytes, lengthBytes - unit * stripe.cellBytes);
        return 0 < to ? [{ unit, from: 0, to }] : [];
      });
      const race = raceFor(wanted, doubts, stripe);
      const running = new Map<number, CellPart>();
      const ends: StripeStep[] = [];
      const obey = (steps: readonly StripeStep[]): void => {
        for (const step of steps) {
          if (step.kind === "ask") running.set(step.piece, step.part);
          else if (step.kind === "cancel") running.delete(step.piece);
          else if (step.kind !== "wake") ends.push(step);
        }
      };
      obey(race.start(at(0)));
      while (ends.length === 0) {
        const pieces = [...running.keys()];
        t.true(0 < pieces.length, "a race that is not over waits for something");
        const { value = 0 } = order.next();
        const piece = pieces[value % pieces.length] as number;
        const { unit } = running.get(piece) as CellPart;
        running.delete(piece);
        obey(bad.includes(unit) ? race.failed(piece, at(1)) : race.done(piece, at(1)));
      }
      const end = ends[0] as StripeStep;
      const parts = end.kind === "done" ? end.cells : [];
      const isLost = wanted.some(({ unit }) => bad.includes(unit)) && 2 < missing(stripe, bad);
      t.is(end.kind, isLost ? "lost" : "done");
      if (end.kind === "done") t.is(parts.length, wanted.length);
    }),
  );
});

/** Bad units that have bytes in the stripe. */
function missing(stripe: Stripe, bad: readonly number[]): number {
  return bad.filter((unit) => 4 <= unit || unit * stripe.cellBytes < stripe.lengthBytes).length;
}
