import { chunkHandle, type Disk, grantOf, KiB, LumeoError, MiB, serverId } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import { MemoryDisk } from "@lumeofs/testkit";
import test from "ava";
import { OPEN_GATE } from "../src/access/token-gate.js";
import { DataClient, NO_MASTERS, type Replica, sample, startReplica, target } from "./replicas.js";

async function chain(count: number): Promise<readonly Replica[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => startReplica(i + 1)));
}

async function closeAll(client: DataClient, replicas: readonly Replica[]): Promise<void> {
  await client.close();
  await Promise.all(replicas.map((replica) => replica.close()));
}

test("a small chunk reaches every replica of the chain and reads back from each", async (t) => {
  const replicas = await chain(3);
  const client = new DataClient();
  const bytes = sample(100 * KiB + 7, 1);
  const done = await client.writeSmall(replicas, target(70), bytes);
  t.deepEqual(done.servers, [1, 2, 3].map(serverId));
  for (const replica of replicas) {
    const found = await client.read(replica, target(70), 0, bytes.byteLength);
    t.true(found.equals(bytes));
  }
  await closeAll(client, replicas);
});

test("a large chunk reaches every replica, and random ranges of it read back", async (t) => {
  const replicas = await chain(3);
  const client = new DataClient();
  const bytes = sample(9 * MiB + 12_345, 2);
  const done = await client.writeLarge(replicas, target(71), bytes);
  t.deepEqual(done.servers, [1, 2, 3].map(serverId));
  t.is(done.length, bytes.byteLength);
  for (let i = 0; i < 60; i++) {
    const offset = (i * 7_654_321) % bytes.byteLength;
    const length = Math.min((i * 123_457) % (3 * MiB), bytes.byteLength - offset);
    const replica = replicas[i % 3] as Replica;
    const found = await client.read(replica, target(71), offset, length);
    t.true(found.equals(bytes.subarray(offset, offset + length)), `${offset} +${length}`);
  }
  await closeAll(client, replicas);
});

test("one copy of a large chunk stays in the page cache, or none", async (t) => {
  for (const cachesWrites of [true, false]) {
    const cached: boolean[][] = [];
    const start = (number: number): Promise<Replica> => {
      const files: boolean[] = [];
      cached.push(files);
      const disk: Disk = new MemoryDisk();
      const open = disk.open.bind(disk);
      disk.open = (path, options) => {
        if (path.startsWith("chunks/")) files.push(options.uncached !== true);
        return open(path, options);
      };
      return startReplica(number, disk, OPEN_GATE, { masters: NO_MASTERS, cachesWrites });
    };
    const replicas = [await start(1), await start(2), await start(3)];
    const client = new DataClient();
    await client.writeLarge(replicas, target(72), sample(MiB, 3));
    t.deepEqual(cached, [[cachesWrites], [false], [false]]);
    await closeAll(client, replicas);
  }
});

test("empty chunks and chunks of whole blocks are stored by both ways", async (t) => {
  const replicas = await chain(2);
  const client = new DataClient();
  let handle = 100;
  for (const length of [0, 1, 64 * KiB, 128 * KiB, 256 * KiB]) {
    const bytes = sample(length, length);
    await client.writeSmall(replicas, target(++handle), bytes);
    await client.writeLarge(replicas, target(++handle), bytes);
    for (const replica of replicas) {
      t.true((await client.read(replica, target(handle - 1), 0, length)).equals(bytes));
      t.true((await client.read(replica, target(handle), 0, length)).equals(bytes));
    }
  }
  await closeAll(client, replicas);
});

test("chunks of one frame are stored under handles in a row", async (t) => {
  const replica = await startReplica(1);
  const client = new DataClient();
  const chunks = [1, 4_096, 64 * KiB, 77].map((length) => sample(length, length));
  const done = await client.writeMany(replica, target(2_000), chunks);
  t.deepEqual(done.servers, [serverId(1)]);
  for (const [i, bytes] of chunks.entries()) {
    const found = await client.read(replica, target(2_000 + i), 0, bytes.byteLength);
    t.true(found.equals(bytes));
  }
  await closeAll(client, [replica]);
});

test("of chunks that are asked for together, those that cannot be given are left out", async (t) => {
  const replica = await startReplica(1);
  const client = new DataClient();
  const chunks = [1, 4_096, 64 * KiB].map((length) => sample(length, length));
  await client.writeMany(replica, target(2_200), chunks);
  await client.writeSmall([replica], target(2_300), sample(64 * KiB + 1, 1));
  await replica.stopped.stop(target(2_201).handle, "two histories");
  const asked = [2_202, 2_201, 2_199, 2_300, 2_200].map((handle) => target(handle));
  const found = await client.readMany(replica, [...asked, target(2_200, 2)]);
  const places = [2, undefined, undefined, undefined, 0, undefined];
  for (const [i, place] of places.entries()) {
    const expected = place === undefined ? undefined : chunks[place];
    t.true(expected === undefined ? found[i] === undefined : found[i]?.equals(expected), `${i}`);
  }
  const many = await client.readMany(replica, Array(17).fill(target(2_202)));
  t.is(many.filter((bytes) => bytes !== undefined).length, 16, "as many as fit a frame");
  await closeAll(client, [replica]);
});

