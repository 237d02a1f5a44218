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
