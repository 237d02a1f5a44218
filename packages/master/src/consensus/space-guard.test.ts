import { Lifetime, MemoryDisk, SimClock, World } from "@lumeofs/testkit";
import test from "ava";
import { SpaceGuard } from "./space-guard.js";

test("SpaceGuard refuses while less is free than must stay free, and no longer", async (t) => {
  const disk = new MemoryDisk({ totalBytes: 1_000_000 });
  const world = new World(1);
  const guard = new SpaceGuard(disk, 600_000, () => t.fail());
  await guard.start(new SimClock(world, new Lifetime(world)));
  t.is(guard.refusal(), undefined);
  const file = await disk.open("a", { create: true });
  await file.writeAt([new Uint8Array(500_000)], 0);
  await world.sleep(10_000);
  t.is(guard.refusal()?.code, "NO_SPACE");
  await file.truncate(0);
  await world.sleep(10_000);
  t.is(guard.refusal(), undefined);
  await guard.close();
});

test("SpaceGuard reports a disk that cannot be asked", async (t) => {
  const world = new World(1);
  const failures: unknown[] = [];
  const disk = new MemoryDisk();
  const guard = new SpaceGuard(disk, 1, (error) => failures.push(error));
  await guard.start(new SimClock(world, new Lifetime(world)));
  disk.space = () => Promise.reject(new Error("the disk is gone"));
  await world.sleep(6_000);
  t.is(failures.length, 1);
  await guard.close();
});
