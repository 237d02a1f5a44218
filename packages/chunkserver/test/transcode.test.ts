// Conversions between copies and units, on data services on loopback.

import {
  CancelSource,
  type Code,
  KiB,
  LumeoError,
  MiB,
  serverId,
  unitCount,
  unitLength,
} from "@lumeofs/base";
import { nativeCrc32c, SystemClock, SystemTimers } from "@lumeofs/node";
import test, { type ExecutionContext } from "ava";
import { ArenaPool } from "../src/coding/arena-pool.js";
import type { DataSource } from "../src/coding/chunk-data.js";
import { type TranscodeOrder, Transcoder } from "../src/coding/transcode.js";
import type { UnitSource } from "../src/transfer/rebuild-order.js";
import type { Holder } from "../src/transfer/replica-source.js";
import { Throttle } from "../src/transfer/throttle.js";
import { crcOf, DataClient, type Replica, sample, startReplica, target } from "./replicas.js";

const CODE: Code = { data: 4, parity: 2, cellBytes: 64 * KiB };
const WIDE: Code = { data: 10, parity: 4, cellBytes: MiB };
const LENGTHS = [1, 100, 64 * KiB, 256 * KiB, 256 * KiB + 1, 300 * KiB + 77, MiB, 3 * MiB + 5];

async function cast(t: ExecutionContext, servers: number) {
  const replicas: Replica[] = [];
  for (let n = 1; n <= servers; n++) replicas.push(await startReplica(n));
  const [worker] = replicas as [Replica];
  const timers = new SystemTimers({ unref: true });
  const throttle = new Throttle({ clock: new SystemClock(), timers });
  const arenas = new ArenaPool(2);
  const { pool } = worker;
  const ports = { pool, timers, throttle, arenas, crc32c: nativeCrc32c };
  const transcoder = new Transcoder({ ...ports, conversionsMax: 2 });
  const client = new DataClient();
  t.teardown(async () => {
    await transcoder.close();
    await client.close();
    await Promise.all(replicas.map((replica) => replica.close()));
  });
  return { replicas, transcoder, client };
}

type Cast = Awaited<ReturnType<typeof cast>>;

function holderOf({ id, address }: Replica): Holder {
  return { server: id, address };
}

function copies(replicas: readonly Replica[], handle: number, bytes: Uint8Array): DataSource {
  const chunk = { ...target(handle), length: bytes.byteLength, crc32c: crcOf(bytes) };
  return { kind: "copies", chunk, holders: replicas.map(holderOf) };
}

function units(
  replicas: readonly (Replica | undefined)[],
  handle: number,
  { bytes, code, unitCrcs }: { bytes: Uint8Array; code: Code; unitCrcs: readonly number[] },
): DataSource {
  const chunk = { ...target(handle), length: bytes.byteLength, crc32c: crcOf(bytes) };
  const sources = replicas.flatMap((replica, unit): UnitSource[] => {
    const length = unitLength(code, bytes.byteLength, unit);
    const one = { unit, length, crc32c: unitCrcs[unit] ?? 0 };
    if (length === 0) return [{ ...one, holder: undefined }];
    return replica === undefined ? [] : [{ ...one, holder: holderOf(replica) }];
  });
  const geometry = { dataCells: code.data, parityCells: code.parity };
  const coded = { ...target(handle), geometry, units: sources, bytesPerSecondMax: 0 };
  return { kind: "units", chunk, code, coded };
}

function orderTo(
  source: DataSource,
  replicas: readonly Replica[],
  handle: number,
  code: Code | undefined,
): TranscodeOrder {
  const servers = replicas.map(holderOf);
  const to = { ...target(handle), token: undefined, code, servers };
  return { source, target: to, bytesPerSecondMax: 0 };
}

async function unitsOf(t: ExecutionContext, { transcoder }: Cast, order: TranscodeOrder) {
  const result = await transcoder.run(order, new CancelSource());
  if (result.kind !== "done") throw new Error(result.why);
  t.deepEqual(result.faults, []);
  return result.unitCrcs;
}

async function write(cast: Cast, replicas: readonly Replica[], handle: number, bytes: Uint8Array) {
  if (bytes.byteLength <= 256 * KiB) await cast.client.writeSmall(replicas, target(handle), bytes);
  else await cast.client.writeLarge(replicas, target(handle), bytes);
}

for (const code of [CODE, WIDE]) {
  test(`a chunk is the same after ${code.data}+${code.parity} and back, of any length`, async (t) => {
    const all = await cast(t, unitCount(code));
    const { replicas, transcoder, client } = all;
    const holders = replicas.slice(0, unitCount(code));
    for (const [i, length] of LENGTHS.entries()) {
      const bytes = sample(length, i + 1);
      const [plain, coded, again] = [100 + i, 200 + i, 300 + i];
      await write(all, replicas.slice(0, 3), plain, bytes);
      const from = copies(replicas.slice(0, 3), plain, bytes);
      const unitCrcs = await unitsOf(t, all, orderTo(from, holders, coded, code));
      for (const [unit, { store }] of holders.entries()) {
        const found = store.find(target(coded).handle);
        const expected = unitLength(code, length, unit);
        t.is(found?.length ?? 0, expected, `unit ${unit} of ${length} bytes`);
        if (0 < expected) t.is(found?.crc32c, unitCrcs[unit]);
        if (found !== undefined) t.deepEqual([...found.version.clock.keys()], [replicas[0]?.id]);
      }
      const back = units(holders, coded, { bytes, code, unitCrcs });
      const copied = orderTo(back, replicas.slice(1, 4), again, undefined);
      const result = await transcoder.run(copied, new CancelSource());
      t.is(result.kind, "done");
      for (const replica of replicas.slice(1, 4)) {
        const read = await client.read(replica, target(again), 0, length);
        t.true(read.equals(bytes), `${length} bytes on ${replica.id}`);
      }
    }
  });
}

