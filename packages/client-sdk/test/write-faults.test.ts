// What put makes of chunkservers that die, refuse or are full, of sources that pause, and of
// aborts; and how much it keeps in memory.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { LumeoError as InternalError, KiB, MiB, serverId } from "@lumeofs/base";
import test from "ava";
import { LumeoError } from "../src/index.js";
import { type Ports, systemPorts } from "../src/ports.js";
import { collect, content, sameBytes, temporaryFolder, until } from "./fake/bytes.js";
import type { FakeChunkserver } from "./fake/chunkserver.js";
import { FakeCluster } from "./fake/cluster.js";

function* pieces(bytes: Buffer, length = 64 * KiB): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

/** Lets the first server that gets so far into a chunk die there. Tells which. */
function killOneAt(cluster: FakeCluster, bytesSoFar: number): { victim?: FakeChunkserver } {
  const outcome: { victim?: FakeChunkserver } = {};
  for (const server of cluster.servers.values()) {
    server.faults = {
      write: (_, so) => {
        if (so < bytesSoFar || (outcome.victim !== undefined && outcome.victim !== server)) return;
        outcome.victim = server;
        void server.stop();
        throw new InternalError("STORE_FAILED", "killed");
      },
    };
  }
  return outcome;
}

for (const kind of ["memory", "stream", "file"] as const) {
  test(`a put from ${kind} survives the death of a primary in the middle of a chunk`, async (t) => {
    await using cluster = await FakeCluster.start();
    const client = cluster.client();
    const bytes = content(13 * MiB + 5);
    const outcome = killOneAt(cluster, 2 * MiB);
    const file = join(await temporaryFolder(t), "body");
    if (kind === "file") await writeFile(file, bytes);
    const body = { memory: bytes, stream: pieces(bytes), file: { file } }[kind];
    const put = await client.put("/f", body, { chunkSize: 4 * MiB });
    t.is(put.chunks, 4);
    t.not(outcome.victim, undefined);
    sameBytes(t, await collect(await client.get("/f")), bytes, kind);
    const { chunks } = await client.stat("/f", { chunks: true });
    const names = chunks?.flatMap(({ replicas }) => replicas.map(({ id }) => id)) ?? [];
    t.false(names.includes(outcome.victim?.name ?? ""));
  });
}

test("a server that failed as secondary is avoided, not the primary that said so", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await cluster.server(2).stop();
  for (let i = 0; i < 20; i++) await client.put(`/f${i}`, content(300 * KiB, i));
  const used = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const { chunks } = await client.stat(`/f${i}`, { chunks: true });
    for (const { replicas } of chunks ?? []) for (const { id } of replicas) used.add(id);
  }
  t.deepEqual([...used].sort(), ["cs1", "cs3", "cs4"]);
});

test("a chunk that another store has taken in a replica's place is not stored", async (t) => {
  for (const size of [300 * KiB, 3 * KiB]) {
    await using cluster = await FakeCluster.start();
    const client = cluster.client();
    // The store behind the address of server 2 was wiped: it has another number now.
    for (const server of cluster.servers.values()) {
      server.faults = {
        confirmed: (servers) => servers.map((id) => (id === 2 ? serverId(9) : id)),
      };
    }
    for (let i = 0; i < 8; i++) await client.put(`/f${i}`, content(size, i));
    for (let i = 0; i < 8; i++) {
      const { chunks } = await client.stat(`/f${i}`, { chunks: true });
      const names = chunks?.flatMap(({ replicas }) => replicas.map(({ id }) => id)) ?? [];
      t.false(names.includes("cs2"), `${size} bytes: ${names.join()}`);
    }
  }
});

test("a full server is left for another; when all are full the put says so", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client({ retry: { maxAttempts: 6, baseDelayMs: 1 } });
  const full = () => {
    throw new InternalError("NO_SPACE", "Cannot write: the volume is full");
  };
  cluster.server(1).faults = { write: full };
  for (let i = 0; i < 8; i++) await client.put(`/f${i}`, "x");
  for (const server of cluster.servers.values()) server.faults = { write: full };
  const error = await t.throwsAsync(() => client.put("/g", "x"));
  t.true(LumeoError.is(error));
  t.regex(error?.message ?? "", /full/);
  t.false(await client.exists("/g"));
});

test("a small write whose confirmation was lost is repeated under another handle", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  let lost = 0;
  for (const server of cluster.servers.values()) {
    server.faults = {
      confirm: () => {
        if (lost++ === 0) throw new InternalError("CONNECTION_LOST", "lost");
      },
    };
  }
  await client.put("/f", "x");
  t.is(lost, 6, "two handles at three servers each");
  t.is(await (await client.get("/f")).text(), "x");
});

