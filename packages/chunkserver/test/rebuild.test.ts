// Units of coded chunks that are rebuilt from others, copied, audited and mended, on loopback.

import {
  BLOCK_BYTES,
  CancelSource,
  type Code,
  type Disk,
  KiB,
  LumeoError,
  MiB,
} from "@lumeofs/base";
import { nativeCrc32c, SystemClock, SystemTimers } from "@lumeofs/node";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { ArenaPool, cellBytesFor } from "../src/coding/arena-pool.js";
import { UnitReader } from "../src/coding/unit-reader.js";
import { unitRebuilder } from "../src/coding/unit-rebuild.js";
import { CopyService } from "../src/transfer/copy-service.js";
import { Throttle } from "../src/transfer/throttle.js";
import { type CodedChunk, rebuildOf, unitsOf, writeCoded } from "./coded-chunks.js";
import {
  crcOf,
  DataClient,
  mandatesOn,
  type Replica,
  sample,
  startReplica,
  target,
} from "./replicas.js";

const NEVER = new CancelSource();
const timers = new SystemTimers({ unref: true });
const FOUR_TWO: Code = { data: 4, parity: 2, cellBytes: 64 * KiB };

function service(replica: Replica, copiesMax = 4): CopyService {
  const { store, pool, stopped, mandates } = replica;
  const throttle = new Throttle({ clock: new SystemClock(), timers });
  const ports = { store, pool, stopped, mandates, timers, throttle, crc32c: nativeCrc32c };
  return new CopyService({ ...ports, copiesMax, rebuild: unitRebuilder(ports, copiesMax) });
}

async function cast(t: ExecutionContext, count: number) {
  const replicas = await Promise.all(Array.from({ length: count }, (_, i) => startReplica(i + 1)));
  const client = new DataClient();
  t.teardown(async () => {
    await client.close();
    await Promise.all(replicas.map((replica) => replica.close()));
  });
  return { replicas, client };
}

/** A chunk of so many bytes whose units are with the first servers. */
async function coded(
  { replicas, client }: { readonly replicas: readonly Replica[]; readonly client: DataClient },
  {
    code,
    handle,
    length,
  }: { readonly code: Code; readonly handle: number; readonly length: number },
): Promise<CodedChunk> {
  const holders = replicas.slice(0, code.data + code.parity);
  const chunk = { code, units: unitsOf(code, sample(length, handle)), handle, holders };
  await writeCoded(client, chunk);
  return chunk;
}

async function flip(disk: Disk, at: number): Promise<void> {
  for (const folder of await disk.list("chunks")) {
    for (const name of await disk.list(`chunks/${folder}`)) {
      const file = await disk.open(`chunks/${folder}/${name}`, { create: false });
      const byte = new Uint8Array(1);
      await file.readAt(byte, at);
      await file.writeAt([Uint8Array.of((byte[0] ?? 0) ^ 4)], at);
      await file.close();
    }
  }
}

async function readUnit(client: DataClient, at: Replica, handle: number, bytes: Uint8Array) {
  return client.read(at, target(handle), 0, bytes.byteLength);
}

