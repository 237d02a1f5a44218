import { InvariantViolation } from "@lumeofs/base";
import test from "ava";
import { watchOrder } from "./watched-order.js";

test("a look that breaks ends the order with what it has thrown", async (t) => {
  const wakes: (() => void)[] = [];
  const alarm = { cancel: () => undefined };
  const timers = {
    after: (_ms: number, wake: () => void) => {
      wakes.push(wake);
      return alarm;
    },
    every: () => alarm,
  };
  let signal: AbortSignal | undefined;
  const ordered = watchOrder(timers, {
    order: (given) => {
      signal = given;
      return new Promise(() => undefined);
    },
    look: () => Promise.reject(new InvariantViolation("a bug", {})),
    everyMs: 1_000,
  });
  wakes[0]?.();
  await t.throwsAsync(ordered, { instanceOf: InvariantViolation });
  t.true(signal?.aborted);
  t.is(wakes.length, 1, "it is not looked again");
});
