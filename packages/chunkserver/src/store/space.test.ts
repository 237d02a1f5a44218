import test from "ava";
import { Space } from "./space.js";

test("Space refuses what does not fit, counts what is reserved, and asks the disk again", async (t) => {
  let freeBytes = 1_000;
  const disk = { space: async () => ({ totalBytes: 5_000, freeBytes }) };
  const options = { disk, capacityBytes: undefined, lowWaterBytes: 100, usedBytes: () => 0 };
  const space = await Space.open(options);
  t.is(space.freeBytes, 900);
  const first = await space.reserve(600);
  await t.throwsAsync(space.reserve(301), { code: "NO_SPACE" });
  const second = await space.reserve(300);
  await t.throwsAsync(second.grow(1), { code: "NO_SPACE" });
  second.release();
  second.release();
  t.is(space.freeBytes, 300);
  first.spend();
  first.release();
  t.is(space.freeBytes, 300);
  freeBytes = 2_000;
  await space.measure();
  t.is(space.freeBytes, 1_900);
});

test("Space keeps under the capacity that was given", async (t) => {
  const disk = { space: async () => ({ totalBytes: 5_000, freeBytes: 5_000 }) };
  const options = { disk, capacityBytes: 1_000, lowWaterBytes: 0, usedBytes: () => 800 };
  const space = await Space.open(options);
  t.is(space.freeBytes, 200);
  t.is(space.capacityBytes, 1_000);
  await t.throwsAsync(space.reserve(201), { code: "NO_SPACE" });
});