test("any unit of a chunk of any length is rebuilt from any others, byte by byte", async (t) => {
  const cluster = await cast(t, 7);
  const spare = cluster.replicas[6] as Replica;
  const copies = service(spare);
  let handle = 0;
  const length = fc.oneof(
    fc.constantFrom(1, 63, 64, 65, 256, 5_000, 256 * KiB, 256 * KiB + 1, 257 * KiB),
    fc.integer({ min: 1, max: 3 * MiB }),
  );
  const property = fc.asyncProperty(
    length,
    fc.nat(5),
    fc.shuffledSubarray([0, 1, 2, 3, 4, 5], { minLength: 6, maxLength: 6 }),
    async (bytes, lost, order) => {
      const chunk = await coded(cluster, { code: FOUR_TWO, handle: ++handle, length: bytes });
      const unit = chunk.units[lost] as Uint8Array;
      if (unit.byteLength === 0) return;
      const from = order.filter((number) => number !== lost).slice(0, 4);
      const result = await copies.copy(rebuildOf(chunk, lost, from), NEVER);
      const readBytes = from.reduce((sum, number) => {
        const blocks = Math.ceil(unit.byteLength / BLOCK_BYTES) * BLOCK_BYTES;
        return sum + Math.min(blocks, chunk.units[number]?.byteLength ?? 0);
      }, 0);
      t.deepEqual(result, { kind: "copied", readBytes, faults: [] });
      t.true((await readUnit(cluster.client, spare, handle, unit)).equals(unit));
      t.deepEqual(await copies.copy(rebuildOf(chunk, lost, from), NEVER), { kind: "here" });
      const other = chunk.holders.find((_, i) => (chunk.units[i]?.byteLength ?? 0) > 0);
      const known = other?.store.find(target(handle).handle);
      t.deepEqual(spare.store.find(target(handle).handle)?.version, known?.version);
    },
  );
  await fc.assert(property, { numRuns: 40 });
});

test("a source that fails is replaced by another unit where it failed", async (t) => {
  const cluster = await cast(t, 7);
  const chunk = await coded(cluster, { code: FOUR_TWO, handle: 3, length: 12 * MiB });
  const [, bad, gone, , , , spare] = cluster.replicas as Replica[] as [
    Replica,
    Replica,
    Replica,
    Replica,
    Replica,
    Replica,
    Replica,
  ];
  await flip(bad.disk, 2 * MiB + 5);
  const copies = service(spare);
  const unit = chunk.units[0] as Uint8Array;
  const result = await copies.copy(rebuildOf(chunk, 0, [1, 2, 3, 4, 5]), NEVER);
  if (result.kind !== "copied") return t.fail(result.kind);
  t.deepEqual(
    result.faults.map(({ server, isBad }) => ({ server, isBad })),
    [{ server: bad.id, isBad: true }],
  );
  t.true((await readUnit(cluster.client, spare, 3, unit)).equals(unit));
  t.deepEqual(bad.store.damaged(), [target(3).handle]);

  await gone.data.close();
  const second = await coded(cluster, { code: FOUR_TWO, handle: 4, length: 1_000 }).catch(() => {});
  t.is(second, undefined);
  const none = await copies.copy(rebuildOf({ ...chunk, handle: 3 }, 0, [1, 2, 3]), NEVER);
  t.is(none.kind, "here");
  await spare.store.remove([target(3)]);
  const few = await copies.copy(rebuildOf(chunk, 0, [1, 2, 3, 4, 5]), NEVER);
  if (few.kind !== "noSource") return t.fail(few.kind);
  t.deepEqual(
    few.faults.map(({ server, isBad }) => ({ server, isBad })).sort((a, b) => a.server - b.server),
    [
      { server: bad.id, isBad: true },
      { server: gone.id, isBad: false },
    ],
  );
  t.is(spare.store.find(target(3).handle), undefined, "nothing is left of it");
});

test("a damaged unit is mended in its place, and audited by another server", async (t) => {
  const cluster = await cast(t, 6);
  const chunk = await coded(cluster, { code: FOUR_TWO, handle: 5, length: 8 * MiB + 77 });
  const hurt = cluster.replicas[4] as Replica;
  await flip(hurt.disk, MiB + 9);
  const order = rebuildOf(chunk, 4, [0, 1, 2, 3]);
  const audit = { ...order, holder: hurt.link };
  const auditor = service(cluster.replicas[1] as Replica);
  t.is((await auditor.audit(audit, NEVER)).kind, "bad");
  t.is((await service(hurt).copy(order, NEVER)).kind, "copied");
  t.is((await auditor.audit(audit, NEVER)).kind, "intact");
  t.deepEqual(hurt.store.damaged(), []);
  const unit = chunk.units[4] as Uint8Array;
  t.true((await readUnit(cluster.client, hurt, 5, unit)).equals(unit));
});

