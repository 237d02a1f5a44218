import { chunkHandle, epoch, serverId } from "@lumeofs/base";
import test from "ava";
import { firstVersion } from "../mutation/version.js";
import { Catalog } from "./catalog.js";
import { MemoryIndex } from "./memory-index.js";
import type { ChunkEntry } from "./record.js";

function entry(handle: number, position: number): ChunkEntry {
  return {
    handle: chunkHandle(handle),
    version: firstVersion(epoch(1), serverId(1)),
    length: 5,
    crc32c: 0,
    home: { kind: "log" },
    place: { segment: 1, position, bodyBytes: 50 },
    isDamaged: false,
  };
}

test("a page is whole also if the index is written while it is read", async (t) => {
  /** Gives out a page as it was when it was asked for, but only after the next write. */
  class SlowIndex extends MemoryIndex {
    override async page(after: number, count: number) {
      const found = await super.page(after, count);
      await written;
      return found;
    }
  }
  let writtenNow: () => void = () => undefined;
  const written = new Promise<void>((resolve) => {
    writtenNow = resolve;
  });
  const catalog = await Catalog.open(new SlowIndex());
  const put = (handle: number, position: number) => {
    const after = { segment: 1, position: position + 80, chain: 1 };
    catalog.apply({ kind: "put", entry: entry(handle, position), previous: undefined }, after);
  };
  put(3, 64);
  const page = catalog.page(0, 10);
  await catalog.flush();
  put(4, 144);
  writtenNow();
  t.deepEqual(
    (await page).map(({ handle }) => handle),
    [chunkHandle(3), chunkHandle(4)],
  );
});

test("a page is full, also if much of what the index has was removed since it was written", async (t) => {
  const catalog = await Catalog.open(new MemoryIndex());
  let position = 64;
  const mark = () => ({ segment: 1, position: (position += 80), chain: 1 });
  const entries = [1, 2, 3, 4, 5, 6, 7].map((handle) => entry(handle, position + 80 * handle));
  for (const one of entries) {
    catalog.apply({ kind: "put", entry: one, previous: undefined }, mark());
  }
  await catalog.flush();
  for (const previous of entries.slice(1, 5)) {
    const place = { segment: 1, position, bodyBytes: 50 };
    catalog.apply({ kind: "remove", previous, place }, mark());
  }
  const page = async (after: number) => (await catalog.page(after, 2)).map(({ handle }) => handle);
  t.deepEqual(await page(0), [1, 6].map(chunkHandle));
  t.deepEqual(await page(1), [6, 7].map(chunkHandle));
  t.deepEqual(await page(6), [7].map(chunkHandle));
});
