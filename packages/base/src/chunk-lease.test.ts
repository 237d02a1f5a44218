import test from "ava";
import fc from "fast-check";
import {
  endGiven,
  type Instant,
  isHeld,
  isOver,
  type LeaseTerms,
  leaseOfUnknownHolder,
  NOBODYS_LEASE,
  releaseGiven,
  renewGiven,
  renewHeld,
} from "./chunk-lease.js";
import { epoch } from "./ids.js";
import { monotonicMs, wallMs } from "./time.js";

const TERMS: LeaseTerms = { lengthMs: 10_000, drift: 0.01, slackMs: 500 };

function at(ms: number, wallAheadMs = 0): Instant {
  return { monotonicMs: monotonicMs(ms), wallMs: wallMs(1_000_000 + ms + wallAheadMs) };
}

test("rule 15: the holder has stopped before the giver goes on, if clocks run within the terms", (t) => {
  const rate = fc.double({ min: 0.99, max: 1.01, noNaN: true });
  const delay = fc.double({ min: 0, max: 20_000, noNaN: true });
  fc.assert(
    fc.property(rate, rate, delay, delay, (holderRate, giverRate, givenAfter, readAt) => {
      const held = renewHeld(undefined, epoch(2), at(0));
      const given = renewGiven(NOBODYS_LEASE, monotonicMs(givenAfter * giverRate));
      const isRead = isHeld(TERMS, held, epoch(2), at(readAt * holderRate));
      const isGranted = isOver(TERMS, given!, monotonicMs(readAt * giverRate));
      t.false(isRead && isGranted);
    }),
  );
});

test("rule 15: a lease counts from when it was asked for, and an older answer takes nothing back", (t) => {
  const held = renewHeld(renewHeld(undefined, epoch(2), at(5_000)), epoch(2), at(1_000));
  t.true(isHeld(TERMS, held, epoch(2), at(14_399)));
  t.false(isHeld(TERMS, held, epoch(2), at(14_400)));
  t.is(renewHeld(held, epoch(1), at(9_000)), held);
  t.true(isHeld(TERMS, renewHeld(held, epoch(3), at(1_000)), epoch(3), at(2_000)));
});

test("rule 15: a lease of another epoch, or none, is not held", (t) => {
  t.false(isHeld(TERMS, undefined, epoch(1), at(0)));
  t.false(isHeld(TERMS, renewHeld(undefined, epoch(1), at(0)), epoch(2), at(1)));
});

test("rule 15: a machine that slept while its monotonic clock stood still holds nothing", (t) => {
  const held = renewHeld(undefined, epoch(2), at(0));
  t.true(isHeld(TERMS, held, epoch(2), at(100, 250)));
  t.false(isHeld(TERMS, held, epoch(2), at(100, 60_000)));
  t.false(isHeld(TERMS, held, epoch(2), at(100, -60_000)));
});

test("rule 15: a giver that wants to grant another epoch renews nothing, and waits", (t) => {
  const given = endGiven(renewGiven(NOBODYS_LEASE, monotonicMs(1_000))!);
  t.is(renewGiven(given, monotonicMs(2_000)), undefined);
  t.false(isOver(TERMS, given, monotonicMs(11_599)));
  t.true(isOver(TERMS, given, monotonicMs(11_600)));
});

test("rule 15: a released lease is over at once, and a new leader waits a whole one", (t) => {
  const given = renewGiven(NOBODYS_LEASE, monotonicMs(1_000))!;
  t.true(isOver(TERMS, releaseGiven(given), monotonicMs(1_000)));
  t.false(isOver(TERMS, leaseOfUnknownHolder(monotonicMs(1_000)), monotonicMs(11_599)));
  t.true(isOver(TERMS, leaseOfUnknownHolder(monotonicMs(1_000)), monotonicMs(11_600)));
});
