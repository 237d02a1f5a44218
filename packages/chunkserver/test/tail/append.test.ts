import { chunkHandle, type Disk, epoch, LumeoError, sessionId } from "@lumeofs/base";
import { MemoryDisk } from "@lumeofs/testkit";
import test from "ava";
import { OPEN_GATE } from "../../src/access/token-gate.js";
import { type Replica, startReplica, type TailSettings } from "../replicas.js";
import { AppendClient } from "./append-client.js";
import { FakeMasters } from "./fake-masters.js";

const HANDLE = chunkHandle(640);

interface Cluster extends AsyncDisposable {
  readonly masters: FakeMasters;
  readonly servers: Replica[];
  readonly client: AppendClient;
  server(number: number): Replica;
  /** The process ends and begins again on the same disk, at another address. */
  restart(number: number, between?: (disk: Disk) => Promise<void>): Promise<Replica>;
}

async function startCluster(
  count = 3,
  settings: Omit<TailSettings, "masters"> = {},
): Promise<Cluster> {
  const masters = new FakeMasters();
  const disks = Array.from({ length: count }, () => new MemoryDisk());
  const start = (i: number) => {
    return startReplica(i + 1, disks[i], OPEN_GATE, { ...settings, masters });
  };
  const servers = await Promise.all(disks.map((_, i) => start(i)));
  const client = new AppendClient(7);
  const server = (number: number): Replica => servers[number - 1] as Replica;
  return {
    ...{ masters, servers, client, server },
    async restart(number, between = async () => undefined) {
      await server(number).close();
      await between(server(number).disk);
      servers[number - 1] = await start(number - 1);
      return server(number);
    },
    async [Symbol.asyncDispose]() {
      await client.close();
      await Promise.all(servers.map((one) => one.close()));
    },
  };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "done";
  } catch (error) {
    return error instanceof LumeoError ? error.code : String(error);
  }
}

