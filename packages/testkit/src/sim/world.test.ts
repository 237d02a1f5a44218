import test from "ava";
import fc from "fast-check";
import { World } from "./world.js";

test("events run in the order of time, then of scheduling", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 60 }),
      async (delays) => {
        const world = new World(0);
        const ran: [number, number][] = [];
        for (const [i, delay] of delays.entries()) world.after(delay, () => ran.push([delay, i]));
        await world.run(() => false);
        const expected = delays.map((delay, i): [number, number] => [delay, i]);
        expected.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
        t.deepEqual(ran, expected);
      },
    ),
    { numRuns: 50 },
  );
});

test("everything that a promise sets free runs before the next event", async (t) => {
  const world = new World(0);
  const seen: string[] = [];
  const walk = async (name: string): Promise<void> => {
    for (let i = 0; i < 100; i++) await Promise.resolve();
    seen.push(name);
  };
  world.after(1, () => void walk("first"));
  world.after(1, () => seen.push("second"));
  await world.run(() => false);
  t.deepEqual(seen, ["first", "second"]);
});

test("a run says why it ended", async (t) => {
  const world = new World(0);
  const again = (): void => void world.after(1, again);
  again();
  t.is(await world.run(() => 5 <= world.now), "condition");
  t.is(await world.run(() => false, { timeMs: 7.5 }), "time");
  t.is(world.now, 7.5);
  t.is(await world.run(() => false, { events: 3 }), "events");
  t.is(await new World(0).run(() => false), "idle");
});

test("what a watcher or an event throws ends the run", async (t) => {
  const world = new World(0);
  world.watch(() => {
    if (world.now === 2) throw new Error("seen at 2");
  });
  for (const delay of [1, 2, 3]) world.after(delay, () => {});
  await t.throwsAsync(
    world.run(() => false),
    { message: "seen at 2" },
  );
  world.fail(new Error("told"));
  await t.throwsAsync(
    world.run(() => false),
    { message: "told" },
  );
});

test("a purpose has its own numbers, the same in every run", (t) => {
  const numbers = (purpose: string): number[] => {
    const random = new World(7).random(purpose);
    return [random.fraction(), random.fraction()];
  };
  t.deepEqual(numbers("network"), numbers("network"));
  t.notDeepEqual(numbers("network"), numbers("disk"));
});
