// Lists of chunks that are longer than what is read from the state together.

import { chunkHandle, serverId } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import test from "ava";
import { takePicture } from "../src/duties/healing/take-picture.js";
import { listChunks } from "../src/rpc/chunk-inspection.js";
import { HealingOffice, LIMITS } from "./healing-office.js";

const { CHUNK_FILTER_ALL, CHUNK_FILTER_CORRUPT } = lumeo.master.v1.ChunkFilter;

test("pages of a list have every chunk once that the filter lets through", async (t) => {
  const office = await HealingOffice.open(t, ["cs1", "cs2", "cs3"]);
  const handles: number[] = [];
  for (let i = 0; i < 1_010; i++) handles.push(await office.file(`/f${i}`, [1, 2, 3]));
  const bad = [3, 999, 1_000, 1_005].map((i) => chunkHandle(handles[i] ?? 0));
  for (const handle of bad) office.fleet.markDamaged(serverId(2), handle);
  const { log, fleet, clock } = office;
  const all = async (filter: lumeo.master.v1.ChunkFilter, limit: number) => {
    const found: number[] = [];
    for (let after = 0; ; ) {
      const now = clock.monotonicMs();
      const picture = await takePicture({ state: log.local, fleet, now }, LIMITS);
      const parts = { log, fleet, clock, orders: office, self: "m1" };
      const { chunks, next } = await listChunks(parts, { filter, after, limit }, picture);
      t.true((chunks?.length ?? 0) <= limit);
      found.push(...(chunks ?? []).map(({ chunk }) => chunk?.chunk?.handle ?? 0));
      if (!next) return found;
      after = next;
    }
  };
  t.deepEqual(await all(CHUNK_FILTER_CORRUPT, 3), bad);
  t.deepEqual(await all(CHUNK_FILTER_ALL, 1_000), handles);
  t.deepEqual(await all(CHUNK_FILTER_ALL, 7), handles);
});
