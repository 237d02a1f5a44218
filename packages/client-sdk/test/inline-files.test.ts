// Small files that go with their commit and are kept by the masters, against a fake cluster.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { KiB } from "@lumeofs/base";
import test from "ava";
import type { Body, PutOptions, VerifiedChunk } from "../src/index.js";
import { content, inSharedPieces, sameBytes, temporaryFolder } from "./fake/bytes.js";
import { FakeCluster, type FakeClusterOptions } from "./fake/cluster.js";

const LIMIT = 4_096;

async function start(options: FakeClusterOptions = {}): Promise<FakeCluster> {
  const cluster = await FakeCluster.start(options);
  cluster.namespace.inlineBytesMax = LIMIT;
  return cluster;
}

async function layouts(cluster: FakeCluster, path: string): Promise<readonly string[]> {
  const { chunks = [] } = await cluster.client().stat(path, { chunks: true });
  return chunks.map(({ layout }) => layout);
}

test("files up to the limit go with their commit, larger and empty ones do not", async (t) => {
  await using cluster = await start({ chunkservers: 3 });
  const client = cluster.client();
  for (const [size, isInline] of [
    [1, true],
    [LIMIT, true],
    [LIMIT + 1, false],
    [0, false],
  ] as const) {
    const before = cluster.namespace.countOf("allocate");
    const bytes = content(size);
    const put = await client.put(`/f${size}`, bytes, { inline: true });
    t.is(put.size, size);
    t.is(put.chunks, size === 0 ? 0 : 1);
    if (isInline) {
      t.is(cluster.namespace.countOf("allocate"), before, `${size}`);
      t.deepEqual(await layouts(cluster, `/f${size}`), ["inline"]);
    }
    sameBytes(t, await (await client.get(`/f${size}`)).bytes(), bytes, `${size}`);
  }
  t.deepEqual(await layouts(cluster, `/f${LIMIT + 1}`), ["replicated"]);
});

test("a small body of any kind goes with its commit, and arrives whole", async (t) => {
  await using cluster = await start({ chunkservers: 0 });
  const client = cluster.client();
  const file = join(await temporaryFolder(t), "body");
  const text = "smile 🙂 ".repeat(200);
  await writeFile(file, text);
  const bytes = Buffer.from(text);
  const bodies: Record<string, Body> = {
    string: text,
    bytes,
    blob: new Blob([bytes]),
    stream: new Blob([bytes]).stream(),
    iterable: inSharedPieces(bytes, 100),
    file: { file },
  };
  for (const [name, body] of Object.entries(bodies)) {
    const loaded: number[] = [];
    await client.put(`/${name}`, body, { onProgress: (seen) => loaded.push(seen.loaded) });
    t.deepEqual(loaded, [bytes.byteLength], name);
    t.is(await (await client.get(`/${name}`)).text(), text, name);
  }
});

test("any range of an inline file can be read, in every form", async (t) => {
  await using cluster = await start({ chunkservers: 0 });
  const client = cluster.client();
  const bytes = content(3_000);
  await client.put("/f", bytes);
  for (const [from, end] of [
    [0, 3_000],
    [0, 1],
    [1_000, 2_000],
    [2_999, 3_000],
    [3_000, 3_000],
    [5, 9_000],
  ] as const) {
    const range = { start: from, end };
    const reading = await client.get("/f", { range });
    sameBytes(t, await reading.bytes(), bytes.subarray(from, end), `${from}-${end}`);
  }
  const pieces: Uint8Array[] = [];
  for await (const piece of await client.get("/f")) pieces.push(piece);
  sameBytes(t, Buffer.concat(pieces), bytes, "iterated");
});

test("what the caller gets is the caller's: changing it changes no other reading", async (t) => {
  await using cluster = await start({ chunkservers: 0 });
  const client = cluster.client();
  await client.put("/f", "unchanged");
  const [first, second] = await Promise.all([client.get("/f"), client.get("/f")]);
  (await first.bytes()).fill(0);
  t.is(await second.text(), "unchanged");
});

test("a file that is to be coded, is in pieces of its own or is not to be inline is not", async (t) => {
  await using cluster = await start({ chunkservers: 6 });
  const client = cluster.client();
  const wishes: readonly (readonly [PutOptions, string])[] = [
    [{ code: "4+2" }, "4+2"],
    [{ inline: false }, "replicated"],
    [{ code: "auto" }, "inline"],
    [{ code: "none" }, "inline"],
    [{ redundancy: { replicas: 2 } }, "inline"],
  ];
  for (const [i, [options, layout]] of wishes.entries()) {
    await client.put(`/${i}`, "small", options);
    t.deepEqual(await layouts(cluster, `/${i}`), [layout], JSON.stringify(options));
  }
});

test("what the masters do not take goes to chunkservers, and others are not offered", async (t) => {
  await using cluster = await start({ chunkservers: 3 });
  const client = cluster.client();
  cluster.namespace.refusesInline = true;
  let offered = 0;
  cluster.fate = ({ commit }) => {
    if (commit?.inlineBytes?.byteLength) offered++;
    return "normal";
  };
  for (const size of [1_000, 1_000, 4_000]) {
    await client.put(`/f${size}`, content(size));
    t.deepEqual(await layouts(cluster, `/f${size}`), ["replicated"]);
  }
  t.is(offered, 1);
  await client.put("/smaller", content(999));
  t.is(offered, 2, "a smaller one may be taken");
  await client.put("/fewer", content(999), { redundancy: { replicas: 2 } });
  t.is(offered, 3, "with fewer copies, too");
});

