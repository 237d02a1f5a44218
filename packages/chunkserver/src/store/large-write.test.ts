// A large write beside a disk that is nearly full, where room has to be asked for.

import { type Disk, KiB, MiB } from "@lumeofs/base";
import { MemoryDisk } from "@lumeofs/testkit";
import test from "ava";
import { sample } from "../../test/replicas.js";
import { contentOf, newChunk, openStore, readAll } from "../../test/store-fixture.js";
import { MemoryIndex } from "./memory-index.js";

/** A disk that says how much is free when the test lets it. */
function nearlyFull(freeBytes: number) {
  const memory = new MemoryDisk();
  const asked: (() => void)[] = [];
  const state = { freeBytes, isSlow: false };
  const disk: Disk = {
    open: (path, options) => memory.open(path, options),
    list: (folder) => memory.list(folder),
    exists: (path) => memory.exists(path),
    makeFolder: (path) => memory.makeFolder(path),
    rename: (from, to) => memory.rename(from, to),
    remove: (path) => memory.remove(path),
    syncFolder: (path) => memory.syncFolder(path),
    space: async () => {
      if (state.isSlow) await new Promise<void>((resolve) => asked.push(resolve));
      return { totalBytes: 8 * MiB, freeBytes: state.freeBytes };
    },
  };
  return { disk, state, asked };
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("pieces keep their order, and none is missing, when room for one has to be asked for", async (t) => {
  const { disk, state, asked } = nearlyFull(400 * KiB);
  const { store } = await openStore(disk, new MemoryIndex());
  const bytes = sample(576 * KiB, 3);
  const write = await store.beginLarge(newChunk(1));
  state.isSlow = true;
  const first = write.write([bytes.subarray(0, 512 * KiB)]);
  const second = write.write([bytes.subarray(512 * KiB)]);
  const finished = write.finish(contentOf(bytes));
  await turn();
  Object.assign(state, { freeBytes: 4 * MiB, isSlow: false });
  for (const answer of asked) answer();
  await Promise.all([first, second, finished]);
  t.deepEqual(await readAll(store, 1), bytes);
  await store.close();
});

test("a chunk is not recorded if there is no room for one of its pieces", async (t) => {
  const { disk, state, asked } = nearlyFull(400 * KiB);
  const { store } = await openStore(disk, new MemoryIndex());
  const bytes = sample(576 * KiB, 3);
  const write = await store.beginLarge(newChunk(1));
  state.isSlow = true;
  const pieces = write.write([bytes]);
  const finished = write.finish(contentOf(bytes));
  await turn();
  state.isSlow = false;
  for (const answer of asked) answer();
  await t.throwsAsync(pieces, { message: /are free here/ });
  await t.throwsAsync(finished, { message: /are free here/ });
  await write.abort();
  t.deepEqual(await store.page(undefined, 10), []);
  await store.close();
});

test("room that was asked for by a write which was given up is free again", async (t) => {
  const { disk, state, asked } = nearlyFull(400 * KiB);
  const { store } = await openStore(disk, new MemoryIndex());
  const before = store.status().freeBytes;
  const write = await store.beginLarge(newChunk(1));
  state.isSlow = true;
  const pieces = write.write([sample(576 * KiB, 3)]);
  const aborted = write.abort();
  await turn();
  Object.assign(state, { freeBytes: 4 * MiB, isSlow: false });
  for (const answer of asked) answer();
  await Promise.allSettled([pieces, aborted]);
  t.is(store.status().freeBytes, before + 4 * MiB - 400 * KiB);
  await store.close();
});
