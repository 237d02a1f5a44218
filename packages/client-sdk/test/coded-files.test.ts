// Files that are kept as units of a code: what lies where, what is read when units are missing,
// slow or damaged, and what a put makes of servers that fail. One after the other: twenty clusters
// at once in one process leave none of them time to answer.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  type Code,
  cellLength,
  LumeoError as InternalError,
  KiB,
  MiB,
  stripeCount,
  stripeOf,
  unitLength,
} from "@lumeofs/base";
import { ErasureCodec } from "@lumeofs/erasure";
import test from "ava";
import { DataLossError, type Lumeo, LumeoError } from "../src/index.js";
import { type Ports, systemPorts } from "../src/ports.js";
import { collect, content, sameBytes, temporaryFolder, until } from "./fake/bytes.js";
import type { FakeChunkserver } from "./fake/chunkserver.js";
import { FakeCluster } from "./fake/cluster.js";

const CODE: Code = { data: 4, parity: 2, cellBytes: 64 * KiB };
const SMALL_CELLS = "4+2/64KiB";
const STRIPE = 256 * KiB;
const PAIRS = [1, 2, 3, 4, 5, 6].flatMap((a) =>
  [1, 2, 3, 4, 5, 6].filter((b) => a < b).map((b) => [a, b] as const),
);

function* pieces(bytes: Buffer, length = 50_000): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

function start(chunkservers = 6): Promise<FakeCluster> {
  return FakeCluster.start({ chunkservers });
}

interface Located {
  readonly handle: number;
  /** The server of each unit. */
  readonly servers: readonly FakeChunkserver[];
}

async function locate(cluster: FakeCluster, client: Lumeo, path: string): Promise<Located[]> {
  const { chunks = [] } = await client.stat(path, { chunks: true });
  return chunks.map(({ handle, replicas }) => ({
    handle,
    servers: replicas.map(({ id }) => cluster.server(Number(id.slice(2)))),
  }));
}

/** As if nobody were at a server, until the returned function is called. */
function unplug(server: FakeChunkserver): () => void {
  const refuse = () => {
    throw new InternalError("CONNECTION_LOST", `${server.name} is unplugged`);
  };
  server.faults = { read: refuse, write: refuse };
  return () => {
    server.faults = {};
  };
}

/** The units that a chunk should have, coded cell by cell. */
function unitsOf(bytes: Buffer): Buffer[] {
  const codec = new ErasureCodec({ dataCells: 4, parityCells: 2 });
  const units: Buffer[][] = [[], [], [], [], [], []];
  for (let number = 0; number < stripeCount(CODE, bytes.length); number++) {
    const stripe = stripeOf(CODE, bytes.length, number);
    const whole = cellLength(CODE, stripe, 0);
    const cells = units.map(() => Buffer.alloc(whole));
    for (let unit = 0; unit < 4; unit++) {
      const begin = stripe.offset + unit * stripe.cellBytes;
      cells[unit]?.set(bytes.subarray(begin, begin + cellLength(CODE, stripe, unit)));
    }
    codec.encode(cells.slice(0, 4), cells.slice(4));
    for (const [unit, cell] of cells.entries()) {
      units[unit]?.push(cell.subarray(0, cellLength(CODE, stripe, unit)));
    }
  }
  return units.map((cells) => Buffer.concat(cells));
}

const SIZES = [
  1,
  63,
  64,
  257,
  5 * KiB,
  STRIPE - 1,
  STRIPE,
  STRIPE + 1,
  3 * STRIPE,
  3 * STRIPE + 70_000,
  5 * STRIPE + 200_001,
];

for (const kind of ["memory", "stream", "file"] as const) {
  test.serial(
    `units from ${kind} lie where the layout says, and the file is read back`,
    async (t) => {
      await using cluster = await start();
      const client = cluster.client();
      const folder = await temporaryFolder(t);
      for (const size of SIZES) {
        const bytes = content(size, size);
        const file = join(folder, String(size));
        if (kind === "file") await writeFile(file, bytes);
        const body = { memory: bytes, stream: pieces(bytes), file: { file } }[kind];
        const path = `/f${size}`;
        await client.put(path, body, { code: SMALL_CELLS });
        const [chunk] = await locate(cluster, client, path);
        for (const [unit, expected] of unitsOf(bytes).entries()) {
          const { handle = 0, servers = [] } = chunk ?? {};
          const stored = servers[unit]?.chunks.get(handle);
          t.is(expected.length, unitLength(CODE, size, unit));
          if (expected.length === 0) t.is(stored, undefined, `${size}: unit ${unit} is empty`);
          else {
            sameBytes(t, stored?.bytes ?? new Uint8Array(), expected, `${size}: unit ${unit}`);
            t.is(stored?.author, servers[0]?.id, "the clock names the holder of unit 0");
          }
        }
        sameBytes(t, await collect(await client.get(path)), bytes, `${size} bytes`);
      }
      t.deepEqual(cluster.namespace.damage, []);
    },
  );
}

