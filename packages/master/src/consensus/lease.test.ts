import { monotonicMs, wallMs } from "@lumeofs/base";
import test from "ava";
import { holdsLease, leaseMs } from "./lease.js";
import type { Moment } from "./moment.js";

const LENGTH_MS = 100;

function moment(monotonic: number, wall = monotonic): Moment {
  return { monotonic: monotonicMs(monotonic), wall: wallMs(1_000_000 + wall) };
}

test("A lease begins with the round that was confirmed, and ends before its length is over", (t) => {
  t.true(holdsLease(moment(0), moment(0), LENGTH_MS));
  t.true(holdsLease(moment(0), moment(99), LENGTH_MS));
  t.false(holdsLease(moment(0), moment(100), LENGTH_MS));
  t.false(holdsLease(undefined, moment(0), LENGTH_MS));
});

test("3.3.27: a lease ends when the clocks of the machine disagree (E3)", (t) => {
  const confirmed = moment(0);
  t.false(holdsLease(confirmed, moment(10, 2_000), LENGTH_MS), "the machine was suspended");
  t.false(holdsLease(confirmed, moment(10, -500), LENGTH_MS), "the calendar was set back");
  t.true(holdsLease(confirmed, moment(10, 15), LENGTH_MS), "slewed");
});

test("A lease is shorter than the promise of the others, by drift and ticks (E2)", (t) => {
  for (const electionTicks of [5, 20, 1_000]) {
    const length = leaseMs({ electionTicks }, 50);
    const driftedLength = length * 1.1;
    const driftedPromise = (electionTicks - 1) * 50 * 0.9;
    t.true(0 < length && driftedLength < driftedPromise);
  }
});