/** Asks again until it is answered. Lets other work go on between. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof LumeoError) || !error.retryable) throw error;
      await nextLook();
    }
  }
}

/** Waits for a condition. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await nextLook();
}

function nextLook(): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, 5));
}

test("records of many clients come back whole, in the order of each client", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  const others = [new AppendClient(8), new AppendClient(9)];
  const clients = [client, ...others];
  const asked = clients.flatMap((one) => {
    return Array.from({ length: 100 }, (_, i) =>
      one.append(server(1), HANDLE, `${one.session}.${i};`),
    );
  });
  const places = await Promise.all(asked);
  const { records, length } = await client.read(server(1), HANDLE);
  t.is(records.length, 300);
  t.is(new Set(records).size, 300);
  for (const one of clients) {
    const own = records.filter((record) => record.startsWith(`${one.session}.`));
    t.deepEqual(
      own,
      Array.from({ length: 100 }, (_, i) => `${one.session}.${i};`),
    );
  }
  t.is(length, records.join("").length);
  const offsets = places.map(({ offset }) => offset).sort((a, b) => a - b);
  t.is(offsets[0], 0);
  t.deepEqual(places[0]?.primary, server(1).link);
  await Promise.all(others.map((one) => one.close()));
});

test("a write that is sent again gets its first place; other bytes are refused", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  const first = await client.append(server(1), HANDLE, "one", 1);
  const again = await client.append(server(1), HANDLE, "one", 1);
  t.deepEqual(again, first);
  t.is(await codeOf(client.append(server(1), HANDLE, "two", 1)), "CONFLICT");
  t.deepEqual((await client.read(server(1), HANDLE)).records, ["one"]);
});

test("a secondary passes an append on and names the primary", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  await client.append(server(1), HANDLE, "one");
  const place = await eventually(() => client.append(server(2), HANDLE, "two", 2));
  t.deepEqual(place.primary, server(1).link);
  t.deepEqual((await client.read(server(1), HANDLE)).records, ["one", "two"]);
  t.is(await codeOf(client.append(server(2), chunkHandle(9_999), "x")), "NOT_PRIMARY");
});

test("records of all sizes survive, and parts of them can be read", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  const sizes = [1, 100, 65_536, 65_537, 300_000, 512 * 1024, 7, 200_000, 512 * 1024, 512 * 1024];
  const parts = sizes.map((size, i) => Buffer.alloc(size, i + 1));
  await Promise.all(parts.map((part) => client.append(server(1), HANDLE, part)));
  const whole = Buffer.concat(parts);
  t.true((await client.read(server(1), HANDLE)).bytes.equals(whole));
  const part = await client.read(server(1), HANDLE, { offset: 102, length: 65_536 });
  t.true(part.bytes.equals(whole.subarray(101, 101 + 65_536 + 65_537)));
  t.is(
    await codeOf(client.append(server(1), HANDLE, Buffer.alloc(512 * 1024 + 1))),
    "INVALID_ARGUMENT",
  );
});

test("with one of three members gone appends go on, and the member catches up", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  await client.append(server(1), HANDLE, "one");
  const back = await cluster.restart(3, async () => {
    await client.append(server(1), HANDLE, "two");
  });
  t.deepEqual((await client.read(server(1), HANDLE)).records, ["one", "two"]);
  t.is(masters.order(HANDLE, servers), "begun"); // it has another address now
  await until(() => back.tails.store.find(HANDLE)?.state.commitSeq === 2);
});

test("a restarted primary is none in its epoch any more; the next one adopts", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  for (let i = 0; i < 10; i++) await client.append(server(1), HANDLE, `${i};`);
  await cluster.restart(1);
  t.is(masters.order(HANDLE, servers), "ended");
  t.is(await codeOf(client.append(server(1), HANDLE, "x", 100)), "NOT_PRIMARY");
  masters.grant(HANDLE, [server(2), server(1), server(3)], servers);
  await eventually(() => client.append(server(2), HANDLE, "11;", 11));
  t.is((await client.read(server(2), HANDLE)).bytes.toString(), "0;1;2;3;4;5;6;7;8;9;11;");
  const again = await client.append(server(2), HANDLE, "3;", 4);
  t.is(again.offset, 6);
});

test("a new member is brought up with all bytes, also as the primary", async (t) => {
  await using cluster = await startCluster(4);
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers.slice(0, 3));
  const parts = Array.from({ length: 20 }, (_, i) => Buffer.alloc(100_000, i + 1));
  await Promise.all(parts.map((part) => client.append(server(1), HANDLE, part)));
  await server(1).close();
  masters.grant(HANDLE, [server(4), server(2), server(3)], servers);
  await eventually(() => client.append(server(4), HANDLE, "end", 99));
  const expected = Buffer.concat([...parts, Buffer.from("end")]);
  // Its own copy may still be on its way to it.
  t.true((await eventually(() => client.read(server(4), HANDLE))).bytes.equals(expected));
  const replica = server(4).tails.store.find(HANDLE);
  await until(() => replica?.state.history.lengthBytes === expected.byteLength);
  cluster.servers.splice(0, 1, await startReplica(9));
});

test("a sealed chunk is an ordinary one on all members, its writes are looked up", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  const parts = Array.from({ length: 30 }, (_, i) => Buffer.alloc(20_000, i + 1));
  await Promise.all(parts.map((part) => client.append(server(1), HANDLE, part)));
  t.true(
    await server(1).tails.primaries.seal(HANDLE, masters.authorities.get(HANDLE)!.newest.epoch),
  );
  const sealed = masters.sealed.get(HANDLE);
  t.is(sealed?.lengthBytes, 600_000);
  for (const { store, tails } of servers) {
    const verdict = await store.verify(HANDLE);
    t.deepEqual(verdict, { kind: "intact", length: 600_000, crc32c: sealed?.crc32c ?? 0 });
    t.is(store.find(HANDLE)?.version.epoch, sealed?.chunkEpoch as never);
    await until(() => tails.store.find(HANDLE) === undefined);
  }
  t.is(await codeOf(client.append(server(2), HANDLE, "more")), "SEALED");
  t.is(await codeOf(client.read(server(1), HANDLE)), "SEALED");
  t.like(await client.lookUp(server(3), HANDLE, 2), { outcome: "written", offset: 20_000 });
  t.like(await client.lookUp(server(2), HANDLE, 99), { outcome: "absent" });
  t.like(await client.append(server(3), HANDLE, parts[2] as Buffer, 3), { offset: 40_000 });
  const restarted = await cluster.restart(2);
  t.like(await client.lookUp(restarted, HANDLE, 30), { outcome: "written", offset: 580_000 });
  t.is(await codeOf(client.append(restarted, HANDLE, "more", 50)), "SEALED");
});

test("who has never heard of a chunk has not finished it", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  await client.append(server(1), HANDLE, "tiny");
  const { newest } = masters.authorities.get(HANDLE)!;
  const stranger = await startReplica(9);
  const seal = { seq: 3, epoch: newest.epoch };
  const ask = (kind: "settle" | "finish") =>
    stranger.tails.store.serve(HANDLE, { kind, epoch: newest.epoch, seal });
  t.is(await codeOf(ask("settle")), "REPLICA_MISSING");
  t.is(await codeOf(ask("finish")), "REPLICA_MISSING");
  await stranger.close();
  t.true(await server(1).tails.primaries.seal(HANDLE, newest.epoch));
  await until(() => servers.every(({ tails }) => tails.store.find(HANDLE) === undefined));
  t.deepEqual(masters.doubted, []);
});

test("a small tail becomes a small chunk, and an empty one none", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  const other = chunkHandle(641);
  masters.open(HANDLE, servers);
  masters.open(other, servers);
  await client.append(server(1), HANDLE, "tiny");
  const { primaries } = server(1).tails;
  t.true(await primaries.seal(HANDLE, masters.authorities.get(HANDLE)!.newest.epoch));
  await until(() => primaries.find(other)?.stage === "active");
  t.true(await primaries.seal(other, masters.authorities.get(other)!.newest.epoch));
  t.like(await server(2).store.verify(HANDLE), { kind: "intact", length: 4 });
  t.is(server(2).store.find(other), undefined);
});

test("appends to a tail that fills up end with SEALED, none is lost or doubled", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  const size = 512 * 1024;
  const parts = Array.from({ length: 140 }, (_, i) => Buffer.alloc(size, i));
  const ends = await Promise.allSettled(
    parts.map((part) => client.append(server(1), HANDLE, part)),
  );
  const written = parts.filter((_, i) => ends[i]?.status === "fulfilled");
  const codes = new Set(
    ends.flatMap((end) => (end.status === "rejected" ? [end.reason.code] : [])),
  );
  t.deepEqual([...codes], ["SEALED"]);
  await until(() => masters.sealed.has(HANDLE));
  t.is(masters.sealed.get(HANDLE)?.lengthBytes, written.length * size);
  t.like(await server(3).store.verify(HANDLE), { kind: "intact", length: written.length * size });
});

test("reads need a lease; without the masters they are refused and appends go on", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  const place = await client.append(server(1), HANDLE, "one");
  masters.givesLeases = false;
  t.is(await codeOf(client.read(server(1), HANDLE)), "UNAVAILABLE");
  await client.append(server(1), HANDLE, "two");
  const seen = { epoch: place.epoch, seq: place.seq };
  const { records } = await eventually(() => client.read(server(2), HANDLE, { seen }));
  t.is(records[0], "one");
  masters.givesLeases = true;
  t.deepEqual((await client.read(server(1), HANDLE)).records, ["one", "two"]);
});

test("an idle tail is sealed by itself", async (t) => {
  await using cluster = await startCluster(3, { idleSealMs: 1 });
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  await until(() => masters.sealed.has(HANDLE));
  t.is(masters.sealed.get(HANDLE)?.lengthBytes, 0);
  t.is(await codeOf(client.append(server(1), HANDLE, "late")), "SEALED");
});

test("an old primary that wakes writes nothing, its appends are refused", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  await client.append(server(1), HANDLE, "one", 1);
  masters.grant(HANDLE, [server(2), server(1), server(3)], servers);
  await eventually(() => client.append(server(2), HANDLE, "two", 2));
  const code = await codeOf(client.append(server(1), HANDLE, "three", 3));
  t.true(["UNKNOWN_OUTCOME", "NOT_PRIMARY", "done"].includes(code), code);
  await eventually(() => client.append(server(2), HANDLE, "three", 3));
  t.deepEqual((await client.read(server(2), HANDLE)).records, ["one", "two", "three"]);
});

test("what the masters do not need goes, the promise of a removed copy stays", async (t) => {
  await using cluster = await startCluster(3, { reportPauseMs: 1 });
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  await client.append(server(1), HANDLE, "one");
  const { epoch } = masters.authorities.get(HANDLE)!.newest;
  const { store } = server(3).tails;
  await until(() => store.find(HANDLE)?.state.history.lastSeq === 1);
  const replica = store.find(HANDLE);
  const record = replica?.state.history.at(1);
  masters.answer = { ...masters.answer, superfluous: [{ handle: HANDLE, epoch }] };
  await until(() => store.find(HANDLE)?.state.history.lastSeq === 0);
  // Whoever held it then goes on.
  t.is(await codeOf(replica!.read(record!)), "UNAVAILABLE");
  t.is(store.find(HANDLE)?.state.promised, epoch);
  masters.answer = { ...masters.answer, superfluous: [], garbage: [HANDLE] };
  await until(() => servers.every(({ tails }) => tails.store.find(HANDLE) === undefined));
  t.pass();
});

test("a member with a damaged log testifies again in the next epoch", async (t) => {
  await using cluster = await startCluster(3, { reportPauseMs: 1 });
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  for (let i = 0; i < 10; i++) await client.append(server(1), HANDLE, `${i};`);
  await until(() => server(3).tails.store.find(HANDLE)?.state.history.lastSeq === 10);
  masters.isReachable = false;
  const damaged = await cluster.restart(3, async (disk) => {
    const file = await disk.open("tails/000000000001.wal", { create: false });
    await file.writeAt([Uint8Array.of(0xff)], 200);
    await file.close();
  });
  const replica = damaged.tails.store.find(HANDLE);
  t.true(replica?.isInDoubt);
  await t.throwsAsync(damaged.tails.store.serve(HANDLE, { kind: "fence", epoch: epoch(2) }));
  masters.isReachable = true;
  await until(() => replica?.isInDoubt === false && 0 < masters.ended.length);
  const word = await damaged.tails.store.serve(HANDLE, { kind: "fence", epoch: epoch(1) });
  t.is(word.reply.kind, "unknown");
  masters.grant(HANDLE, [server(1), server(2), damaged], servers);
  await eventually(() => client.append(server(1), HANDLE, "end", 11));
  await until(() => damaged.tails.store.find(HANDLE)?.state.history.lastSeq === 12);
  const testimony = await damaged.tails.store.serve(HANDLE, { kind: "fence", epoch: epoch(2) });
  t.is(testimony.reply.kind, "fenced");
  t.is((await client.read(server(1), HANDLE)).bytes.toString(), "0;1;2;3;4;5;6;7;8;9;end");
});

test("the scrub finds a record that is not what was written, and the masters hear of it", async (t) => {
  const scrub = { pauseMs: 5, pace: async () => {} };
  await using cluster = await startCluster(3, { reportPauseMs: 1, scrub });
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  for (let i = 0; i < 10; i++) await client.append(server(1), HANDLE, `record ${i};`);
  const replica = () => server(3).tails.store.find(HANDLE);
  await until(() => replica()?.state.history.lastSeq === 10);
  const path = "tails/000000000001.wal";
  const file = await server(3).disk.open(path, { create: false });
  const bytes = Buffer.alloc(await file.size());
  await file.readAt(bytes, 0);
  const at = bytes.indexOf("record 6");
  await file.writeAt([Uint8Array.of(0x21)], at + 3);
  await file.close();
  await until(() => server(3).tails.store.damaged().includes(HANDLE));
  t.is(replica()?.state.history.lastSeq, 6);
  await until(() => 0 < masters.ended.length);
  t.deepEqual(server(1).tails.store.damaged(), []);
  masters.grant(HANDLE, [server(1), server(2), server(3)], servers);
  await eventually(() => client.append(server(1), HANDLE, "end", 11));
  await until(() => replica()?.state.history.lastSeq === 12);
  t.true((await client.read(server(1), HANDLE)).bytes.toString().endsWith("record 9;end"));
});

test("sessions are told apart", async (t) => {
  await using cluster = await startCluster();
  const { masters, client, servers, server } = cluster;
  masters.open(HANDLE, servers);
  const other = new AppendClient(sessionId(70));
  await client.append(server(1), HANDLE, "one", 1);
  await other.append(server(1), HANDLE, "two", 1);
  t.deepEqual((await client.read(server(1), HANDLE)).records, ["one", "two"]);
  await other.close();
});
