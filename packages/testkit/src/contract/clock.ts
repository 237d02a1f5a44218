// What every Clock with its Timers must do, as tests. Nothing is said about how fast it goes.

import type { Clock, Timers } from "@lumeofs/base";
import type { TestFn } from "ava";

/** A clock, its timers, and how time passes for them. */
export interface ClockUnderTest {
  readonly clock: Clock;
  readonly timers: Timers;
  /** Waits until the condition holds; virtual clocks run until then. */
  until(condition: () => boolean): Promise<void>;
}

/** Declares the tests of the contract for one kind of clock. */
export function testClock(test: TestFn, name: string, make: () => ClockUnderTest): void {
  test(`${name}: the monotonic clock reaches what a timer waited for`, async (t) => {
    const { clock, timers, until } = make();
    const begin = clock.monotonicMs();
    let end = -1;
    timers.after(20, () => {
      end = clock.monotonicMs();
    });
    await until(() => 0 <= end);
    // A timer of the host may be early by less than the resolution of its clock.
    t.true(begin + 19 <= end);
  });

  test(`${name}: timers wake in the order of their times`, async (t) => {
    const { timers, until } = make();
    const woken: number[] = [];
    timers.after(30, () => woken.push(3));
    timers.after(1, () => woken.push(1));
    timers.after(15, () => woken.push(2));
    await until(() => woken.length === 3);
    t.deepEqual(woken, [1, 2, 3]);
  });

  test(`${name}: a cancelled alarm stays silent`, async (t) => {
    const { timers, until } = make();
    let isLate = false;
    const once = timers.after(5, () => t.fail("a cancelled alarm rang"));
    const often = timers.every(5, () => t.fail("a cancelled period rang"));
    once.cancel();
    often.cancel();
    often.cancel();
    timers.after(20, () => {
      isLate = true;
    });
    await until(() => isLate);
    t.pass();
  });

  test(`${name}: a period repeats until it is cancelled from inside`, async (t) => {
    const { timers, until } = make();
    let count = 0;
    let isLate = false;
    const alarm = timers.every(2, () => {
      count++;
      if (count < 3) return;
      alarm.cancel();
      timers.after(20, () => {
        isLate = true;
      });
    });
    await until(() => isLate);
    t.is(count, 3);
  });

  test(`${name}: the wall clock counts whole milliseconds since 1970`, (t) => {
    const { clock } = make();
    t.true(Number.isInteger(clock.wallMs()));
    t.true(1_600_000_000_000 < clock.wallMs());
  });
}
