// What becomes of copies when a chunkserver is lost, damaged or has to go, with real processes: all
// chunks get whole again by themselves, and a job says what was done.

import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { digestFile, seededBytes } from "../../src/index.js";
import { damageLargeChunks } from "./damage.js";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const MIB = 2 ** 20;
/** A loss is believed soon, and inventories come often, so that nobody waits for minutes. */
const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_SUSPECT_MS: "1000",
  LUMEO_MASTER_DEAD_MS: "2000",
  LUMEO_MASTER_STEADY_MS: "1000",
  LUMEO_MASTER_REPAIR_AFTER_MS: "3000",
  LUMEO_CHUNKSERVER_INVENTORY_PAUSE_MS: "500",
};

interface Job {
  readonly id: number;
  readonly kind: string;
  readonly node: string | null;
  readonly state: string;
  readonly doneChunks: number;
  readonly totalChunks: number;
  readonly note: string;
}

interface Node {
  readonly name: string;
  readonly state: string;
  readonly standing: string;
  readonly chunks?: number;
}

interface Chunk {
  readonly handle: number;
  readonly replicas: readonly { readonly name: string; readonly state: string }[];
}

test.beforeEach(async (t) => {
  const topology = { masters: 3, chunkservers: 4 };
  t.context = { drill: await Drill.start(topology, ENVIRONMENT) };
});
test.afterEach.always(async (t) => {
  await t.context.drill.stop();
});

type Test = ExecutionContext<{ drill: Drill }>;

async function jobs(t: Test): Promise<readonly Job[]> {
  const [answer] = await t.context.drill.json<{ readonly jobs: readonly Job[] }>(t, ["job", "ls"]);
  return answer?.jobs ?? [];
}

async function jobDone(t: Test, kind: string, node: string): Promise<Job | undefined> {
  return t.context.drill.until(t, `a ${kind} of ${node} that is done`, async () =>
    (await jobs(t)).find((job) => job.kind === kind && job.node === node && job.state === "done"),
  );
}

async function nodes(t: Test): Promise<readonly Node[]> {
  const [answer] = await t.context.drill.json<{ readonly nodes: readonly Node[] }>(t, [
    "node",
    "ls",
  ]);
  return answer?.nodes ?? [];
}

/** Puts some large and many small files; their digests by path. */
async function fill(t: Test, count: number): Promise<ReadonlyMap<string, string>> {
  const { drill } = t.context;
  const digests = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    const source = seededBytes(i + 1, i % 4 === 0 ? 3 * MIB + i : 5_000 + i);
    const path = `/data/${i}`;
    await drill.ok(t, ["put", "--chunk-size", "1M", "-", path], { stdin: source });
    digests.set(path, source.sha256());
  }
  return digests;
}

async function readAll(t: Test, digests: ReadonlyMap<string, string>): Promise<void> {
  const { drill } = t.context;
  for (const [path, digest] of digests) {
    const copy = drill.at("copy");
    await drill.ok(t, ["get", path, copy]);
    t.is(await digestFile(copy), digest, path);
  }
}

/** Every chunk has three copies, on servers that are alive, none of them on this one. */
async function allWhole(t: Test, without: string): Promise<number> {
  const chunks = await t.context.drill.json<Chunk>(t, ["chunk", "ls"]);
  for (const { handle, replicas } of chunks) {
    const names = new Set(replicas.map((replica) => replica.name));
    t.is(names.size, 3, `chunk ${handle}: ${[...names].join(" ")}`);
    t.false(names.has(without), `chunk ${handle}`);
    t.true(replicas.every(({ state }) => state === "alive"));
  }
  return chunks.length;
}

test.serial(
  "a lost chunkserver's copies are made again, and its own go when it is back",
  async (t) => {
    const { drill } = t.context;
    const digests = await fill(t, 12);
    await drill.cluster.kill("cs1");
    const job = await jobDone(t, "repair", "cs1");
    t.true(0 < (job?.doneChunks ?? 0));
    t.is(job?.doneChunks, job?.totalChunks);
    t.is(job?.note, "every copy was read again");
    t.is(await allWhole(t, "cs1"), 9 + 3 + 2 * 4);
    const shown = await drill.ok(t, ["job", "show", String(job?.id)]);
    t.regex(shown, /repair cs1, done/);
    t.deepEqual(await drill.json(t, ["chunk", "ls", "--under-replicated"]), []);
    await readAll(t, digests);
    await drill.cluster.revive();
    await drill.until(t, "cs1 without its stale copies", async () => {
      const { chunkservers } = await drill.status(t);
      const one = chunkservers.find(({ id }) => id === "cs1");
      return one?.state === "alive" && one.chunks === 0;
    });
    await readAll(t, digests);
    t.regex(await drill.ok(t, ["cluster", "status"]), /Chunks 20: all whole/);
    await drill.ok(t, ["rebalance", "start", "--wait"]);
    t.regex(await drill.ok(t, ["rebalance", "status"]), /rebalance, done/);
    const held = (await nodes(t)).map(({ chunks = 0 }) => chunks);
    t.true(10 <= Math.min(...held), held.join(" "));
    await readAll(t, digests);
  },
);

