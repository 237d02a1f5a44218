// Segments of the log are emptied and given back, whatever happens meanwhile.

import { chunkHandle, epoch } from "@lumeofs/base";
import test from "ava";
import { Ledger } from "./faults/ledger.js";
import { enumerateLives } from "./faults/life.js";
import { enumerateRaces } from "./faults/races.js";
import { StoreUser } from "./faults/script.js";
import { REAL_PARTS, StoreMachine } from "./faults/store-machine.js";

/** LUMEO_STORE_LIVES=5000 gives the property more of them. */
const LIVES = Number(process.env["LUMEO_STORE_LIVES"] ?? 30);

test("random lives with compaction lose nothing, revive nothing, and give space back", async (t) => {
  const { faults } = await enumerateLives(REAL_PARTS, LIVES);
  t.deepEqual(faults, []);
});

test("a chunk that changes while its record is moved is what it was changed to", async (t) => {
  const { faults } = await enumerateRaces(REAL_PARTS, { every: 3, cutsMax: 0 });
  t.deepEqual(faults, []);
});

test("the space of dead records comes back though something lives in every segment", async (t) => {
  const machine = StoreMachine.blank({ parts: REAL_PARTS });
  const process = await machine.boot();
  const user = new StoreUser(process, new Ledger());
  for (let handle = 2; handle <= 100; handle += 2) await user.small(handle, 4_000);
  const full = machine.logBytes;
  for (let handle = 2; handle <= 100; handle += 2) if (handle % 10 !== 0) await user.remove(handle);
  for (let round = 0; round < 20; round++) await user.flush();
  t.true(machine.logBytes < full / 2, `${machine.logBytes} of ${full} bytes are left`);
  for (let handle = 10; handle <= 100; handle += 10) await user.read(handle);
  await process.store.close();
});

test("a reader goes on reading a chunk whose record has been moved and its segment removed", async (t) => {
  const machine = StoreMachine.blank({ parts: REAL_PARTS });
  const process = await machine.boot();
  const ledger = new Ledger();
  const user = new StoreUser(process, ledger);
  await user.large(1, 70_000);
  for (let handle = 2; handle <= 100; handle += 2) await user.small(handle, 4_000);
  const reader = await process.store.open(chunkHandle(1), epoch(1));
  const first = machine.disk.paths().find((path) => path.endsWith(".wal")) ?? "";
  for (let handle = 2; handle <= 100; handle += 2) if (handle % 10 !== 0) await user.remove(handle);
  for (let round = 0; round < 20; round++) await user.flush();
  t.false(machine.disk.paths().includes(first));
  const bytes = new Uint8Array(70_000);
  await reader.read(0, bytes);
  await user.read(1);
  t.deepEqual(process.store.damaged(), []);
  await process.store.close();
});

test("a damaged chunk stays damaged when its record is moved, also for an index from before", async (t) => {
  const machine = StoreMachine.blank({ parts: REAL_PARTS });
  const process = await machine.boot();
  const user = new StoreUser(process, new Ledger());
  await user.large(1, 70_000);
  for (let handle = 2; handle <= 100; handle += 2) await user.small(handle, 4_000);
  machine.disk.flipBit(machine.disk.paths().find((path) => path.startsWith("chunks/")) ?? "", 9, 1);
  t.like(await process.store.verify(chunkHandle(1)), { kind: "damaged" });
  await user.flush();
  const before = machine.indexContents;
  for (let handle = 2; handle <= 100; handle += 2) if (handle % 10 !== 0) await user.remove(handle);
  for (let round = 0; round < 20; round++) await user.flush();
  t.false(machine.disk.paths().includes("log/000000000001.wal"));
  t.deepEqual(process.store.damaged(), [chunkHandle(1)]);
  await process.store.close();
  for (const index of ["kept", before] as const) {
    const origin = { moment: machine.moment(), keeps: () => true, index };
    const again = await StoreMachine.after({ parts: REAL_PARTS }, origin).boot();
    t.like(await again.store.verify(chunkHandle(1)), { kind: "damaged" });
    await again.store.close();
  }
});