test("another unit of the chunk that is still here makes room, when the new one is whole", async (t) => {
  const cluster = await cast(t, 8);
  for (const [handle, length] of [
    [6, 8 * MiB],
    [7, 90_000],
  ] as const) {
    const chunk = await coded(cluster, { code: FOUR_TWO, handle, length });
    const back = cluster.replicas[2] as Replica; // it has unit 2, and is to get others
    const copies = service(back);
    const rebuilt = rebuildOf(chunk, 5, [0, 1, 3]);
    t.is((await copies.copy(rebuilt, NEVER)).kind, "noSource");
    const known = back.store.find(target(handle).handle);
    t.is(
      known?.crc32c,
      crcOf(chunk.units[2] as Uint8Array),
      "it stays while the other is not whole",
    );
    t.is((await copies.copy(rebuildOf(chunk, 5, [0, 1, 3, 4]), NEVER)).kind, "copied");
    const unit = chunk.units[5] as Uint8Array;
    t.true((await readUnit(cluster.client, back, handle, unit)).equals(unit));

    const plain = { ...rebuildOf(chunk, 1, []), sources: [chunk.holders[1]?.link as never] };
    const { rebuild: _, ...asked } = plain;
    await t.throwsAsync(copies.copy(asked, NEVER), { code: "CONFLICT" });
    t.is((await copies.copy({ ...asked, isUnit: true }, NEVER)).kind, "copied");
    const other = chunk.units[1] as Uint8Array;
    t.true((await readUnit(cluster.client, back, handle, other)).equals(other));
  }
});

test("an order of a leader that has a successor replaces nothing, also after a restart", async (t) => {
  const cluster = await cast(t, 7);
  const chunk = await coded(cluster, { code: FOUR_TWO, handle: 9, length: 600_000 });
  const spare = cluster.replicas[6] as Replica;
  const { handle } = target(9);
  // The first leader has it make unit 2, and is frozen. The second one has it make unit 4, and it
  // becomes the member that has it. Then the first order comes once more.
  const ofFirst = { ...rebuildOf(chunk, 2, [0, 1, 3, 5]), mandate: 7 };
  const ofSecond = { ...rebuildOf(chunk, 4, [0, 1, 3, 5]), mandate: 9 };
  t.is((await service(spare).copy(ofFirst, NEVER)).kind, "copied");
  t.is((await service(spare).copy(ofSecond, NEVER)).kind, "copied");
  await t.throwsAsync(service(spare).copy(ofFirst, NEVER), { code: "NOT_LEADER" });
  const [batched] = await service(spare).copyAll([ofFirst], NEVER);
  t.is(batched !== undefined && "error" in batched ? batched.error.code : "", "NOT_LEADER");
  const restarted = { ...spare, mandates: await mandatesOn(spare.disk) };
  await t.throwsAsync(service(restarted).copy(ofFirst, NEVER), { code: "NOT_LEADER" });
  t.is(spare.store.find(handle)?.crc32c, crcOf(chunk.units[4] as Uint8Array));
  t.is((await service(restarted).copy(ofSecond, NEVER)).kind, "here");
});

test("what does not become what the unit was is not kept", async (t) => {
  const cluster = await cast(t, 7);
  const chunk = await coded(cluster, { code: FOUR_TWO, handle: 8, length: 2 * MiB });
  const spare = cluster.replicas[6] as Replica;
  const order = rebuildOf(chunk, 2, [0, 1, 4, 5]);
  const wrong = { ...order, chunk: { ...order.chunk, crc32c: 5 } };
  await t.throwsAsync(service(spare).copy(wrong, NEVER), { code: "CORRUPT" });
  t.is(spare.store.find(target(8).handle), undefined);
  t.is((await service(spare).copy(order, NEVER)).kind, "copied");
});

