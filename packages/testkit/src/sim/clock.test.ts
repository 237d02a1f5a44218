import test from "ava";
import { testClock } from "../contract/clock.js";
import { SimClock } from "./clock.js";
import { Lifetime } from "./lifetime.js";
import { World } from "./world.js";

testClock(test, "SimClock", () => {
  const world = new World(1);
  const clock = new SimClock(world, new Lifetime(world), { rate: 1.02, wallOffsetMs: -5_000 });
  return {
    clock,
    timers: clock,
    until: async (condition) => {
      await world.run(condition);
    },
  };
});

test("SimClock: a fast clock rings early in true time", async (t) => {
  const world = new World(1);
  const clock = new SimClock(world, new Lifetime(world), { rate: 2 });
  let rangAt = -1;
  clock.after(100, () => {
    rangAt = world.now;
  });
  await world.sleep(1_000);
  t.is(rangAt, 50);
  t.is(clock.monotonicMs() as number, 2_000);
});

test("SimClock: a paused process rings after its pause, an ended one never", async (t) => {
  const world = new World(1);
  const paused = new Lifetime(world);
  const ended = new Lifetime(world);
  const rang: string[] = [];
  new SimClock(world, paused).after(10, () => rang.push(`paused ${world.now}`));
  new SimClock(world, ended).after(10, () => rang.push("ended"));
  paused.pause();
  ended.end();
  await world.sleep(50);
  t.deepEqual(rang, []);
  paused.resume();
  await world.sleep(50);
  t.deepEqual(rang, ["paused 50"]);
});

test("SimClock: a jump of the calendar leaves the monotonic clock alone", (t) => {
  const world = new World(1);
  const clock = new SimClock(world, new Lifetime(world));
  const before = clock.wallMs();
  clock.jumpWall(-3_600_000);
  t.is(clock.wallMs() - before, -3_600_000);
  t.is(clock.monotonicMs() as number, 0);
});

test("SimClock: what runs faster from now on goes on from where it was", async (t) => {
  const world = new World(1);
  const clock = new SimClock(world, new Lifetime(world));
  await world.sleep(100);
  const wall = clock.wallMs();
  clock.setRate(3);
  t.is(clock.monotonicMs() as number, 100);
  await world.sleep(100);
  t.is(clock.monotonicMs() as number, 400);
  t.is(clock.wallMs() - wall, 300);
});

test("SimClock: a monotonic clock jumps forward, and never goes back", async (t) => {
  const world = new World(1);
  const clock = new SimClock(world, new Lifetime(world));
  const wall = clock.wallMs();
  clock.jumpMonotonic(50);
  t.is(clock.monotonicMs() as number, 50);
  clock.jumpMonotonic(-30);
  t.is(clock.monotonicMs() as number, 50);
  await world.sleep(40);
  t.is(clock.monotonicMs() as number, 60);
  t.is(clock.wallMs() - wall, 40);
});