test.serial("files of several chunks, with the usual cells, are written and read", async (t) => {
  await using cluster = await start();
  const client = cluster.client();
  const bytes = content(13 * MiB + 12_345);
  const put = await client.put("/f", pieces(bytes, 777_777), { code: "4+2", chunkSize: 5 * MiB });
  t.is(put.chunks, 3);
  sameBytes(t, await collect(await client.get("/f")), bytes, "all");
  const info = cluster.namespace.files.get("/f");
  t.like(info?.code, { data: 4, parity: 2, cellBytes: MiB });
});

test.serial(
  "ranges are read, and only the blocks of the cells that they touch are fetched",
  async (t) => {
    await using cluster = await start();
    const client = cluster.client({ hedge: false });
    const bytes = content(3 * STRIPE + 70_001);
    await client.put("/f", bytes, { code: SMALL_CELLS });
    const sent = (): number => {
      return [...cluster.servers.values()].reduce((sum, { sentBytes }) => sum + sentBytes, 0);
    };
    const ranges: readonly (readonly [number, number, number])[] = [
      [0, 1, 1],
      [64 * KiB - 1, 64 * KiB + 1, 2],
      [STRIPE - 10, STRIPE + 10, 2],
      [100, 3 * STRIPE - 100, 12],
      [3 * STRIPE, 3 * STRIPE + 10, 1],
    ];
    for (const [begin, end, blocks] of ranges) {
      const before = sent();
      const got = await collect(await client.get("/f", { range: { start: begin, end } }));
      sameBytes(t, got, bytes.subarray(begin, end), `${begin}–${end}`);
      t.true(sent() - before <= blocks * 64 * KiB, `${begin}–${end}: ${sent() - before} bytes`);
    }
    const tail = await collect(await client.get("/f", { range: { start: 3 * STRIPE } }));
    sameBytes(t, tail, bytes.subarray(3 * STRIPE), "the short stripe");
  },
);

test.serial("a healthy reading asks no parity unit", async (t) => {
  await using cluster = await start();
  const client = cluster.client({ hedge: false });
  const bytes = content(4 * STRIPE + 1_000);
  await client.put("/f", bytes, { code: SMALL_CELLS });
  const [chunk] = await locate(cluster, client, "/f");
  sameBytes(t, await collect(await client.get("/f")), bytes, "all");
  const reads = chunk?.servers.map(({ requests }) => requests.read) ?? [];
  t.true(reads.slice(0, 4).every((count) => 0 < count));
  t.deepEqual(reads.slice(4), [0, 0]);
});

test.serial(
  "any two of six servers may be lost: all 15 pairs, whole files and ranges",
  async (t) => {
    await using cluster = await start();
    const files = [1, 5_000, STRIPE + 1, 3 * STRIPE + 70_001].map((size) => content(size, size));
    const writer = cluster.client();
    for (const [n, bytes] of files.entries()) {
      await writer.put(`/f${n}`, bytes, { code: SMALL_CELLS });
    }
    for (const pair of PAIRS) {
      const plugs = pair.map((id) => unplug(cluster.server(id)));
      const client = cluster.client();
      for (const [n, bytes] of files.entries()) {
        sameBytes(t, await collect(await client.get(`/f${n}`)), bytes, `${pair} lost, file ${n}`);
      }
      const [, , , large = Buffer.of()] = files;
      const range = { start: 100_000, end: 100_000 + 2 * STRIPE };
      const got = await collect(await client.get("/f3", { range }));
      sameBytes(t, got, large.subarray(range.start, range.end), `${pair} lost, range`);
      for (const plugIn of plugs) plugIn();
      await client.close();
    }
  },
);

