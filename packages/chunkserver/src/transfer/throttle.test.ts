import { CancelSource, LumeoError } from "@lumeofs/base";
import { Lifetime, SimClock, World } from "@lumeofs/testkit";
import test from "ava";
import fc from "fast-check";
import { pause, Throttle } from "./throttle.js";

function virtual() {
  const world = new World(1);
  const clock = new SimClock(world, new Lifetime(world));
  return { world, clock, throttle: new Throttle({ clock, timers: clock }) };
}

test("takers together are never faster than the fastest of their limits", async (t) => {
  const taker = fc.record({
    bytesPerSecond: fc.integer({ min: 1_000, max: 50_000 }),
    pieces: fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1, maxLength: 15 }),
  });
  const takers = fc.array(taker, { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(takers, async (all) => {
      const { world, clock, throttle } = virtual();
      let leastMs = 0;
      const taken = all.map(async ({ bytesPerSecond, pieces }) => {
        for (const bytes of pieces) {
          await throttle.take(bytes, bytesPerSecond);
          leastMs += (bytes / bytesPerSecond) * 1_000;
          // What began now may still be under way: its own time does not count yet.
          const own = (bytes / bytesPerSecond) * 1_000;
          if (clock.monotonicMs() + 250 + 1e-6 < leastMs - own) {
            throw new Error(`${leastMs} ms of work were begun by ${clock.monotonicMs()}`);
          }
        }
      });
      let isOver = false;
      const done = Promise.all(taken).then(() => {
        isOver = true;
      });
      await world.run(() => isOver);
      await done;
      t.pass();
    }),
    { numRuns: 50 },
  );
});

test("no limit neither waits nor makes others wait", async (t) => {
  const { clock, throttle } = virtual();
  await throttle.take(1e12, 0);
  await throttle.take(10, 1_000);
  t.is(clock.monotonicMs(), 0 as never);
});

test("who gives up while it waits is told so at once", async (t) => {
  const { throttle } = virtual();
  const signal = new CancelSource();
  await throttle.take(10_000, 1_000);
  const waiting = throttle.take(1, 1_000, signal);
  signal.abort(new LumeoError("ABORTED", "enough"));
  await t.throwsAsync(waiting, { code: "ABORTED" });
  await t.throwsAsync(throttle.take(1, 0, signal), { code: "ABORTED" });
});

test("a pause that was ended before it began rejects, as one that is ended later does", async (t) => {
  const { clock } = virtual();
  const ended = new CancelSource();
  ended.abort(undefined);
  const waiting = pause(clock, 1_000, ended); // whoever waits handles both in one place
  t.is(await waiting.catch((reason: unknown) => reason ?? "no reason"), "no reason");
});
