// The scrub, on virtual time and on disks that go bad.

import {
  chunkHandle,
  type Disk,
  KiB,
  type LumeoError,
  MiB,
  SeededRandom,
  SILENT_LOGGER,
} from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { Lifetime, MemoryDisk, SimClock, SimDisk, World } from "@lumeofs/testkit";
import test from "ava";
import { Scrub, type ScrubConfig, type ScrubPorts } from "../src/scrub/scrub.js";
import type { DiskChunkStore } from "../src/store/disk-chunk-store.js";
import { MemoryIndex } from "../src/store/memory-index.js";
import { sample } from "./replicas.js";
import { bytesFor, named, openStore, putLarge, putSmall } from "./store-fixture.js";

const FAST: ScrubConfig = { bytesPerSecond: 1e9, roundMsMin: 1_000 };
const HOUR = 3_600_000;

/** A machine's clock, and the scrubs on it. */
class Watch {
  readonly world = new World(1);
  readonly clock = new SimClock(this.world, new Lifetime(this.world));
  readonly failures: LumeoError[] = [];
  served = { count: 0, inFlight: 0 };

  start(disk: Disk, store: ScrubPorts["store"], config: ScrubConfig = FAST): Promise<Scrub> {
    return Scrub.start(config, {
      disk,
      store,
      crc32c: nativeCrc32c,
      served: () => this.served,
      clock: this.clock,
      timers: this.clock,
      logger: SILENT_LOGGER,
      onFailure: (error) => this.failures.push(error),
    });
  }

  async until(done: () => boolean): Promise<void> {
    // Disks in memory end their calls between two events of the virtual world.
    for (let i = 0; i < 100_000 && !done(); i++) await this.world.sleep(10);
    if (!done()) throw new Error("it does not come to pass");
  }
}

async function flip(disk: Disk, path: string, at: number): Promise<void> {
  const file = await disk.open(path, { create: false });
  const byte = new Uint8Array(1);
  await file.readAt(byte, at);
  await file.writeAt([Uint8Array.of((byte[0] ?? 0) ^ 1)], at);
  await file.close();
}

async function chunkPaths(disk: Disk): Promise<readonly string[]> {
  const folders = await disk.list("chunks");
  const paths = folders.map(async (folder) => {
    return (await disk.list(`chunks/${folder}`)).map((name) => `chunks/${folder}/${name}`);
  });
  return (await Promise.all(paths)).flat();
}

test("flipped, truncated and missing chunks are found without anybody reading them", async (t) => {
  const disk = new MemoryDisk();
  const { store } = await openStore(disk, new MemoryIndex());
  for (const handle of [1, 3, 5, 7]) await putLarge(store, handle, bytesFor(handle));
  for (const handle of [2, 4, 6]) await putSmall(store, handle, bytesFor(handle));
  const watch = new Watch();
  const scrub = await watch.start(disk, store);
  await watch.until(() => scrub.status().roundCount === 1);
  t.deepEqual(store.damaged(), []);
  t.like(scrub.status(), { readCount: 7, foundCount: 0 });

  const paths = await chunkPaths(disk);
  const pathOf = (handle: number) => paths.find((path) => path.includes(`${handle}-`)) ?? "";
  await flip(disk, pathOf(1), 40_000);
  const file = await disk.open(pathOf(3), { create: false });
  await file.truncate(100);
  await file.close();
  await disk.remove(pathOf(5));
  const [segment] = await disk.list("log");
  await flip(disk, `log/${segment}`, 3_000); // in a small chunk or a record

  await watch.until(() => scrub.status().roundCount === 2);
  const damaged = store.damaged();
  for (const handle of [1, 3, 5]) t.true(damaged.includes(chunkHandle(handle)), `${handle}`);
  t.is(damaged.length, 4);
  t.is(scrub.status().foundCount, 4);
  await watch.until(() => scrub.status().roundCount === 3);
  t.is(scrub.status().foundCount, 4, "what is known is not found again");
  await scrub.close();
  await store.close();
});

