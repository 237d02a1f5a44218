// put, get, list and their kin against a fake cluster that does what it should.

import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { KiB, MiB } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import test from "ava";
import { type Body, LumeoError, type Reading } from "../src/index.js";
import { collect, content, inSharedPieces, sameBytes, temporaryFolder } from "./fake/bytes.js";
import { FakeCluster } from "./fake/cluster.js";

test("what put stores, get gives back, for every size around the borders", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const sizes = [0, 1, 65_535, 65_536, 65_537, 256 * KiB, 256 * KiB + 1, 1 * MiB, 5 * MiB + 7];
  for (const size of sizes) {
    const bytes = content(size);
    const put = await client.put(`/f${size}`, bytes, { chunkSize: 2 * MiB });
    t.is(put.size, size);
    t.is(put.chunks, Math.ceil(size / (2 * MiB)));
    t.is(put.checksum.value, nativeCrc32c(bytes).toString(16).padStart(8, "0"));
    const reading = await client.get(`/f${size}`);
    sameBytes(t, await reading.bytes(), bytes, `${size}`);
    t.is(reading.info.etag, put.etag);
  }
});

const TEXT = "smile 🙂 ".repeat(50_000);

function bodies(file: string): Record<string, () => Body> {
  const bytes = new TextEncoder().encode(TEXT);
  return {
    string: () => TEXT,
    Uint8Array: () => bytes,
    ArrayBuffer: () => bytes.buffer,
    Blob: () => new Blob([bytes]),
    "web stream": () => new Blob([bytes]).stream(),
    "Node stream": () => Readable.from([bytes.subarray(0, 99_999), bytes.subarray(99_999)]),
    "async iterable": () => inSharedPieces(bytes, 1_000),
    iterable: () => [TEXT.slice(0, 1_000), bytes.subarray(Buffer.byteLength(TEXT.slice(0, 1_000)))],
    file: () => ({ file }),
  };
}

test("every kind of body arrives whole", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const file = join(await temporaryFolder(t), "body");
  await writeFile(file, TEXT);
  for (const [name, body] of Object.entries(bodies(file))) {
    const put = await client.put(`/${name}`, body(), { chunkSize: 256 * KiB });
    t.is(put.size, Buffer.byteLength(TEXT), name);
    t.is(await (await client.get(`/${name}`)).text(), TEXT, name);
  }
});

test("a reading gives its content in every form", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const bytes = content(3 * MiB + 5);
  await client.put("/f", bytes);
  await client.put("/j", JSON.stringify({ a: [1, 2] }));
  const forms: Record<string, (reading: Reading) => Promise<Uint8Array>> = {
    bytes: (reading) => reading.bytes(),
    blob: async (reading) => new Uint8Array(await (await reading.blob()).arrayBuffer()),
    iteration: (reading) => collect(reading),
    "web stream": (reading) => collect(reading.stream()),
    "Node stream": (reading) => collect(reading.node()),
  };
  for (const [name, form] of Object.entries(forms)) {
    sameBytes(t, await form(await client.get("/f")), bytes, name);
  }
  t.deepEqual(await (await client.get("/j")).json(), { a: [1, 2] });
});

test("a reading can be taken once", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await client.put("/f", "x");
  const reading = await client.get("/f");
  await reading.bytes();
  const error = await t.throwsAsync(() => reading.text());
  t.true(LumeoError.is(error, "LUMEO_INVALID_ARGUMENT"));
});

test("a range gives its bytes and asks for no others but those of their blocks", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client({ hedge: false });
  const bytes = content(5 * MiB);
  await client.put("/f", bytes, { chunkSize: 1 * MiB });
  for (const [start, end] of [
    [0, 1],
    [65_535, 65_537],
    [1_048_000, 3_200_001],
    [5_242_879, 9e9],
  ]) {
    const range = { start: start as number, end: end as number };
    const reading = await client.get("/f", { range });
    sameBytes(t, await collect(reading), bytes.subarray(start, end), `${start}-${end}`);
    t.is(reading.range.end, Math.min(range.end, bytes.length));
  }
  const before = [...cluster.servers.values()].reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  await (await client.get("/f", { range: { start: 70_000, end: 70_001 } })).bytes();
  const after = [...cluster.servers.values()].reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  t.is(after - before, 64 * KiB);
  const error = await t.throwsAsync(() => client.get("/f", { range: { start: 6 * MiB } }));
  t.true(LumeoError.is(error, "LUMEO_INVALID_ARGUMENT"));
});