test("of a stream at most two chunks and a frame are read ahead of what is stored", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const chunkSize = 2 * MiB;
  const bytes = content(40 * MiB);
  let pulled = 0;
  let aheadMax = 0;
  const stored = () => {
    const handles = new Set([...cluster.servers.values()].flatMap((s) => [...s.chunks.keys()]));
    return handles.size * chunkSize;
  };
  function* counted() {
    for (const piece of pieces(bytes)) {
      pulled += piece.length;
      aheadMax = Math.max(aheadMax, pulled - stored());
      yield piece;
    }
  }
  await client.put("/f", counted(), { chunkSize });
  t.is(pulled, bytes.length);
  t.true(chunkSize < aheadMax, "two chunks are in flight");
  t.true(aheadMax <= 2 * chunkSize + 64 * KiB, `${aheadMax}`);
});

test("several chunks of one body are under way at once", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const open = () => [...cluster.servers.values()].reduce((sum, s) => sum + s.openRequests, 0);
  let most = 0;
  for (const server of cluster.servers.values()) {
    server.faults = { write: () => void (most = Math.max(most, open())) };
  }
  await client.put("/f", content(32 * MiB), { chunkSize: 4 * MiB });
  t.is(most, 3);
});

test("an abort rejects with AbortError, leaves nothing visible and ends the source", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const controller = new AbortController();
  let isEnded = false;
  async function* endless() {
    try {
      for (let i = 0; ; i++) {
        if (i === 40) controller.abort();
        yield content(64 * KiB);
      }
    } finally {
      isEnded = true;
    }
  }
  const { signal } = controller;
  const error = await t.throwsAsync(() =>
    client.put("/f", endless(), { signal, chunkSize: 1 * MiB }),
  );
  t.is(error?.name, "AbortError");
  t.true(LumeoError.is(error, "LUMEO_ABORTED"));
  await until(() => isEnded);
  await until(() => [...cluster.servers.values()].every(({ openRequests }) => openRequests === 0));
  t.false(await client.exists("/f"));
  const already = await t.throwsAsync(() => client.put("/f", "x", { signal }));
  t.is(already?.name, "AbortError");
});

test("an abort does not wait for a source that gives nothing", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const controller = new AbortController();
  async function* silent(): AsyncGenerator<Uint8Array> {
    setImmediate(() => controller.abort(new Error("enough")));
    yield await new Promise<Uint8Array>(() => undefined);
  }
  const { signal } = controller;
  const error = await t.throwsAsync(() => client.put("/f", silent(), { signal }));
  t.is(error?.name, "AbortError");
  t.like(error, { cause: { message: "enough" } });
});

test("a source that pauses in the middle of a chunk costs its connection, not the put", async (t) => {
  await using cluster = await FakeCluster.start();
  const system = systemPorts();
  const timers: Ports["timers"] = {
    after: (ms, wake) => system.timers.after(ms === 10_000 ? 1 : ms, wake),
    every: (ms, wake) => system.timers.every(ms, wake),
  };
  const client = cluster.client({ timeoutMs: 20_000 }, { ...system, timers });
  const bytes = content(5 * MiB);
  const opened = () => [...cluster.servers.values()].reduce((n, s) => n + s.requests.writeOpen, 0);
  async function* slow() {
    yield bytes.subarray(0, 3 * MiB);
    await until(
      () => opened() === 1 && [...cluster.servers.values()].every((s) => s.openRequests === 0),
    );
    yield bytes.subarray(3 * MiB);
  }
  await client.put("/f", slow());
  t.is(opened(), 2);
  sameBytes(t, await collect(await client.get("/f")), bytes, "after a pause");
});

test("what a source throws reaches the caller as it is, and nothing is stored", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const mine = new RangeError("mine");
  function* failing() {
    yield content(1 * MiB);
    throw mine;
  }
  t.is(await t.throwsAsync(() => client.put("/f", failing(), { chunkSize: 256 * KiB })), mine);
  t.false(await client.exists("/f"));
});

test("a body of another size than announced is refused", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  for (const body of ["abc", new Blob(["abc"]), pieces(Buffer.from("abc"))]) {
    const error = await t.throwsAsync(() => client.put("/f", body, { size: 4 }));
    t.true(LumeoError.is(error, "LUMEO_INVALID_ARGUMENT"));
  }
  t.false(await client.exists("/f"));
  await client.put("/f", pieces(Buffer.from("abcd")), { size: 4 });
});

test("a local file that is missing or a folder is named", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const folder = await temporaryFolder(t);
  const missing = await t.throwsAsync(() => client.put("/f", { file: join(folder, "no") }));
  t.true(LumeoError.is(missing, "LUMEO_NOT_FOUND"));
  t.regex(missing?.message ?? "", /no"/);
  const directory = await t.throwsAsync(() => client.put("/f", { file: folder }));
  t.true(LumeoError.is(directory, "LUMEO_IS_DIRECTORY"));
});