test("a chunk whose file is gone is found by its name, long before the reading comes by", async (t) => {
  const disk = new MemoryDisk();
  const { store } = await openStore(disk, new MemoryIndex());
  for (const handle of [1, 3, 5]) await putLarge(store, handle, bytesFor(handle));
  const watch = new Watch();
  // At this speed nothing is read in an hour.
  const scrub = await watch.start(disk, store, { bytesPerSecond: 1, roundMsMin: HOUR });
  await watch.world.sleep(10);
  const [gone] = (await chunkPaths(disk)).filter((path) => path.includes("5-"));
  await disk.remove(gone ?? "");
  await scrub.close();
  const again = await watch.start(disk, store, { bytesPerSecond: 1, roundMsMin: HOUR });
  await watch.until(() => 0 < store.damaged().length);
  t.deepEqual(store.damaged(), [chunkHandle(5)]);
  t.is(again.status().readCount, 0);
  await again.close();
  await store.close();
});

test("the scrub keeps to its speed, and to an eighth of it while requests are served", async (t) => {
  const disk = new MemoryDisk();
  const { store } = await openStore(disk, new MemoryIndex());
  for (let handle = 1; handle <= 4; handle++)
    await putLarge(store, handle, sample(2 * MiB, handle));
  const watch = new Watch();
  const config = { bytesPerSecond: 1 * MiB, roundMsMin: HOUR };
  const scrub = await watch.start(disk, store, config);
  await watch.until(() => scrub.status().roundCount === 1);
  const tookMs = watch.clock.monotonicMs();
  t.true(6_500 < tookMs && tookMs < 8_500, `8 MiB took ${tookMs} ms`);
  t.false(scrub.status().isYielding);

  watch.served = { count: 1, inFlight: 1 };
  const since = scrub.status().readBytes;
  await watch.world.sleep(HOUR);
  await watch.until(() => since + 2 * MiB < scrub.status().readBytes);
  const begun = watch.clock.monotonicMs();
  const before = scrub.status().readBytes;
  t.true(scrub.status().isYielding);
  await watch.until(() => before + 2 * MiB <= scrub.status().readBytes);
  const slowMs = watch.clock.monotonicMs() - begun;
  t.true(14_000 < slowMs && slowMs < 25_000, `2 MiB took ${slowMs} ms`);
  await scrub.close();
  await store.close();
});

test("a round goes on after a restart where it was, and the next one waits for its time", async (t) => {
  const disk = new MemoryDisk();
  const index = new MemoryIndex();
  const first = await openStore(disk, index);
  for (let handle = 1; handle <= 20; handle++)
    await putLarge(first.store, handle, sample(MiB, handle));
  const watch = new Watch();
  const config = { bytesPerSecond: 1 * MiB, roundMsMin: 60_000 };
  const scrub = await watch.start(disk, first.store, config);
  await watch.until(() => 8 <= scrub.status().readCount);
  await scrub.close();
  const { position, roundBeganAt } = scrub.status();
  t.is(position, 8);
  await first.store.close();

  const second = await openStore(disk, index);
  const again = await watch.start(disk, second.store, config);
  t.like(again.status(), { position, roundBeganAt, readCount: 8 });
  await watch.until(() => again.status().roundCount === 1);
  t.is(again.status().readCount, 20, "each was read once");
  const endedAt = again.status().lastRound?.endedAt ?? 0;
  await watch.until(() => again.status().roundBeganAt !== undefined);
  const began = again.status().roundBeganAt ?? 0;
  t.is(began - (roundBeganAt ?? 0), 60_000);
  t.true(endedAt < began);
  await again.close();
  await second.store.close();
});