test("masters that take none are not asked", async (t) => {
  await using cluster = await start({ chunkservers: 3 });
  cluster.namespace.inlineBytesMax = 0;
  await cluster.client().put("/f", "small");
  t.deepEqual(await layouts(cluster, "/f"), ["replicated"]);
});

test("a commit whose answer is lost takes effect once", async (t) => {
  await using cluster = await start({ chunkservers: 0 });
  const client = cluster.client();
  cluster.once("commit", "lose answer");
  await client.put("/f", "once", { ifNoneMatch: "*" });
  t.is(cluster.namespace.countOf("commit"), 1);
  t.is(await (await client.get("/f")).text(), "once");
});

test("a master that takes the file for an empty one is found out", async (t) => {
  await using cluster = await start({ chunkservers: 0 });
  cluster.fate = (operation) => {
    if (operation.commit) operation.commit.inlineBytes = null; // as one that does not know it
    return "normal";
  };
  const error = await t.throwsAsync(cluster.client().put("/f", "small"));
  t.regex(error?.message ?? "", /the masters have kept 0 bytes of 5/);
});

test("a body of another size than the caller said is refused", async (t) => {
  await using cluster = await start({ chunkservers: 0 });
  async function* five() {
    yield "12345";
  }
  await t.throwsAsync(cluster.client().put("/f", five(), { size: 6 }), {
    code: "LUMEO_INVALID_ARGUMENT",
  });
  t.is(cluster.namespace.countOf("commit"), 0);
});

test("many small files share messages, each of a bounded size", async (t) => {
  await using cluster = await start({ chunkservers: 0 });
  const client = cluster.client();
  await client.put("/first", "opens the session");
  const bytes = content(LIMIT);
  await Promise.all(Array.from({ length: 600 }, (_, i) => client.put(`/f${i}`, bytes)));
  const batches = cluster.masters[0]?.batches ?? [];
  t.true(Math.max(...batches) <= 256);
  t.true(batches.length < 100, `${batches.length} messages`);
});

test("bytes that a master has lost come from another one, or are said to be lost", async (t) => {
  await using cluster = await start({ masters: 3, chunkservers: 0 });
  const client = cluster.client();
  await client.put("/f", "precious");
  const [leader, ...others] = cluster.masters;
  if (leader === undefined) return t.fail();
  leader.keptBytes = new TextEncoder().encode("prexious");
  for (const one of others) one.follows = leader;
  t.is(await (await client.get("/f")).text(), "precious");
  for (const one of others) one.keptBytes = new Uint8Array(3);
  const error = await t.throwsAsync(
    client.get("/f").then((reading) => reading.text()),
    {
      code: "LUMEO_DATA_LOSS",
    },
  );
  t.regex(error?.message ?? "", /which keep it: the checksum of its bytes is/);
});

test("no single chunkserver can be asked for an inline file", async (t) => {
  await using cluster = await start({ chunkservers: 3 });
  const client = cluster.client();
  await client.put("/f", "small");
  const error = await t.throwsAsync(
    client.get("/f", { onlyReplica: "cs1" }).then((reading) => reading.bytes()),
    { code: "LUMEO_INVALID_ARGUMENT" },
  );
  t.regex(error?.message ?? "", /the masters keep it themselves/);
});

test("verify reads the bytes from every master, and says which has others", async (t) => {
  await using cluster = await start({ masters: 3, chunkservers: 0 });
  const client = cluster.client();
  await client.put("/f", "precious");
  const [leader, second, third] = cluster.masters;
  if (leader === undefined || second === undefined || third === undefined) return t.fail();
  second.follows = leader;
  third.follows = leader;
  const verify = async (by = client): Promise<VerifiedChunk | undefined> => {
    const all: VerifiedChunk[] = [];
    for await (const one of by.audits.verify("/f")) all.push(one);
    return all[0];
  };
  const intact = await verify();
  t.like(intact, { length: 8, isInline: true, isGrowing: false });
  t.deepEqual(
    intact?.replicas.map(({ server, finding }) => `${server} ${finding}`),
    ["m1 intact", "m2 intact", "m3 intact"],
  );
  third.keptBytes = new TextEncoder().encode("precioux");
  await second.stop();
  const found = await verify(cluster.client({ timeoutMs: 2_000 }));
  t.deepEqual(
    found?.replicas.map(({ server, finding }) => `${server} ${finding}`),
    ["m1 intact", "m2 unknown", "m3 bad"],
  );
});

test("an inline file is edited like any other: what changes goes to chunkservers", async (t) => {
  await using cluster = await start({ chunkservers: 3 });
  const client = cluster.client();
  const bytes = content(2_000);
  await client.put("/f", bytes);
  const file = await client.open("/f", "r+");
  sameBytes(t, await file.read(100, 50), bytes.subarray(100, 150), "read");
  await file.write(Buffer.from("hello"), 1_000);
  await file.truncate(6 * KiB);
  await file.close();
  const expected = Buffer.alloc(6 * KiB);
  expected.set(bytes);
  expected.write("hello", 1_000);
  const read = await client.open("/f", "r");
  sameBytes(t, await read.read(0, 6 * KiB), expected, "edited");
});