test("of chunks in a frame, one that was damaged on its way fails them all", async (t) => {
  const replica = await startReplica(1);
  const client = new DataClient();
  const chunks = [sample(100, 1), sample(200, 2)];
  const write = client.writeMany(replica, target(2_100), chunks, [nativeCrc32c(sample(100, 1)), 7]);
  await t.throwsAsync(write, { code: "CHECKSUM" });
  t.is(replica.store.find(target(2_100).handle), undefined);
  await closeAll(client, [replica]);
});

test("no chunk of a frame comes under a closed grant, whichever of the handles is of it", async (t) => {
  const replica = await startReplica(1);
  const client = new DataClient();
  const first = target(64 * 40 + 62);
  replica.grants.close(grantOf(chunkHandle(first.handle + 2)), () => false);
  const chunks = [1, 2, 3].map((n) => sample(10, n));
  await t.throwsAsync(client.writeMany(replica, first, chunks), { code: "UNAVAILABLE" });
  await client.writeMany(replica, first, chunks.slice(0, 2));
  t.is(replica.store.find(first.handle)?.length, 10);
  await closeAll(client, [replica]);
});

test("the same write again is done again; another content under the epoch is a CONFLICT", async (t) => {
  const replicas = await chain(2);
  const client = new DataClient();
  const small = sample(5_000, 3);
  const large = sample(2 * MiB, 4);
  for (let i = 0; i < 2; i++) {
    t.is((await client.writeSmall(replicas, target(72), small)).length, 5_000);
    t.is((await client.writeLarge(replicas, target(73), large)).length, 2 * MiB);
  }
  const other = sample(5_000, 5);
  await t.throwsAsync(client.writeSmall(replicas, target(72), other), { code: "CONFLICT" });
  await t.throwsAsync(client.writeLarge(replicas, target(73), other), { code: "CONFLICT" });
  t.is(replicas[0]?.store.status().chunkCount, 2);
  t.true((await client.read(replicas[1] as Replica, target(72), 0, 5_000)).equals(small));
  await closeAll(client, replicas);
});

test("a secondary that dies in the middle of a write is named, and nothing is left of it", async (t) => {
  const replicas = await chain(3);
  const client = new DataClient();
  const bytes = sample(12 * MiB, 6);
  const write = client.writeLarge(replicas, target(74), bytes, async (offset) => {
    if (offset === 6 * MiB) await replicas[1]?.close();
  });
  const error = await t.throwsAsync(write, { instanceOf: LumeoError });
  t.deepEqual(error?.details.servers, [2], error?.message);
  const [first, , third] = replicas as readonly [Replica, Replica, Replica];
  await t.throwsAsync(client.read(first, target(74), 0, 1), { code: "REPLICA_MISSING" });
  await client.writeLarge([first, third], target(75), bytes);
  t.true((await client.read(third, target(75), 0, bytes.byteLength)).equals(bytes));
  await client.close();
  await first.close();
  await third.close();
});

test("a server that is down is named at once", async (t) => {
  const replicas = await chain(3);
  const client = new DataClient();
  await replicas[2]?.close();
  for (const write of [
    () => client.writeSmall(replicas, target(76), sample(10, 1)),
    () => client.writeLarge(replicas, target(77), sample(3 * MiB, 1)),
  ]) {
    const error = await t.throwsAsync(write(), { instanceOf: LumeoError });
    t.deepEqual(error?.details.servers, [3], error?.message);
  }
  await client.close();
  await replicas[0]?.close();
  await replicas[1]?.close();
});

test("servers that forward to each other at once do not block each other", async (t) => {
  const replicas = await chain(3);
  const [a, b, c] = replicas as readonly [Replica, Replica, Replica];
  const client = new DataClient();
  const orders = [
    [a, b, c],
    [b, c, a],
    [c, a, b],
    [a, c, b],
    [b, a, c],
    [c, b, a],
  ];
  const bytes = sample(6 * MiB, 7);
  const writes = Array.from({ length: 18 }, (_, i) => {
    return client.writeLarge(orders[i % 6] ?? [], target(200 + i), bytes);
  });
  const small = Array.from({ length: 200 }, (_, i) => {
    return client.writeSmall(
      orders[i % 6] ?? [],
      target(300 + i),
      bytes.subarray(0, 1_000 * (i + 1)),
    );
  });
  t.is((await Promise.all([...writes, ...small])).length, 218);
  t.is(a.store.status().chunkCount, 218);
  await closeAll(client, replicas);
});

test("a read of another epoch, of nothing, and past the end is answered", async (t) => {
  const replicas = await chain(1);
  const [only] = replicas as readonly [Replica];
  const client = new DataClient();
  await client.writeSmall(replicas, target(78), sample(1_000, 8));
  await t.throwsAsync(client.read(only, target(78, 2), 0, 1), { code: "STALE_EPOCH" });
  await t.throwsAsync(client.read(only, target(79), 0, 1), { code: "REPLICA_MISSING" });
  t.is((await client.read(only, target(78), 5_000, 10)).byteLength, 0);
  t.is((await client.read(only, target(78), 900, 500)).byteLength, 100);
  await closeAll(client, replicas);
});
