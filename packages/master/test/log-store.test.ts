import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nodeId } from "@lumeofs/base";
import { FileDisk, readerAtSync } from "@lumeofs/node";
import test from "ava";
import { LevelLogStore } from "../src/consensus/level-log-store.js";
import { MemoryLogDisk, MemoryLogStore } from "../src/consensus/memory-log-store.js";
import { WalLogStore } from "../src/consensus/wal-log-store.js";
import { FOUNDERS, testLogStore } from "./contract/log-store.js";

testLogStore(test, "MemoryLogStore", async () => {
  const disk = new MemoryLogDisk(FOUNDERS);
  return { open: async () => new MemoryLogStore(disk), dispose: async () => {} };
});

for (const [recentBytesMax, segmentBytes] of [
  [1e9, 1e6],
  [100, 1_000],
] as const) {
  const name = `WalLogStore with ${recentBytesMax} bytes in memory, segments of ${segmentBytes}`;
  testLogStore(test, name, async () => {
    const root = await mkdtemp(join(tmpdir(), "lumeo-log-"));
    const options = {
      disk: await FileDisk.open(root),
      readAtSync: readerAtSync(root),
      folder: "wal",
      node: nodeId("m1"),
      founders: FOUNDERS,
      store: "s1",
      recentBytesMax,
      segmentBytes,
    };
    return {
      open: () => WalLogStore.open(options),
      dispose: () => rm(root, { recursive: true, force: true }),
    };
  });
}

for (const recentBytesMax of [1e9, 100]) {
  testLogStore(test, `LevelLogStore with ${recentBytesMax} bytes in memory`, async () => {
    const folder = await mkdtemp(join(tmpdir(), "lumeo-log-"));
    const options = {
      location: join(folder, "log"),
      node: nodeId("m1"),
      founders: FOUNDERS,
      store: "s1",
      recentBytesMax,
    };
    return {
      open: () => LevelLogStore.open(options),
      dispose: () => rm(folder, { recursive: true, force: true }),
    };
  });
}
