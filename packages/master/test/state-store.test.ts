import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileDisk, SystemTimers } from "@lumeofs/node";
import test from "ava";
import { openLevelState } from "../src/state/level-state.js";
import { MemoryStateDisk } from "../src/state/memory-databases.js";
import { openMemoryState } from "../src/state/memory-state.js";
import { testStateStore } from "./contract/state-store.js";

const timers = new SystemTimers({ unref: true });

testStateStore(test, "State in memory", async () => {
  const disk = new MemoryStateDisk();
  return { open: () => openMemoryState(disk, timers), dispose: async () => {} };
});

testStateStore(test, "State on LevelDB", async () => {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-state-"));
  return {
    open: async () => openLevelState({ folder, disk: await FileDisk.open(folder), timers }),
    dispose: () => rm(folder, { recursive: true, force: true }),
  };
});
