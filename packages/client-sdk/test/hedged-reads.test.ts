// Which replicas a reading asks: near ones, fast ones, a second one when the first is silent; and
// the tokens that it shows them.

import { LumeoError as InternalError, KiB, MiB } from "@lumeofs/base";
import test from "ava";
import { systemPorts } from "../src/ports.js";
import { collect, content, sameBytes, until } from "./fake/bytes.js";
import type { FakeChunkserver } from "./fake/chunkserver.js";
import { FakeCluster } from "./fake/cluster.js";

/** Reads of this server are answered when the returned function is called. */
function freeze(server: FakeChunkserver): () => void {
  let thaw = (): void => {};
  const thawed = new Promise<void>((resolve) => {
    thaw = resolve;
  });
  server.faults = { read: () => thawed };
  return thaw;
}

function readsOf(cluster: FakeCluster): readonly number[] {
  return [...cluster.servers.values()].map(({ requests }) => requests.read);
}

test("a frozen server is passed by: another one is asked, and its requests are cancelled", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client({ timeoutMs: 600_000 });
  const bytes = content(8 * MiB);
  await client.put("/f", bytes, { chunkSize: 1 * MiB });
  const thaw = freeze(cluster.server(2));
  for (let i = 0; i < 3; i++) sameBytes(t, await collect(await client.get("/f")), bytes, `${i}`);
  t.true(0 < cluster.server(2).requests.read);
  thaw();
  await until(() => cluster.server(2).openRequests === 0); // what it was asked for was cancelled
});

test("a server that falls silent in the middle is followed from there", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client({ timeoutMs: 600_000 });
  const bytes = content(2 * MiB);
  await client.put("/f", bytes);
  const thaws: (() => void)[] = [];
  let silent = 0;
  for (const server of cluster.servers.values()) {
    server.faults = {
      read: (_, offset) => {
        if (offset === 0 || 0 < silent++) return;
        return new Promise<void>((resolve) => thaws.push(resolve));
      },
    };
  }
  sameBytes(t, await collect(await client.get("/f")), bytes, "all");
  t.true(0 < thaws.length);
  for (const thaw of thaws) thaw();
  await until(() => [...cluster.servers.values()].every((one) => one.openRequests === 0));
});

test("without hedges a silent server is waited for until the call's timeout", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const bytes = content(100 * KiB);
  await cluster.client().put("/f", bytes);
  const thaws = [1, 2, 3].map((id) => freeze(cluster.server(id)));
  const client = cluster.client({ hedge: false, timeoutMs: 200 });
  const reading = collect(await client.get("/f"));
  await until(() => readsOf(cluster).every((reads) => 0 < reads));
  for (const thaw of thaws) thaw();
  sameBytes(t, await reading, bytes, "all");
});

test("of one replica in the client's rack and two elsewhere, the near one is read", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const labels = { zone: "z1", rack: "r1" };
  cluster.namespace.labels.set(1, { zone: "z2", rack: "r1" });
  cluster.namespace.labels.set(2, labels);
  cluster.namespace.labels.set(3, { zone: "z1", rack: "r3" });
  const ports = { ...systemPorts(), hosts: new Set<string>() };
  const client = cluster.client({ labels, hedge: false }, ports);
  const bytes = content(4 * MiB);
  await client.put("/f", bytes, { chunkSize: 1 * MiB });
  sameBytes(t, await collect(await client.get("/f")), bytes, "all");
  t.deepEqual(readsOf(cluster), [0, 4, 0]);
  await cluster.server(2).stop();
  sameBytes(t, await collect(await client.get("/f")), bytes, "again");
  t.is(readsOf(cluster)[0], 0, "the same zone comes before the other one");
});

test("a reading from one replica alone asks no other, not even when it is damaged", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 4 });
  const client = cluster.client();
  const bytes = content(3 * MiB);
  await client.put("/f", bytes, { chunkSize: 1 * MiB });
  const { chunks = [] } = await client.stat("/f", { chunks: true });
  const [first] = chunks;
  const name = first?.replicas[0]?.id ?? "";
  const range = { start: 0, end: 1 * MiB };
  const before = readsOf(cluster);
  const got = await collect(await client.get("/f", { onlyReplica: name, range }));
  sameBytes(t, got, bytes.subarray(0, 1 * MiB), "one replica");
  const asked = readsOf(cluster).filter((reads, i) => reads !== before[i]);
  t.is(asked.length, 1);
  const id = Number(name.slice(2));
  cluster.server(id).damage(first?.handle ?? 0, 5);
  const damaged = await client.get("/f", { onlyReplica: name, range });
  await t.throwsAsync(() => damaged.bytes(), { code: "LUMEO_DATA_LOSS" });
  const nowhere = await client.get("/f", { onlyReplica: "cs9" });
  await t.throwsAsync(() => nowhere.bytes(), { code: "LUMEO_NOT_FOUND", message: /"cs9"/ });
});

/** Servers take no other token than the masters' newest. */
function checkTokens(cluster: FakeCluster): { refused: number } {
  const count = { refused: 0 };
  for (const server of cluster.servers.values()) {
    server.faults = {
      token: (token) => {
        if (token?.[0] === cluster.namespace.token[0]) return;
        count.refused++;
        throw new InternalError("TOKEN_EXPIRED", "its token has expired");
      },
    };
  }
  return count;
}

test("a reading whose token expires in the middle goes on with a new one, once for each chunk", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client();
  const bytes = content(64 * MiB);
  await client.put("/f", bytes, { chunkSize: 32 * MiB });
  const count = checkTokens(cluster);
  const pieces: Uint8Array[] = [];
  for await (const piece of await client.get("/f")) {
    if (pieces.length === 0) cluster.namespace.token = Uint8Array.of(2);
    pieces.push(piece);
  }
  sameBytes(t, Buffer.concat(pieces), bytes, "all");
  t.true(0 < count.refused);
  t.deepEqual(cluster.namespace.damage, []);
});

test("a put whose token has expired takes another grant, and avoids no server for it", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client();
  await client.put("/warm", "up");
  const count = checkTokens(cluster);
  cluster.namespace.token = Uint8Array.of(2);
  await client.put("/small", "file");
  await client.put("/large", content(3 * MiB));
  t.true(0 < count.refused);
  t.is(await (await client.get("/small")).text(), "file");
  for (const { allocate } of cluster.namespace.applied) {
    if (allocate) t.deepEqual(allocate.avoidServerIds, []);
  }
});

test("servers that take no token at all end a reading with what they say", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client({ retry: { maxAttempts: 2, baseDelayMs: 1 } });
  await client.put("/f", "x");
  for (const server of cluster.servers.values()) {
    server.faults = {
      token: () => {
        throw new InternalError("UNAUTHENTICATED", "Cannot read chunk 7: its token is none");
      },
    };
  }
  const reading = await client.get("/f");
  await t.throwsAsync(() => reading.bytes(), {
    code: "LUMEO_UNAVAILABLE",
    message: /chunk 7: its token is none/,
  });
});
