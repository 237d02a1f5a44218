// What get makes of damaged, missing and unreachable replicas, of files that change, of slow and
// vanished consumers; and how close() ends.

import { LumeoError as InternalError, KiB, MiB } from "@lumeofs/base";
import test from "ava";
import { DataLossError, Lumeo, LumeoError } from "../src/index.js";
import { collect, content, sameBytes, until } from "./fake/bytes.js";
import { FakeCluster } from "./fake/cluster.js";

async function handlesOf(client: Lumeo, path: string): Promise<number[]> {
  const { chunks } = await client.stat(path, { chunks: true });
  return chunks?.map(({ handle }) => handle) ?? [];
}

function openRequests(cluster: FakeCluster): number {
  return [...cluster.servers.values()].reduce((sum, server) => sum + server.openRequests, 0);
}

test("a damaged block is never given out: another replica serves, and the damage is reported", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client();
  const bytes = content(9 * MiB);
  await client.put("/f", bytes, { chunkSize: 4 * MiB });
  const [first, second] = (await handlesOf(client, "/f")) as [number, number];
  for (const id of [1, 2]) cluster.server(id).damage(first, 3 * MiB + id);
  for (const id of [2, 3]) cluster.server(id).damage(second, 77);
  for (let i = 0; i < 4; i++) sameBytes(t, await collect(await client.get("/f")), bytes, `${i}`);
  await until(() => 0 < cluster.namespace.damage.length);
  for (const { handle, serverId } of cluster.namespace.damage) {
    t.true([first, second].includes(handle));
    t.not(serverId, handle === first ? 3 : 1);
  }
});

test("a small file with damaged copies is read from the intact one", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client();
  const bytes = content(5_000);
  await client.put("/f", bytes);
  const [handle] = (await handlesOf(client, "/f")) as [number];
  cluster.server(1).damage(handle, 4_999);
  cluster.server(2).chunks.delete(handle);
  for (let i = 0; i < 3; i++) sameBytes(t, await collect(await client.get("/f")), bytes, `${i}`);
});

test("a copy that is intact in itself but another content is not believed", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client();
  await client.put("/f", "right");
  await client.put("/g", "wrong");
  const [right] = (await handlesOf(client, "/f")) as [number];
  const [wrong] = (await handlesOf(client, "/g")) as [number];
  for (const id of [1, 2]) {
    const { chunks } = cluster.server(id);
    chunks.set(right, chunks.get(wrong) as NonNullable<ReturnType<typeof chunks.get>>);
  }
  for (let i = 0; i < 3; i++) t.is(await (await client.get("/f")).text(), "right");
});

test("when all copies are bad the error names the chunk, and nothing wrong was given out", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client();
  const bytes = content(6 * MiB);
  await client.put("/f", bytes, { chunkSize: 2 * MiB });
  const [, bad] = (await handlesOf(client, "/f")) as [number, number];
  cluster.server(1).damage(bad, 1);
  cluster.server(2).damage(bad, 100_000);
  cluster.server(3).chunks.delete(bad);
  const got: Uint8Array[] = [];
  const error = await t.throwsAsync(async () => {
    for await (const piece of await client.get("/f")) got.push(piece);
  });
  t.true(error instanceof DataLossError);
  t.regex(error?.message ?? "", new RegExp(`chunk ${bad} `));
  t.is((error as LumeoError).code, "LUMEO_DATA_LOSS");
  const delivered = Buffer.concat(got);
  sameBytes(t, delivered, bytes.subarray(0, delivered.length), "the good part");
});

test("an answer that nobody can understand is a lost connection: it is asked for again", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client({ hedge: false });
  await client.put("/f", "right");
  let garbled = 0;
  for (const server of cluster.servers.values()) {
    server.faults = {
      read: () => {
        if (2 * cluster.servers.size <= garbled++) return;
        throw new InternalError("PROTOCOL", "Cannot read frame: its checksum is wrong");
      },
    };
  }
  t.is(await (await client.get("/f")).text(), "right");
  t.true(2 * cluster.servers.size < garbled);
});

test("a server that dies in the middle is followed by another at the same offset", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client({ hedge: false });
  const bytes = content(8 * MiB);
  await client.put("/f", bytes);
  let deaths = 0;
  for (const server of cluster.servers.values()) {
    server.faults = {
      read: (_, offset) => {
        if (offset % (2 * MiB) === 0 || 2 <= deaths++) return;
        throw new InternalError("STORE_FAILED", "killed");
      },
    };
  }
  sameBytes(t, await collect(await client.get("/f")), bytes, "all");
  t.true(2 <= deaths);
  const sent = [...cluster.servers.values()].reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  t.is(sent, bytes.length);
});

test("reading goes on while one server is down, and fails as unavailable when all are", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client({ retry: { maxAttempts: 3, baseDelayMs: 1 } });
  const bytes = content(5 * MiB);
  await client.put("/f", bytes, { chunkSize: 1 * MiB });
  await cluster.server(2).stop();
  sameBytes(t, await collect(await client.get("/f")), bytes, "one down");
  await cluster.server(1).stop();
  await cluster.server(3).stop();
  const reading = await client.get("/f");
  const error = await t.throwsAsync(() => reading.bytes());
  t.true(LumeoError.is(error, "LUMEO_UNAVAILABLE"));
  t.like(error, { attempts: 3, retryable: true });
});