test.serial("servers that the masters take for dead are not even asked", async (t) => {
  await using cluster = await start();
  const bytes = content(3 * STRIPE + 70_001);
  const client = cluster.client({ hedge: false });
  await client.put("/f", bytes, { code: SMALL_CELLS });
  for (const id of [1, 4]) cluster.namespace.dead.add(id);
  sameBytes(t, await collect(await client.get("/f")), bytes, "all");
  t.deepEqual([cluster.server(1).requests.read, cluster.server(4).requests.read], [0, 0]);
  const read = [...cluster.servers.values()].reduce((sum, { sentBytes }) => sum + sentBytes, 0);
  t.true(read <= bytes.length + 4 * 64, `${read} bytes were fetched for ${bytes.length}`);
});

test.serial(
  "three lost servers are an error that names the stripe and the units; one back, and it reads",
  async (t) => {
    await using cluster = await start();
    const bytes = content(2 * STRIPE + 5_000);
    const client = cluster.client();
    const hasty = cluster.client({ retry: { maxAttempts: 2, baseDelayMs: 1 } });
    await client.put("/dir", bytes, { code: SMALL_CELLS });
    const [chunk] = await locate(cluster, client, "/dir");
    const plugs = [0, 2, 5].map((unit) => unplug(chunk?.servers[unit] as FakeChunkserver));
    const reading = await hasty.get("/dir");
    const error = await t.throwsAsync(() => reading.bytes());
    t.true(LumeoError.is(error, "LUMEO_UNAVAILABLE"));
    const { message = "" } = error ?? {};
    t.regex(message, new RegExp(`stripe \\d of chunk ${chunk?.handle} \\(number 0 of "/dir"\\)`));
    t.regex(message, /3 of its 6 units are missing, at most 2 may be/);
    for (const unit of [0, 2, 5]) {
      t.true(message.includes(`unit ${unit} on "${chunk?.servers[unit]?.name}"`), message);
    }
    plugs[1]?.();
    sameBytes(t, await collect(await client.get("/dir")), bytes, "with one server back");
  },
);

test.serial("damaged, missing and other units are rebuilt and reported", async (t) => {
  await using cluster = await start();
  const bytes = content(3 * STRIPE + 70_001);
  const client = cluster.client({ hedge: false });
  await client.put("/f", bytes, { code: SMALL_CELLS });
  await client.put("/other", content(bytes.length, 3), { code: SMALL_CELLS });
  const [chunk, other] = [
    (await locate(cluster, client, "/f"))[0] as Located,
    (await locate(cluster, client, "/other"))[0] as Located,
  ];
  const [first, , third] = chunk.servers as [FakeChunkserver, FakeChunkserver, FakeChunkserver];
  first.damage(chunk.handle, 70_000);
  const wrong = other.servers.find(({ id }) => id === third.id)?.chunks.get(other.handle);
  third.chunks.set(chunk.handle, wrong as NonNullable<typeof wrong>);
  sameBytes(t, await collect(await client.get("/f")), bytes, "two units are bad");
  await until(() => 2 <= cluster.namespace.damage.length);
  const reported = new Set<number>(cluster.namespace.damage.map(({ serverId }) => serverId));
  t.is(reported.size, 2);
  t.true(reported.has(first.id) && reported.has(third.id));
  third.chunks.delete(chunk.handle);
  sameBytes(t, await collect(await client.get("/f")), bytes, "one is missing");
});

test.serial(
  "more bad units than the code has parity are DATA_LOSS, and nothing wrong is given out",
  async (t) => {
    await using cluster = await start();
    const bytes = content(3 * STRIPE);
    const client = cluster.client();
    await client.put("/f", bytes, { code: SMALL_CELLS });
    const [chunk] = (await locate(cluster, client, "/f")) as [Located];
    for (const unit of [0, 3, 4]) chunk.servers[unit]?.damage(chunk.handle, 64 * KiB + unit);
    const error = await t.throwsAsync(async () => (await client.get("/f")).bytes());
    t.true(error instanceof DataLossError);
    t.regex(error?.message ?? "", /stripe 1 of chunk \d+ .*unit 0 on .*unit 3 on .*unit 4 on/);
    const range = { start: 2 * STRIPE };
    const good = await collect(await client.get("/f", { range }));
    sameBytes(t, good, bytes.subarray(2 * STRIPE), "the stripe that is whole");
  },
);

test.serial(
  "a server that falls silent is not waited for, and its requests are cancelled",
  async (t) => {
    await using cluster = await start();
    const client = cluster.client({ timeoutMs: 600_000, retry: false });
    const bytes = content(8 * STRIPE + 9);
    await client.put("/f", bytes, { code: SMALL_CELLS });
    const [chunk] = (await locate(cluster, client, "/f")) as [Located];
    let thaw = (): void => {};
    const thawed = new Promise<void>((resolve) => {
      thaw = resolve;
    });
    const frozen = [chunk.servers[1], chunk.servers[2]] as [FakeChunkserver, FakeChunkserver];
    for (const server of frozen) server.faults = { read: () => thawed };
    sameBytes(t, await collect(await client.get("/f")), bytes, "two are frozen");
    t.true(frozen.every(({ requests }) => 0 < requests.read));
    thaw();
    await until(() => frozen.every(({ openRequests }) => openRequests === 0));
  },
);