test("a small file costs one operation and one data request to read, two to write", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client({ hedge: false });
  await client.put("/warm", "up");
  const operations = () => cluster.masters[0]?.batches.reduce((sum, n) => sum + n, 0) ?? 0;
  const reads = () => [...cluster.servers.values()].reduce((sum, s) => sum + s.requests.read, 0);
  const beforePut = operations();
  await client.put("/f", content(4096));
  t.is(operations() - beforePut, 1);
  const beforeGet = operations();
  await (await client.get("/f")).bytes();
  t.is(operations() - beforeGet, 1);
  t.is(reads(), 1);
});

test("operations of one turn share a message", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await client.put("/f", "x");
  const batches = cluster.masters[0]?.batches as number[];
  const before = batches.length;
  await Promise.all(Array.from({ length: 64 }, () => client.stat("/f")));
  // Messages without operations only ask whether the master still lives.
  t.deepEqual(
    batches.slice(before).filter((count) => 0 < count),
    [64],
  );
});

test("saveTo makes the whole file appear at once and leaves nothing else", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const folder = await temporaryFolder(t);
  const bytes = content(3 * MiB + 11);
  await client.put("/f", bytes);
  await writeFile(join(folder, "f"), "old");
  await (await client.get("/f")).saveTo(join(folder, "f"));
  sameBytes(t, await readFile(join(folder, "f")), bytes, "saved");
  await mkdir(join(folder, "d"));
  const reading = await client.get("/f");
  const error = await t.throwsAsync(() => reading.saveTo(join(folder, "d")));
  t.true(LumeoError.is(error, "LUMEO_IS_DIRECTORY"));
  const nowhere = await client.get("/f");
  const missing = await t.throwsAsync(() => nowhere.saveTo(join(folder, "no", "f")));
  t.true(LumeoError.is(missing, "LUMEO_NOT_FOUND"));
  t.deepEqual((await readdir(folder)).sort(), ["d", "f"]);
});

test("a file that cannot be read to its end leaves no unfinished local file", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client({ retry: false });
  const folder = await temporaryFolder(t);
  await client.put("/f", content(9 * MiB), { chunkSize: 1 * MiB });
  const [first, , , , , , , , last] = (await client.stat("/f", { chunks: true })).chunks ?? [];
  for (const server of cluster.servers.values()) server.chunks.delete(last?.handle ?? 0);
  t.not(first, undefined);
  const reading = await client.get("/f");
  const error = await t.throwsAsync(() => reading.saveTo(join(folder, "f")));
  t.true(LumeoError.is(error, "LUMEO_DATA_LOSS"));
  t.deepEqual(await readdir(folder), []);
});

test("list gives entries in order, by page or all, flat or with everything below", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  for (const path of ["/d", "/d/e", "/z"]) await client.mkdir(path);
  for (const path of ["/a", "/d/1", "/d/2", "/d/e/3", "/e"]) await client.put(path, path);
  const names = async (listing: AsyncIterable<{ path: string }>) => {
    const all: string[] = [];
    for await (const { path } of listing) all.push(path);
    return all;
  };
  t.deepEqual(await names(client.list("/")), ["/a", "/d", "/e", "/z"]);
  const whole = ["/a", "/d", "/d/1", "/d/2", "/d/e", "/d/e/3", "/e", "/z"];
  t.deepEqual(await names(client.list("/", { recursive: true })), whole);
  t.deepEqual(
    (await client.list("/d").toArray({ limit: 2 })).map(({ path }) => path),
    ["/d/1", "/d/2"],
  );
  for (const size of [1, 2, 3, 8, 9]) {
    const paged: string[] = [];
    for (let after: string | undefined = ""; after !== undefined; ) {
      const pages = client.list("/", { recursive: true }).pages({ size, after });
      const page: IteratorResult<{ items: readonly { path: string }[]; cursor?: string }> =
        await pages[Symbol.asyncIterator]().next();
      t.true(page.value.items.length <= size);
      paged.push(...page.value.items.map(({ path }: { path: string }) => path));
      after = page.value.cursor;
    }
    t.deepEqual(paged, whole, `pages of ${size}`);
  }
  const error = await t.throwsAsync(() => client.list("/none").toArray());
  t.true(LumeoError.is(error, "LUMEO_NOT_FOUND"));
});