test("a file that is replaced while its old chunks remain is read to its end", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const bytes = content(40 * MiB);
  await client.put("/f", bytes, { chunkSize: 4 * MiB });
  const reading = await client.get("/f");
  const iterator = reading[Symbol.asyncIterator]();
  const first = await iterator.next();
  await client.put("/f", "new");
  const rest = await collect({ [Symbol.asyncIterator]: () => iterator });
  sameBytes(t, Buffer.concat([first.value as Uint8Array, rest]), bytes, "old content");
});

test("a file whose chunks are gone is read anew if nothing was given out, else the call fails", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await client.put("/f", content(60 * MiB), { chunkSize: 4 * MiB });
  const untouched = await client.get("/f");
  const begun = (await client.get("/f"))[Symbol.asyncIterator]();
  await begun.next();
  const old = await handlesOf(client, "/f");
  await client.put("/f", "new");
  for (const server of cluster.servers.values()) for (const h of old) server.chunks.delete(h);
  t.is(await untouched.text(), "new");
  t.is(untouched.info.size, 3);
  const error = await t.throwsAsync(() => collect({ [Symbol.asyncIterator]: () => begun }));
  t.true(LumeoError.is(error, "LUMEO_CONFLICT"));
});

test("a slow consumer holds back the servers, not the memory", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client({ hedge: false });
  const bytes = content(80 * MiB);
  await client.put("/f", bytes, { chunkSize: 16 * MiB });
  const sent = () => [...cluster.servers.values()].reduce((sum, s) => sum + s.sentBytes, 0);
  let consumed = 0;
  let aheadMax = 0;
  for await (const piece of await client.get("/f")) {
    consumed += piece.byteLength;
    await until(() => openRequests(cluster) === 0); // everything that was asked for has come
    aheadMax = Math.max(aheadMax, sent() - consumed);
  }
  t.is(consumed, bytes.length);
  t.true(aheadMax <= 24 * MiB, `${aheadMax}`);
});

test("leaving a reading early, or never beginning it, frees everything", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await client.put("/f", content(60 * MiB), { chunkSize: 16 * MiB });
  {
    await using unread = await client.get("/f");
    t.is(unread.info.size, 60 * MiB);
  }
  for await (const piece of await client.get("/f")) {
    t.true(0 < piece.byteLength);
    break;
  }
  const stream = (await client.get("/f")).stream();
  const reader = stream.getReader();
  await reader.read();
  await reader.cancel();
  await until(() => openRequests(cluster) === 0);
  await client.close({ graceMs: 60_000 }); // does not wait for any of them
  t.is(client.state, "closed");
});

test("an abort ends a reading with AbortError", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await client.put("/f", content(60 * MiB), { chunkSize: 16 * MiB });
  const controller = new AbortController();
  const error = await t.throwsAsync(async () => {
    for await (const piece of await client.get("/f", { signal: controller.signal })) {
      if (0 < piece.byteLength) controller.abort();
    }
  });
  t.is(error?.name, "AbortError");
  await until(() => openRequests(cluster) === 0);
});

test("close waits for calls under way; afterwards every call says CLOSED", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await client.put("/warm", "up");
  const puts = Array.from({ length: 20 }, (_, i) => client.put(`/f${i}`, content(100 * KiB)));
  await client.close({ graceMs: 60_000 });
  await Promise.all(puts);
  t.is(cluster.namespace.files.size, 21);
  for (const call of [
    () => client.stat("/f1"),
    () => client.put("/x", "x"),
    () => client.list().toArray(),
  ]) {
    t.true(LumeoError.is(await t.throwsAsync(call), "LUMEO_CLOSED"));
  }
});

test("close ends calls that outlast its grace", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await client.ready();
  cluster.once("stat", "never answer", 99);
  const waiting = client.stat("/f");
  const error = t.throwsAsync(() => waiting);
  await client.close({ graceMs: 1 });
  t.true(LumeoError.is(await error, "LUMEO_CLOSED"));
});

test("close does not wait for a consumer that does not come back", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await client.put("/f", content(60 * MiB), { chunkSize: 16 * MiB });
  const iterator = (await client.get("/f"))[Symbol.asyncIterator]();
  await iterator.next();
  await client.close({ graceMs: 1 });
  const error = await t.throwsAsync(async () => {
    while ((await iterator.next()).done !== true);
  });
  t.true(LumeoError.is(error, "LUMEO_CLOSED"));
});

test("a client does nothing before its first call", async (t) => {
  const client = new Lumeo({ endpoints: "lumeo://127.0.0.1:1,127.0.0.1:2" });
  t.is(client.state, "idle");
  await client.close();
  t.is(client.state, "closed");
  t.throws(() => new Lumeo({ endpoints: "nowhere" }), { message: /host:port/ });
});
