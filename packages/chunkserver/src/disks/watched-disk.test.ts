import type { Disk } from "@lumeofs/base";
import test from "ava";
import { HandTimers } from "../../test/store-fixture.js";
import type { ChunkIndex } from "../store/chunk-index.js";
import { openWatched, WatchedFolders } from "./watched-disk.js";

const LIMITS = { suspectMs: 2_000, stuckMs: 4_000 };

function cast({ disks, threads }: { readonly disks: number; readonly threads?: number }) {
  const folders = Array.from({ length: disks }, (_, i) => `/d${i}`);
  const timers = new HandTimers();
  let begun = 0;
  const hang = (): Promise<never> => {
    begun++;
    return new Promise(() => undefined);
  };
  const disk = { list: hang } as unknown as Disk;
  const host = { timers, openDisk: async () => disk };
  const watched = new WatchedFolders(folders, host, { ...LIMITS, threads });
  const index = { page: hang, write: hang, get: () => undefined } as unknown as ChunkIndex;
  const openIndex = (folder: string): Promise<ChunkIndex> => {
    const watch = watched.watchOf(folder);
    return watch === undefined
      ? Promise.reject(new Error(folder))
      : openWatched(async () => index, watch);
  };
  return { folders, watched, timers, openIndex, begun: () => begun };
}

/** Every disk hangs, with many calls of itself and of its index. */
async function hangAll({ folders, watched, openIndex }: ReturnType<typeof cast>): Promise<void> {
  for (const folder of folders) {
    const disk = await watched.openDisk(folder, { make: false });
    const index = await openIndex(folder);
    for (let i = 0; i < 20; i++) {
      disk.list("").catch(() => undefined);
      index.page(0, 1).catch(() => undefined);
    }
  }
}

for (const [disks, threads] of [
  [1, 4],
  [3, 4],
  [3, 16],
  [7, 8],
  [32, 132],
] as const) {
  test(`${disks} disks that hang, and their indexes, leave some of ${threads} threads to others`, async (t) => {
    const machine = cast({ disks, threads });
    await hangAll(machine);
    t.true(disks <= machine.begun(), "each has some");
    t.true(machine.begun() < threads, `${machine.begun()} calls`);
  });
}

test("where calls take no threads there may be any number of them", async (t) => {
  const machine = cast({ disks: 2 });
  await hangAll(machine);
  t.is(machine.begun(), 80);
});

test("calls of an index that hangs end with its disk, and one that opens too late is closed", async (t) => {
  const { folders, watched, timers, openIndex } = cast({ disks: 1, threads: 4 });
  const [folder = ""] = folders;
  const watch = watched.watchOf(folder);
  const page = (await openIndex(folder)).page(0, 1);
  let isClosed = false;
  let open: (index: ChunkIndex) => void = () => undefined;
  const opening = watch && openWatched(() => new Promise((resolve) => (open = resolve)), watch);
  for (let i = 0; i < 4; i++) timers.ring();
  await t.throwsAsync(page, { code: "STORE_FAILED", message: /read index/ });
  await t.throwsAsync(opening ?? Promise.resolve(), { code: "STORE_FAILED" });
  open({
    close: async () => {
      isClosed = true;
    },
  } as unknown as ChunkIndex);
  await new Promise((resolve) => setImmediate(resolve));
  t.true(isClosed);
});