test.serial("a server that dies in the middle of a reading costs no byte", async (t) => {
  await using cluster = await start();
  const client = cluster.client({ timeoutMs: 600_000, retry: false });
  const bytes = content(16 * STRIPE);
  await client.put("/f", bytes, { code: SMALL_CELLS });
  const got: Uint8Array[] = [];
  for await (const piece of await client.get("/f")) {
    if (got.length === 0) await Promise.all([cluster.server(2).stop(), cluster.server(5).stop()]);
    got.push(piece);
  }
  sameBytes(t, Buffer.concat(got), bytes, "all");
});

for (const kind of ["memory", "stream"] as const) {
  test.serial(`a put from ${kind} survives the death of two servers in the middle`, async (t) => {
    await using cluster = await start(8);
    const client = cluster.client();
    const bytes = content(17 * STRIPE + 5);
    const victims = [cluster.server(2), cluster.server(3)];
    for (const victim of victims) {
      victim.faults = {
        write: (_, so) => {
          if (so < 3 * 64 * KiB) return;
          void victim.stop();
          throw new InternalError("STORE_FAILED", "killed");
        },
      };
    }
    const body = kind === "memory" ? bytes : pieces(bytes);
    await client.put("/f", body, { code: SMALL_CELLS, chunkSize: 2 * MiB });
    for (const { servers } of await locate(cluster, client, "/f")) {
      t.is(servers.length, 6);
      t.false(servers.some((server) => victims.includes(server)));
    }
    sameBytes(t, await collect(await client.get("/f")), bytes, kind);
  });
}

test.serial(
  "small coded files go elsewhere when a server is full, and it alone is avoided",
  async (t) => {
    await using cluster = await start(8);
    const client = cluster.client();
    cluster.server(4).faults = {
      write: () => {
        throw new InternalError("NO_SPACE", "Cannot write: the volume is full");
      },
    };
    for (let i = 0; i < 10; i++) await client.put(`/f${i}`, content(5_000, i), { code: "4+2" });
    const used = new Set<string>();
    for (let i = 0; i < 10; i++) {
      const [chunk] = await locate(cluster, client, `/f${i}`);
      for (const { name } of chunk?.servers ?? []) used.add(name);
      sameBytes(t, await collect(await client.get(`/f${i}`)), content(5_000, i), `${i}`);
    }
    t.false(used.has("cs4"));
    t.is(used.size, 7);
  },
);

test.serial("more files at once than a server has connections for are all stored", async (t) => {
  await using cluster = await start();
  const client = cluster.client();
  const bytes = content(STRIPE + 1);
  const paths = Array.from({ length: 60 }, (_, n) => `/f${n}`);
  await Promise.all(paths.map((path) => client.put(path, bytes, { code: SMALL_CELLS })));
  for (const path of paths.filter((_, n) => n % 20 === 0)) {
    sameBytes(t, await collect(await client.get(path)), bytes, path);
  }
});

test.serial(
  "servers that fail together are blamed together: the chunk is sent once more",
  async (t) => {
    await using cluster = await start(8);
    const client = cluster.client();
    const retries: number[] = [];
    client.on("retry", ({ attempt }) => retries.push(attempt));
    for (const id of [3, 4]) await cluster.server(id).stop();
    for (const size of [5_000, 3 * STRIPE]) {
      await client.put(`/f${size}`, content(size), { code: SMALL_CELLS });
      sameBytes(t, await collect(await client.get(`/f${size}`)), content(size), `${size}`);
    }
    t.deepEqual(retries, [1]);
  },
);