test("units of two histories stop the chunk", async (t) => {
  const cluster = await cast(t, 7);
  const chunk = await coded(cluster, { code: FOUR_TWO, handle: 9, length: 2 * MiB });
  const [, odd, , , , , spare] = cluster.replicas as [
    Replica,
    Replica,
    Replica,
    Replica,
    Replica,
    Replica,
    Replica,
  ];
  await odd.store.remove([target(9)]);
  const bytes = chunk.units[1] as Uint8Array;
  await cluster.client.writeLarge([odd], { ...target(9), primary: odd.id }, bytes);
  const order = rebuildOf(chunk, 0, [1, 2, 3, 4]);
  t.is((await service(spare).copy(order, NEVER)).kind, "twoHistories");
  t.deepEqual(spare.stopped.list(), [target(9).handle]);
});

test("memory is bounded by the arenas, whatever the code", async (t) => {
  for (const units of [2, 6, 12, 32]) {
    t.true(units * cellBytesFor(units) <= 8 * MiB);
    t.true(256 * KiB <= cellBytesFor(units));
    t.is(cellBytesFor(units) % (64 * KiB), 0);
  }
  const pool = new ArenaPool(1);
  const first = await pool.take(6);
  const waiting = new CancelSource();
  const second = pool.take(12, waiting);
  waiting.abort(new LumeoError("ABORTED", "given up"));
  await t.throwsAsync(second, { code: "ABORTED" });
  first.release();
  const again = await pool.take(6);
  t.is(again.arena, first.arena);
  again.release();
  const other = await pool.take(12);
  t.is(other.arena.cells.length, 12);
  other.release();
});

test("a rebuilding whose caller goes away leaves nothing, and gives its memory back", async (t) => {
  const cluster = await cast(t, 7);
  const chunk = await coded(cluster, { code: FOUR_TWO, handle: 10, length: 12 * MiB });
  const spare = cluster.replicas[6] as Replica;
  const copies = service(spare, 1);
  const caller = new CancelSource();
  const begin = spare.store.beginLarge.bind(spare.store);
  spare.store.beginLarge = async (...args) => {
    caller.abort(new LumeoError("ABORTED", "The caller has gone"));
    return begin(...args);
  };
  const order = rebuildOf(chunk, 1, [0, 2, 3, 4]);
  await t.throwsAsync(copies.copy(order, caller), { code: "ABORTED" });
  t.is(spare.store.find(target(10).handle), undefined);
  t.is((await copies.copy(order, NEVER)).kind, "copied");
});

test("wanted units are read as they are, and rebuilt only where they cannot be had", async (t) => {
  const cluster = await cast(t, 6);
  const code = { data: 3, parity: 2, cellBytes: 64 * KiB };
  const chunk = await coded(cluster, { code, handle: 11, length: 3 * 192 * KiB + 100 });
  const reader = cluster.replicas[5] as Replica;
  const lease = await new ArenaPool(1).take(5);
  const throttle = new Throttle({ clock: new SystemClock(), timers });
  const ports = { ...reader, crc32c: nativeCrc32c, timers, throttle };
  const read = async (from: readonly number[]) => {
    const { rebuild } = rebuildOf(chunk, 4, from);
    const source = { ...target(11), geometry: rebuild.geometry, units: rebuild.sources };
    const units = new UnitReader(ports, { ...source, bytesPerSecondMax: 0 }, lease.arena);
    const range = { offset: 3 * 64 * KiB, length: 64 };
    const cells = await units.read([0, 1, 2], range, NEVER);
    return { cells: cells?.map((cell) => Buffer.from(cell)), readBytes: units.readBytes };
  };
  const healthy = await read([0, 1, 2, 3, 4]);
  t.is(healthy.readBytes, 100);
  t.deepEqual((await read([4, 3, 0])).cells, healthy.cells);
  t.is((await read([4, 3])).cells, undefined);
  const expected = [0, 1, 2].map((unit) => {
    const cell = Buffer.alloc(64);
    cell.set(chunk.units[unit]?.subarray(3 * 64 * KiB) ?? []);
    return cell;
  });
  t.deepEqual(healthy.cells, expected);
  lease.release();
});
