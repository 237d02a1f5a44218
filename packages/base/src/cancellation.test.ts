import test from "ava";
import { CancelSource, unlessAborted } from "./cancellation.js";

test("listeners are called once, in the order of their coming, but for those that have left", (t) => {
  const cancelled = new CancelSource();
  const called: string[] = [];
  const listeners = ["a", "b", "c", "d"].map((name) => () => void called.push(name));
  for (const listener of listeners) cancelled.addEventListener("abort", listener);
  cancelled.removeEventListener("abort", listeners[0] as () => void);
  cancelled.removeEventListener("abort", listeners[2] as () => void);
  const stranger = (): void => undefined;
  cancelled.removeEventListener("abort", stranger);
  cancelled.addEventListener("abort", listeners[0] as () => void);
  cancelled.abort("first reason");
  cancelled.abort("second reason");
  t.deepEqual(called, ["b", "d", "a"]);
  t.is(cancelled.reason, "first reason");
  cancelled.addEventListener("abort", listeners[2] as () => void);
  t.deepEqual(called, ["b", "d", "a"]); // too late: whoever adds one has asked before
});

test("a listener that takes another one away while it is called changes nothing for this time", (t) => {
  const cancelled = new CancelSource();
  const called: string[] = [];
  const second = (): void => void called.push("second");
  cancelled.addEventListener("abort", () => {
    called.push("first");
    cancelled.removeEventListener("abort", second);
  });
  cancelled.addEventListener("abort", second);
  cancelled.abort("reason");
  t.deepEqual(called, ["first", "second"]);
});

test("a promise is waited for until the waiting is given up", async (t) => {
  const cancelled = new CancelSource();
  t.is(await unlessAborted(Promise.resolve(7), cancelled), 7);
  const waiting = unlessAborted(new Promise(() => undefined), cancelled);
  const reason = new Error("given up");
  cancelled.abort(reason);
  t.is(await t.throwsAsync(waiting), reason);
});