test.serial("labels and maintenance are said of a node, and stay when it is back", async (t) => {
  const { drill } = t.context;
  await fill(t, 2);
  await drill.ok(t, ["node", "label", "cs1", "rack=r1"]);
  await drill.ok(t, ["node", "maintenance", "on", "cs1"]);
  await drill.cluster.kill("cs1");
  await drill.cluster.kill("cs2");
  await drill.until(t, "a repair of cs2", async () =>
    (await jobs(t)).some(({ kind, node }) => kind === "repair" && node === "cs2"),
  );
  await drill.cluster.revive();
  await drill.until(t, "a repair of cs2 that has ended", async () =>
    (await jobs(t)).every(({ state }) => state === "done" || state === "cancelled"),
  );
  await drill.until(t, "cs1 to be alive", async () =>
    (await nodes(t)).some(({ name, state }) => name === "cs1" && state === "alive"),
  );
  t.deepEqual(
    (await jobs(t)).filter(({ node }) => node === "cs1"),
    [],
  );
  const shown = await drill.ok(t, ["node", "show", "cs1"]);
  t.regex(shown, /alive, maintenance\nLabels {3}rack=r1\n/);
  await drill.ok(t, ["node", "maintenance", "off", "cs1"]);
  const standings = (await nodes(t)).map(({ standing }) => standing);
  t.deepEqual(standings, ["active", "active", "active", "active"]);
});

test.serial("a chunkserver is drained under writers, whose leader dies on the way", async (t) => {
  const { drill } = t.context;
  const digests = new Map(await fill(t, 6));
  const leader = await drill.leader(t);
  const writing = new AbortController();
  const writer = (async () => {
    for (let i = 0; !writing.signal.aborted; i++) {
      const source = seededBytes(1_000 + i, i % 3 === 0 ? 2 * MIB : 5_000);
      const path = `/during/${i}`;
      await drill.ok(t, ["put", "--chunk-size", "1M", "-", path], { stdin: source });
      digests.set(path, source.sha256());
    }
  })();
  await drill.ok(t, ["node", "drain", "cs2"]);
  await drill.cluster.kill(leader);
  await jobDone(t, "drain", "cs2");
  writing.abort();
  await writer;
  await drill.cluster.revive();
  await drill.until(t, "cs2 to be empty", async () =>
    (await nodes(t)).some(
      ({ name, standing, chunks }) => name === "cs2" && standing === "draining" && chunks === 0,
    ),
  );
  await drill.until(t, "a list without cs2", async () => {
    const chunks = await drill.json<Chunk>(t, ["chunk", "ls"]);
    return chunks.every(({ replicas }) => replicas.every(({ name }) => name !== "cs2"));
  });
  await readAll(t, digests);
});

test.serial("damaged copies are made again where they are", async (t) => {
  const { drill } = t.context;
  const source = seededBytes(5, 4 * MIB);
  await drill.ok(t, ["put", "--chunk-size", "1M", "-", "/large"], { stdin: source });
  const chunks = await drill.json<Chunk>(t, ["chunk", "ls"]);
  const victim = chunks[0]?.replicas[1]?.name ?? "";
  const hits = damageLargeChunks(drill, victim, MIB);
  t.true(0 < hits);
  const handles = chunks.map(({ handle }) => String(handle));
  const bad = await drill.run(["chunk", "verify", ...handles]);
  t.is(bad.status, 7, bad.stdout);
  const job = await jobDone(t, "mend", victim);
  t.is(job?.doneChunks, hits);
  await drill.ok(t, ["chunk", "verify", ...handles]);
  const shown = await drill.ok(t, ["chunk", "show", handles[0] ?? ""]);
  t.regex(shown, new RegExp(`^${victim} .* alive .*good`, "m"));
  t.deepEqual(await drill.json(t, ["chunk", "ls", "--corrupt"]), []);
});
