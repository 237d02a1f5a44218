import { LumeoError } from "@lumeofs/base";
import { Lifetime, MemoryDisk, SimClock, World } from "@lumeofs/testkit";
import test from "ava";
import { SpaceGuard, type SpaceLimits } from "./space-guard.js";

const LIMITS = { reserveBytes: 400_000, ballastBytes: 100_000 };

async function guarded(limits: SpaceLimits = LIMITS) {
  const disk = new MemoryDisk({ totalBytes: 1_000_000 });
  const world = new World(1);
  const events: string[] = [];
  const guard = new SpaceGuard(disk, limits, {
    critical: () => events.push("critical"),
    eased: () => events.push("eased"),
    failed: () => events.push("failed"),
  });
  await guard.start(new SimClock(world, new Lifetime(world)));
  const others = await disk.open("others", { create: true });
  /** Somebody else takes so many bytes, and time passes. */
  const taken = async (bytes: number): Promise<void> => {
    await others.truncate(0);
    await others.writeAt([new Uint8Array(bytes)], 0);
    await world.sleep(3_000);
  };
  return { disk, guard, events, taken, world };
}

test("SpaceGuard refuses while less is free than must stay free, and no longer", async (t) => {
  const { guard, taken, events } = await guarded({ ...LIMITS, ballastBytes: 0 });
  t.is(guard.refusal(), undefined);
  await taken(700_000);
  t.is(guard.refusal()?.code, "NO_SPACE");
  await taken(0);
  t.is(guard.refusal(), undefined);
  t.deepEqual(events, []);
  await guard.close();
});

test("SpaceGuard takes room in good time, and gives it back when hardly any is left", async (t) => {
  const { disk, guard, taken, events } = await guarded();
  await taken(100_000);
  t.true(await disk.exists("ballast"));
  t.is((await disk.space()).freeBytes, 800_000);
  await taken(850_000);
  t.deepEqual(events, ["critical"]);
  t.false(await disk.exists("ballast"));
  t.is((await disk.space()).freeBytes, 150_000, "there is room for what is under way");
  t.true(guard.isCritical);
  t.is(guard.refusal()?.code, "NO_SPACE");
  await taken(590_000);
  t.deepEqual(
    events,
    ["critical"],
    "more than the mark is free, but not with the room taken again",
  );
  t.is(guard.refusal()?.code, "NO_SPACE");
  await taken(300_000);
  t.deepEqual(events, ["critical", "eased"]);
  t.is(guard.refusal(), undefined);
  t.true(await disk.exists("ballast"));
  await guard.close();
});

test("SpaceGuard does without its file where there is no room for it", async (t) => {
  const { disk, guard, taken, events } = await guarded();
  const open = disk.open.bind(disk);
  disk.open = async (path, options) => {
    const file = await open(path, options);
    file.writeAt = () => Promise.reject(new LumeoError("NO_SPACE", "Cannot write: ENOSPC"));
    return file;
  };
  await taken(0);
  t.false(await disk.exists("ballast"));
  t.deepEqual(events, []);
  await guard.close();
});

test("SpaceGuard reports a disk that cannot be asked", async (t) => {
  const { disk, guard, taken, events } = await guarded();
  disk.space = () => Promise.reject(new Error("the disk is gone"));
  await taken(0);
  t.true(events.every((event) => event === "failed") && 1 <= events.length);
  await guard.close();
});