test("units that cannot be had are rebuilt on the way", async (t) => {
  const all = await cast(t, 6);
  const { replicas, transcoder, client } = all;
  const bytes = sample(2 * MiB + 12_345, 9);
  await write(all, replicas.slice(0, 3), 1, bytes);
  const from = copies(replicas.slice(0, 3), 1, bytes);
  const unitCrcs = await unitsOf(t, all, orderTo(from, replicas, 2, CODE));
  const damaged = replicas[1] as Replica;
  await damaged.store.remove([target(2)]);
  const some = [undefined, ...replicas.slice(1)];
  const source = units(some, 2, { bytes, code: CODE, unitCrcs });
  const order = orderTo(source, replicas.slice(0, 2), 3, undefined);
  const result = await transcoder.run(order, new CancelSource());
  t.is(result.kind, "done");
  t.deepEqual(
    result.faults.map(({ server, isBad }) => ({ server, isBad })),
    [{ server: damaged.id, isBad: true }],
  );
  const [first] = replicas as [Replica];
  t.true((await client.read(first, target(3), 0, bytes.byteLength)).equals(bytes));
});

test("nothing is done from too few sources, or from data that is not what the masters say", async (t) => {
  const all = await cast(t, 6);
  const { replicas, transcoder } = all;
  const bytes = sample(700 * KiB, 4);
  await write(all, replicas.slice(0, 2), 1, bytes);
  const nowhere = orderTo(copies([], 1, bytes), replicas, 2, CODE);
  t.is((await transcoder.run(nowhere, new CancelSource())).kind, "noSource");
  const { chunk } = copies([], 1, bytes);
  const holders = replicas.slice(0, 2).map(holderOf);
  const other = { ...chunk, crc32c: chunk.crc32c ^ 1 };
  const wrong: DataSource = { kind: "copies", chunk: other, holders };
  const result = await transcoder.run(orderTo(wrong, replicas, 3, CODE), new CancelSource());
  t.is(result.kind, "noSource");
  t.is(result.faults.length, 2);
  for (const { store } of replicas) t.is(store.find(target(3).handle), undefined);
});

test("a copy that fails in the middle is followed by the next one", async (t) => {
  const all = await cast(t, 7);
  const { replicas, transcoder } = all;
  const bytes = sample(2 * MiB, 5);
  await write(all, replicas.slice(0, 2), 1, bytes);
  const gone = replicas[6] as Replica;
  const from = copies([gone, replicas[1] as Replica], 1, bytes);
  const order = orderTo(from, replicas.slice(0, 6), 2, CODE);
  const result = await transcoder.run(order, new CancelSource());
  t.is(result.kind, "done");
  t.deepEqual(
    result.faults.map(({ server }) => server),
    [gone.id],
  );
});

test("a target that is gone is named, and nothing counts as done", async (t) => {
  const all = await cast(t, 7);
  const { replicas, transcoder } = all;
  const bytes = sample(2 * MiB, 6);
  await write(all, replicas.slice(0, 2), 1, bytes);
  await (replicas[6] as Replica).data.close();
  const order = orderTo(copies(replicas.slice(0, 2), 1, bytes), replicas.slice(1), 2, CODE);
  const error = await t.throwsAsync(transcoder.run(order, new CancelSource()), {
    instanceOf: LumeoError,
  });
  t.deepEqual(error?.details.servers, [serverId(7)]);
  for (const { store } of replicas.slice(0, 6)) t.is(store.find(target(2).handle), undefined);
  t.is(transcoder.inFlight, 0);
});

test("a target where another store answers by now does not count", async (t) => {
  const all = await cast(t, 6);
  const { replicas, transcoder } = all;
  const bytes = sample(300 * KiB, 8);
  await write(all, replicas.slice(0, 2), 1, bytes);
  const from = copies(replicas.slice(0, 2), 1, bytes);
  for (const [handle, code] of [
    [2, CODE],
    [3, undefined],
  ] as const) {
    const order = orderTo(from, replicas.slice(0, code === undefined ? 3 : 6), handle, code);
    const servers = order.target.servers.map((one, i) => {
      return i === 2 ? { ...one, server: serverId(99) } : one; // the one that was there before
    });
    const run = transcoder.run(
      { ...order, target: { ...order.target, servers } },
      new CancelSource(),
    );
    const error = await t.throwsAsync(run, { instanceOf: LumeoError, code: "CONFLICT" });
    t.deepEqual(error?.details.servers, [serverId(99)]);
  }
});

test("a conversion that is called off leaves nothing, and more than the limit are refused", async (t) => {
  const all = await cast(t, 6);
  const { replicas, transcoder } = all;
  const bytes = sample(3 * MiB, 7);
  await write(all, replicas.slice(0, 2), 1, bytes);
  const slow = { bytesPerSecondMax: 1 };
  const stopping = new CancelSource();
  const run = (handle: number) => {
    const order = orderTo(copies(replicas.slice(0, 2), 1, bytes), replicas, handle, CODE);
    return transcoder.run({ ...order, ...slow }, stopping);
  };
  const under = [run(2), run(3)];
  await t.throwsAsync(run(4), { message: /wait/ });
  stopping.abort(new LumeoError("ABORTED", "enough"));
  for (const one of under) await t.throwsAsync(one, { message: /enough/ });
  t.is(transcoder.inFlight, 0);
  for (const { store } of replicas) t.is(store.find(target(2).handle), undefined);
});
