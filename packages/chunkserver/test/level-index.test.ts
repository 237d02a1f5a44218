// The index on a real LevelDB: whatever happens to its files, the log has everything.

import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chunkHandle, LumeoError, SILENT_LOGGER } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { MemoryDisk } from "@lumeofs/testkit";
import test, { type ExecutionContext } from "ava";
import { LevelIndex } from "../src/store/level-index.js";
import {
  bytesFor,
  HANDLES,
  named,
  nothingTold,
  openStore,
  putSmall,
  readAll,
  type Told,
  work,
} from "./store-fixture.js";

async function scratch(t: ExecutionContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-index-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "index");
}

const openIndex = (folder: string) => LevelIndex.open(folder, nativeCrc32c, SILENT_LOGGER);

async function fill(folder: string): Promise<{ readonly disk: MemoryDisk; readonly told: Told }> {
  const disk = new MemoryDisk();
  const told = nothingTold();
  const opened = await openStore(disk, await openIndex(folder));
  await work(opened, told);
  await opened.store.close();
  return { disk, told };
}

async function checkAll(t: ExecutionContext, folder: string, disk: MemoryDisk, told: Told) {
  const { store } = await openStore(disk, await openIndex(folder));
  for (const handle of HANDLES) {
    if (told.removed.has(handle)) {
      await t.throwsAsync(readAll(store, handle), { code: "REPLICA_MISSING" });
    } else t.deepEqual(await readAll(store, handle), bytesFor(handle));
  }
  t.is(store.status().chunkCount, HANDLES.length - told.removed.size);
  t.deepEqual(store.damaged(), []);
  const page = await store.page(chunkHandle(6), 4);
  t.like(page, [7, 8, 10, 12].map(named));
  await store.close();
}

test("LevelIndex gives everything back at the next start, and again when it is lost", async (t) => {
  const folder = await scratch(t);
  const { disk, told } = await fill(folder);
  await checkAll(t, folder, disk, told);
  await rm(folder, { recursive: true });
  await checkAll(t, folder, disk, told);
});

test("an index file with damage anywhere costs no chunk", async (t) => {
  const folder = await scratch(t);
  const { disk, told } = await fill(folder);
  for (const name of await readdir(folder)) {
    if (name === "LOCK" || name === "LOG" || name === "LOG.old") continue;
    const path = join(folder, name);
    const whole = await readFile(path).catch(() => undefined); // an earlier round compacted it away
    if (whole === undefined) continue;
    for (const part of [0.1, 0.5, 0.9]) {
      const bytes = Buffer.from(whole);
      const at = Math.floor(part * bytes.byteLength);
      bytes.fill(0xa5, at, Math.min(at + 16, bytes.byteLength));
      await writeFile(path, bytes);
      await checkAll(t, folder, disk, told);
    }
    await writeFile(path, whole.subarray(0, Math.floor(whole.byteLength / 2)));
    await checkAll(t, folder, disk, told);
  }
});

test("a second process cannot open the same store", async (t) => {
  const folder = await scratch(t);
  const first = await openIndex(folder);
  const error = await t.throwsAsync(openIndex(folder), { instanceOf: LumeoError });
  t.is(error?.code, "CONFIG");
  t.regex(error?.message ?? "", /another process/);
  await first.close();
});

test("chunks written between two flushes are found before and after", async (t) => {
  const folder = await scratch(t);
  const disk = new MemoryDisk();
  const { store, timers } = await openStore(disk, await openIndex(folder));
  for (let handle = 2; handle <= 40; handle += 2) {
    await putSmall(store, handle, bytesFor(handle));
    if (handle % 10 === 0) timers.ring();
    t.deepEqual(await readAll(store, handle), bytesFor(handle));
    t.is((await store.page(undefined, 100)).length, handle / 2);
  }
  await store.close();
});
