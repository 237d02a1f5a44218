import { testClock } from "@lumeofs/testkit";
import test from "ava";
import { SystemClock, SystemTimers } from "./system-clock.js";

testClock(test, "SystemClock", () => ({
  clock: new SystemClock(),
  timers: new SystemTimers(),
  until: (condition) =>
    new Promise((resolve) => {
      const look = setInterval(() => {
        if (!condition()) return;
        clearInterval(look);
        resolve();
      }, 1);
    }),
}));

test("SystemTimers refuses a delay that Node.js would cut to nothing", (t) => {
  t.throws(() => new SystemTimers().after(2 ** 31, () => {}), { name: "InvariantViolation" });
});

test("SystemTimers wakes after no delay in the next turn of the event loop", async (t) => {
  const timers = new SystemTimers();
  const woken: string[] = [];
  const wake = new Promise<void>((resolve) => timers.after(0, resolve)).then(() => {
    woken.push("after(0)");
  });
  timers.after(0, () => t.fail()).cancel();
  queueMicrotask(() => woken.push("this turn"));
  await wake;
  t.deepEqual(woken, ["this turn", "after(0)"]);
});