test("stat shows where every chunk is", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const bytes = content(3 * MiB);
  await client.put("/f", bytes, { chunkSize: 2 * MiB });
  const { chunks, size, etag } = await client.stat("/f", { chunks: true });
  t.is(size, bytes.length);
  t.regex(etag, /^[0-9a-f]+-[0-9a-f]{8}$/);
  t.deepEqual(
    chunks?.map(({ length }) => length),
    [2 * MiB, 1 * MiB],
  );
  const last = chunks?.[1];
  t.is(
    last?.crc32c,
    nativeCrc32c(bytes.subarray(2 * MiB))
      .toString(16)
      .padStart(8, "0"),
  );
  t.deepEqual(
    last?.replicas.map(({ role }) => role),
    ["primary", "secondary", "secondary"],
  );
  t.true(
    last?.replicas.every(
      ({ id, state, damaged }) => /^cs\d$/.test(id) && state === "alive" && !damaged,
    ),
  );
  t.is((await client.stat("/f")).chunks, undefined);
});

test("a file of more chunks than one message holds is recorded while it is written", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const bytes = content(600 * 64 * KiB + 1);
  const put = await client.put("/long", Readable.from([bytes]), { chunkSize: 64 * KiB });
  t.is(put.chunks, 601);
  t.is(cluster.namespace.countOf("addChunks"), 2);
  sameBytes(t, await collect(await client.get("/long")), bytes, "long");
  t.is((await client.stat("/long", { chunks: true })).chunks?.length, 601);
});

test("preconditions protect what is there", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const { etag } = await client.put("/f", "1", { ifNoneMatch: "*" });
  const exists = await t.throwsAsync(() => client.put("/f", "2", { ifNoneMatch: "*" }));
  t.true(LumeoError.is(exists, "LUMEO_EXISTS"));
  await client.put("/f", "3", { ifMatch: etag });
  const changed = await t.throwsAsync(() => client.put("/f", "4", { ifMatch: etag }));
  t.true(LumeoError.is(changed, "LUMEO_PRECONDITION"));
  const kept = await t.throwsAsync(() => client.remove("/f", { ifMatch: etag }));
  t.true(LumeoError.is(kept, "LUMEO_PRECONDITION"));
  t.is(await (await client.get("/f")).text(), "3");
  const wrong = await t.throwsAsync(() => client.put("/f", "5", { ifMatch: "x" }));
  t.true(LumeoError.is(wrong, "LUMEO_INVALID_ARGUMENT"));
});

test("rename, remove, exists and removeMany", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  await client.put("/a", "1");
  await client.rename("/a", "/b");
  t.false(await client.exists("/a"));
  t.true(await client.exists("/b"));
  await client.put("/c", "2");
  const results: string[] = [];
  for await (const { path, error } of client.removeMany(["/b", "/none", "/c"])) {
    results.push(`${path} ${error?.code ?? "gone"}`);
  }
  t.deepEqual(results, ["/b gone", "/none LUMEO_NOT_FOUND", "/c gone"]);
});

test("clusterStatus is the leader's, whoever is asked first", async (t) => {
  await using cluster = await FakeCluster.start({ masters: 3 });
  cluster.leader = cluster.masters[2];
  const status = await cluster.client().clusterStatus();
  t.is(status.leader, "m3");
  t.is(status.term, 3);
  t.deepEqual(
    status.chunkservers.map(({ id }) => id),
    ["cs1", "cs2", "cs3", "cs4"],
  );
});

test("progress and events tell what happens", async (t) => {
  await using cluster = await FakeCluster.start();
  const client = cluster.client();
  const requests: string[] = [];
  const leaders: string[] = [];
  client.on("request", ({ method, code, bytes }) => requests.push(`${method} ${code} ${bytes}`));
  const off = client.on("leader", ({ to }) => leaders.push(to));
  const seen: number[] = [];
  const bytes = content(3 * MiB);
  await client.put("/f", bytes, {
    onProgress: ({ loaded, total }) => {
      t.is(total, bytes.length);
      seen.push(loaded);
    },
  });
  t.is(seen.at(-1), bytes.length);
  t.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  await (await client.get("/f")).bytes();
  off();
  t.deepEqual(leaders, [cluster.masters[0]?.address]);
  t.deepEqual(requests, ["put OK 3145728", "get OK 0", "get OK 3145728"]);
});