test("rounds come to an end while chunks are written all the time", async (t) => {
  const disk = new MemoryDisk();
  const { store } = await openStore(disk, new MemoryIndex());
  for (let handle = 1; handle <= 300; handle++) await putSmall(store, handle, bytesFor(1));
  let written = 300;
  const write = () => putSmall(store, ++written, bytesFor(1));
  const busy = {
    find: store.find.bind(store),
    status: store.status.bind(store),
    verify: store.verify.bind(store),
    lookForFiles: async (...window: Parameters<DiskChunkStore["lookForFiles"]>) => {
      await write();
      return store.lookForFiles(...window);
    },
    page: async (...window: Parameters<DiskChunkStore["page"]>) => {
      await write();
      return store.page(...window);
    },
  };
  const watch = new Watch();
  const scrub = await watch.start(disk, busy);
  await watch.until(() => 2 <= scrub.status().roundCount);
  t.true(600 <= scrub.status().readCount, "each was read twice");
  await scrub.close();
  await store.close();
});

test("after a crash a round repeats what it had not written, and a lost file costs a round", async (t) => {
  const machine = new SimDisk({ random: new SeededRandom(5, "disk") });
  const disk = machine.mount();
  const index = new MemoryIndex();
  const { store } = await openStore(disk, index);
  for (let handle = 1; handle <= 30; handle++) await putLarge(store, handle, sample(MiB, handle));
  const watch = new Watch();
  const config = { bytesPerSecond: 1 * MiB, roundMsMin: HOUR };
  const scrub = await watch.start(disk, store, config);
  await watch.until(() => 25 <= scrub.status().readCount);
  machine.crash("none");

  const next = await openStore(machine.mount(), index);
  const resumed = await watch.start(machine.mount(), next.store, config);
  const { position } = resumed.status();
  t.true(5 <= position && position <= 25, `goes on behind ${position}`);
  await resumed.close();
  await flip(machine.mount(), "scrub", 14);
  const anew = await watch.start(machine.mount(), next.store, config);
  t.is(anew.status().position, 0);
  await anew.close();
  await next.store.close();
});

test("chunks that come, go and are replaced during a round do not disturb it", async (t) => {
  const disk = new MemoryDisk();
  const { store } = await openStore(disk, new MemoryIndex());
  for (let handle = 1; handle <= 40; handle++)
    await putLarge(store, handle, sample(80_000, handle));
  const watch = new Watch();
  const scrub = await watch.start(disk, store, { bytesPerSecond: 500 * KiB, roundMsMin: 0 });
  for (let step = 0; step < 60; step++) {
    await watch.world.sleep(97);
    const handle = (step % 40) + 1;
    if (step % 3 === 0) await store.remove([named(handle)]);
    else if (step % 3 === 1) await putLarge(store, 100 + step, sample(90_000, step));
    else if (store.find(chunkHandle(handle)) === undefined) {
      await putLarge(store, handle, sample(80_000, handle));
    }
  }
  await watch.until(() => 2 <= scrub.status().roundCount);
  t.deepEqual(store.damaged(), []);
  t.is(scrub.status().foundCount, 0);
  await scrub.close();
  await store.close();
});

test("an empty store, and a scrub that is switched off, cost nothing", async (t) => {
  const disk = new MemoryDisk();
  const { store } = await openStore(disk, new MemoryIndex());
  const watch = new Watch();
  const scrub = await watch.start(disk, store);
  await watch.until(() => 3 <= scrub.status().roundCount);
  await scrub.close();
  t.is(scrub.status().readBytes, 0);
  const off = await watch.start(disk, store, { bytesPerSecond: 0, roundMsMin: 0 });
  await watch.world.sleep(HOUR);
  t.true(off.status().roundCount <= 4);
  await off.close();
  await store.close();
});

test("a progress that cannot be written ends the store's process", async (t) => {
  const disk = new MemoryDisk();
  const { store } = await openStore(disk, new MemoryIndex());
  const watch = new Watch();
  disk.rename = () => Promise.reject(new Error("EIO"));
  const scrub = await watch.start(disk, store);
  await watch.until(() => 0 < watch.failures.length);
  t.is(watch.failures[0]?.code, "STORE_FAILED");
  await scrub.close();
  await store.close();
});