test.serial(
  "a source that pauses gives its connections back, and the chunk is stored whole",
  async (t) => {
    await using cluster = await start();
    const system = systemPorts();
    const timers: Ports["timers"] = {
      after: (ms, wake) => system.timers.after(ms === 10_000 ? 1 : ms, wake),
      every: (ms, wake) => system.timers.every(ms, wake),
    };
    const client = cluster.client({ timeoutMs: 20_000 }, { ...system, timers });
    const bytes = content(5 * MiB);
    const opened = () => [...cluster.servers.values()].map(({ requests }) => requests.writeOpen);
    async function* slow() {
      yield bytes.subarray(0, 3 * MiB);
      await until(() => {
        const areIdle = [...cluster.servers.values()].every((one) => one.openRequests === 0);
        return areIdle && opened().every((count) => count === 1);
      });
      yield bytes.subarray(3 * MiB);
    }
    await client.put("/f", slow(), { code: SMALL_CELLS });
    t.deepEqual(opened(), [2, 2, 2, 2, 2, 2]);
    sameBytes(t, await collect(await client.get("/f")), bytes, "all");
  },
);

test.serial(
  "auto keeps small files as copies and codes the others, also streams of unknown size",
  async (t) => {
    await using cluster = await start();
    const client = cluster.client();
    const sizes = { "/a": MiB - 1, "/b": MiB, "/c": 3 * MiB + 7 };
    for (const [path, size] of Object.entries(sizes)) {
      const bytes = content(size, size);
      for (const [kind, body] of [["memory", bytes] as const, ["stream", pieces(bytes)] as const]) {
        await client.put(`${path}-${kind}`, body, { code: "auto", chunkSize: 2 * MiB });
        const isCoded = cluster.namespace.files.get(`${path}-${kind}`)?.code !== null;
        t.is(isCoded, MiB <= size, `${path} from ${kind}`);
        const [chunk] = await locate(cluster, client, `${path}-${kind}`);
        t.is(chunk?.servers.length, isCoded ? 6 : 3);
        sameBytes(t, await collect(await client.get(`${path}-${kind}`)), bytes, path);
      }
    }
  },
);

test.serial("what the caller says comes before what the directory says", async (t) => {
  await using cluster = await start();
  const client = cluster.client();
  const code = { data: 2, parity: 1, cellBytes: 64 * KiB };
  cluster.namespace.policy = { code: { mode: 2, code } };
  await client.put("/by-policy", "abc");
  await client.put("/coded", "abc", { code: "4+2" });
  await client.put("/none", "abc", { code: "none" });
  await client.put("/two", "abc", { redundancy: { replicas: 2 } });
  const servers = async (path: string) => (await locate(cluster, client, path))[0]?.servers.length;
  t.is(await servers("/by-policy"), 3);
  t.like(cluster.namespace.files.get("/by-policy")?.code, code);
  t.is(await servers("/coded"), 6);
  t.is(await servers("/none"), 3);
  t.is(cluster.namespace.files.get("/none")?.code, null);
  t.is(await servers("/two"), 2);
  const wrong = client.put("/wrong", "abc", { code: "4-2" });
  await t.throwsAsync(() => wrong, { code: "LUMEO_INVALID_ARGUMENT", message: /"4-2"/ });
});

test.serial(
  "too few servers are an error that says so, or copies where that is wanted",
  async (t) => {
    await using cluster = await start(5);
    const hasty = cluster.client({ retry: { maxAttempts: 2, baseDelayMs: 1 } });
    const refused = hasty.put("/f", "abc", { code: "4+2" });
    await t.throwsAsync(() => refused, { message: /5 of 5 chunkservers are alive/ });
    const client = cluster.client();
    const bytes = content(5 * MiB);
    const options = { code: "4+2", codeFallback: "replicate" as const };
    await client.put("/f", bytes, options);
    const [chunk] = await locate(cluster, client, "/f");
    t.is(chunk?.servers.length, 3);
    t.not(cluster.namespace.files.get("/f")?.code, null, "what the file is meant to be");
    sameBytes(t, await collect(await client.get("/f")), bytes, "copies");
  },
);

test.serial(
  "a chunk that is converted while its file is read is read on in its new form",
  async (t) => {
    await using cluster = await start();
    const client = cluster.client();
    const bytes = content(4 * MiB);
    await client.put("/f", bytes, { chunkSize: MiB });
    await client.put("/coded", bytes, { code: SMALL_CELLS, chunkSize: MiB });
    const reading = await client.get("/f");
    const [copies, coded] = [
      cluster.namespace.files.get("/f"),
      cluster.namespace.files.get("/coded"),
    ];
    if (copies === undefined || coded === undefined) throw new Error("no such file");
    cluster.namespace.files.set("/f", { ...copies, chunks: coded.chunks });
    for (const server of cluster.servers.values()) {
      for (const { handle } of copies.chunks) server.chunks.delete(handle ?? 0);
    }
    sameBytes(t, await collect(reading), bytes, "copies that became units");
  },
);
