import type { LumeoError } from "@lumeofs/base";
import test from "ava";
import { HandTimers } from "../../test/store-fixture.js";
import { DiskWatch } from "./disk-watch.js";

function cast(callsMax?: number) {
  const timers = new HandTimers();
  const watch = new DiskWatch({ timers, folder: "/d", suspectMs: 2_000, stuckMs: 4_000, callsMax });
  const failures: LumeoError[] = [];
  watch.onStuck = (error) => failures.push(error);
  const begun: string[] = [];
  const ends = new Map<string, (value: string) => void>();
  /** A call that returns when the test says so. */
  const call = (name: string): Promise<string> =>
    watch.run(name, () => {
      begun.push(name);
      return new Promise((resolve) => ends.set(name, resolve));
    });
  return { timers, watch, failures, begun, call, end: (name: string) => ends.get(name)?.(name) };
}

test("a call is suspect until it returns, however many others have returned", async (t) => {
  const { timers, watch, call, end } = cast();
  const slow = call("slow");
  for (let i = 0; i < 2; i++) {
    const quick = call(`quick ${i}`);
    t.is(watch.suspicion, "");
    timers.ring();
    end(`quick ${i}`);
    await quick;
  }
  t.is(watch.suspicion, "a call (slow) has not returned for 2 s");
  end("slow");
  t.is(await slow, "slow");
  t.is(watch.suspicion, "");
});

test("a stuck disk answers no call that is open, waits or comes later, whatever it brings", async (t) => {
  const { timers, watch, failures, begun, call, end } = cast(2);
  const calls = ["a", "b", "c"].map((name) => t.throwsAsync(call(name), { code: "STORE_FAILED" }));
  for (let i = 0; i < 4; i++) timers.ring();
  await Promise.all(calls);
  await t.throwsAsync(call("d"), { message: /"\/d" hangs: a call \(a\) has not returned for 4 s/ });
  end("a");
  end("b");
  await new Promise((resolve) => setImmediate(resolve));
  timers.ring();
  t.true(watch.isStuck);
  t.deepEqual(begun, ["a", "b"], "what waited never began");
  t.is(failures.length, 1);
});

test("only so many calls are made at once, and one that fails makes room, too", async (t) => {
  const { watch, begun, call, end } = cast(1);
  const failing = watch.run("fails", () => Promise.reject(new Error("EIO")));
  const next = call("next");
  const last = call("last");
  t.deepEqual(begun, []);
  await t.throwsAsync(failing, { message: "EIO" });
  await new Promise((resolve) => setImmediate(resolve));
  t.deepEqual(begun, ["next"]);
  end("next");
  await next;
  await new Promise((resolve) => setImmediate(resolve));
  end("last");
  t.is(await last, "last");
});
