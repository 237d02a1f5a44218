// What becomes of files that are kept as units of a code when chunkservers are lost, damaged or
// have to go, with real processes: all units are made again by themselves, byte for byte, and a job
// says what was done.

import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { digestFile, seededBytes } from "../../src/index.js";
import { damageLargeChunks } from "./damage.js";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const KIB = 1_024;
const MIB = 2 ** 20;
/** A loss is believed soon, and inventories come often, so that nobody waits for minutes. */
const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_SUSPECT_MS: "1000",
  LUMEO_MASTER_DEAD_MS: "2000",
  LUMEO_MASTER_STEADY_MS: "1000",
  LUMEO_MASTER_REPAIR_AFTER_MS: "3000",
  LUMEO_MASTER_RELEASED_GRACE_MS: "10000",
  LUMEO_CHUNKSERVER_SCRUB_BYTES_PER_SECOND: String(256 * MIB),
  LUMEO_CHUNKSERVER_SCRUB_ROUND_MS: "2000",
  LUMEO_CHUNKSERVER_INVENTORY_PAUSE_MS: "500",
};
/** Of files: with units without bytes, in records and in files of their own, in several chunks. */
const LENGTHS = [1, 100, 5_000, 300 * KIB, 1_500_000, 5 * MIB + 1, 9 * MIB];
const CHUNK_SIZE = "4M";

interface Job {
  readonly id: number;
  readonly kind: string;
  readonly node: string | null;
  readonly state: string;
  readonly doneChunks: number;
  readonly totalChunks: number;
  readonly note: string;
}

interface Chunk {
  readonly handle: number;
  readonly lengthBytes: number;
  readonly coding?: { readonly unitCrcs: readonly number[] };
  readonly replicas: readonly { readonly name: string; readonly state: string }[];
}

test.beforeEach(async (t) => {
  const topology = { masters: 1, chunkservers: 8 };
  t.context = { drill: await Drill.start(topology, ENVIRONMENT) };
});
test.afterEach.always(async (t) => {
  await t.context.drill.stop();
});

type Test = ExecutionContext<{ drill: Drill }>;
/** Digests of files by path. */
type Digests = ReadonlyMap<string, string>;

async function fill(t: Test, lengths: readonly number[], ec = "4+2"): Promise<Digests> {
  const digests = new Map<string, string>();
  for (const [i, length] of lengths.entries()) {
    const source = seededBytes(i + 1, length);
    const path = `/${ec}/${i}`;
    const args = ["put", "--ec", ec, "--chunk-size", CHUNK_SIZE, "-", path];
    await t.context.drill.ok(t, args, { stdin: source });
    digests.set(path, source.sha256());
  }
  return digests;
}

async function readAll(t: Test, digests: Digests): Promise<void> {
  const { drill } = t.context;
  for (const [path, digest] of digests) {
    const copy = drill.at("copy");
    await drill.ok(t, ["get", path, copy]);
    t.is(await digestFile(copy), digest, path);
  }
}

async function jobs(t: Test): Promise<readonly Job[]> {
  const [answer] = await t.context.drill.json<{ readonly jobs: readonly Job[] }>(t, ["job", "ls"]);
  return answer?.jobs ?? [];
}

async function jobDone(t: Test, kind: string, node: string): Promise<Job | undefined> {
  return t.context.drill.until(t, `a ${kind} of ${node} that is done`, async () =>
    (await jobs(t)).find((job) => job.kind === kind && job.node === node && job.state === "done"),
  );
}

function chunks(t: Test): Promise<readonly Chunk[]> {
  return t.context.drill.json<Chunk>(t, ["chunk", "ls"]);
}

/**
 * Every chunk has six units on six servers that are alive, none of them on these; every server says
 * that it has its unit, and every byte was read from its disk and has the checksum of the metadata.
 */
async function allWhole(t: Test, without: readonly string[]): Promise<void> {
  const { drill } = t.context;
  for (const { handle, replicas } of await chunks(t)) {
    const names = replicas.map(({ name }) => name);
    t.is(new Set(names).size, 6, `chunk ${handle}: ${names.join(" ")}`);
    t.false(
      names.some((name) => without.includes(name)),
      `chunk ${handle}: ${names.join(" ")}`,
    );
    t.true(replicas.every(({ state }) => state === "alive"));
  }
  t.deepEqual(await drill.json(t, ["chunk", "ls", "--under-replicated"]), []);
  t.deepEqual(await drill.json(t, ["chunk", "ls", "--corrupt"]), []);
  // 2: nothing is wrong, but servers that are away could not be asked what they have.
  const away = drill.cluster.members().some(({ id, pid }) => without.includes(id) && pid === null);
  const { status, stdout } = await drill.run(["fsck", "--bytes"]);
  t.is(status, away ? 2 : 0, stdout);
}

async function chunkCounts(t: Test, names: readonly string[]): Promise<readonly number[]> {
  const { chunkservers } = await t.context.drill.status(t);
  return names.map((name) => chunkservers.find(({ id }) => id === name)?.chunks ?? -1);
}

test.serial(
  "two lost chunkservers of eight: every unit is rebuilt, audited, and right",
  async (t) => {
    const { drill } = t.context;
    const digests = await fill(t, LENGTHS);
    const before = await chunks(t);
    const lost = ["cs1", "cs2"];
    const held = before.filter(({ replicas }) => replicas.some(({ name }) => name === "cs1"));
    for (const name of lost) await drill.cluster.kill(name);
    await readAll(t, digests);
    for (const name of lost) {
      const job = await jobDone(t, "repair", name);
      t.is(job?.doneChunks, job?.totalChunks);
      if (name === "cs1") t.is(job?.doneChunks, held.length);
      t.is(job?.note, held.length === 0 ? "nothing was to be done" : "every copy was read again");
    }
    await allWhole(t, lost);
    for (const { handle, replicas } of await chunks(t)) {
      const old = before.find((one) => one.handle === handle)?.replicas ?? [];
      for (const [unit, { name }] of old.entries()) {
        if (!lost.includes(name))
          t.is(replicas[unit]?.name, name, `unit ${unit} stays where it is`);
      }
    }
    await readAll(t, digests);
    t.regex(await drill.ok(t, ["cluster", "status"]), /Chunks \d+: cs1, cs2 away/);

    // Who comes back has units that others have now: they go, and the next losses find room there.
    await drill.cluster.revive();
    await drill.until(t, "cs1 and cs2 without their stale units", async () =>
      (await chunkCounts(t, lost)).every((count) => count === 0),
    );
    const next = ["cs3", "cs4"];
    for (const name of next) await drill.cluster.kill(name);
    for (const name of next) await jobDone(t, "repair", name);
    await allWhole(t, next);
    await readAll(t, digests);
  },
);

test.serial(
  "the scrub finds flipped bits in units; they are rebuilt, and go with their file",
  async (t) => {
    const { drill } = t.context;
    const digests = await fill(t, [4 * MIB, 8 * MIB]);
    const all = await chunks(t);
    const victim = all[0]?.replicas[1]?.name ?? "";
    const hits = damageLargeChunks(drill, victim, MIB);
    t.true(0 < hits);
    const job = await jobDone(t, "mend", victim);
    t.is(job?.doneChunks, hits);
    const handles = all.map(({ handle }) => String(handle));
    await drill.ok(t, ["chunk", "verify", ...handles]);
    for (const path of digests.keys()) await drill.ok(t, ["verify", path]);
    const holders = (list: readonly Chunk[]) => {
      return list.map(({ replicas }) => replicas.map(({ name }) => name));
    };
    t.deepEqual(holders(await chunks(t)), holders(all), "each where it was");
    await allWhole(t, []);
    await readAll(t, digests);

    for (const path of digests.keys()) await drill.ok(t, ["rm", "--skip-trash", path]);
    await drill.until(t, "all units gone", async () => {
      const { chunkservers } = await drill.status(t);
      return chunkservers.every(({ chunks: count }) => count === 0);
    });
  },
);

test.serial(
  "a chunkserver with units is drained under a writer, another leaves for good",
  async (t) => {
    const { drill } = t.context;
    const digests = new Map(await fill(t, LENGTHS));
    const writing = new AbortController();
    const writer = (async () => {
      for (let i = 0; !writing.signal.aborted; i++) {
        const source = seededBytes(1_000 + i, i % 3 === 0 ? 2 * MIB : 4_000);
        const path = `/during/${i}`;
        await drill.ok(t, ["put", "--ec", "4+2", "-", path], { stdin: source });
        digests.set(path, source.sha256());
      }
    })();
    await drill.ok(t, ["node", "drain", "cs2"]);
    await jobDone(t, "drain", "cs2");
    writing.abort();
    await writer;
    await drill.until(t, "a list without cs2", async () =>
      (await chunks(t)).every(({ replicas }) => replicas.every(({ name }) => name !== "cs2")),
    );
    await drill.ok(t, ["node", "decommission", "cs5"]);
    await jobDone(t, "decommission", "cs5");
    await allWhole(t, ["cs2", "cs5"]);
    await readAll(t, digests);
  },
);

test.serial(
  "three of six units away: nothing is made of too little, and a return heals all",
  async (t) => {
    const { drill } = t.context;
    const digests = await fill(t, [6 * MIB]);
    const [chunk] = await chunks(t);
    const away = (chunk?.replicas ?? []).slice(1, 4).map(({ name }) => name);
    for (const name of away) await drill.cluster.kill(name);
    await drill.until(t, "a status that says it", async () =>
      /WITHOUT A GOOD COPY OR ENOUGH UNITS/.test(await drill.ok(t, ["cluster", "status"])),
    );
    const listed = await drill.json<Chunk>(t, ["chunk", "ls", "--under-replicated"]);
    t.true(listed.some(({ handle }) => handle === chunk?.handle));
    await drill.until(t, "jobs that say why they wait", async () =>
      (await jobs(t)).some(({ note }) => /too few units, that can be read/.test(note)),
    );
    await drill.cluster.revive();
    await drill.until(t, "all chunks whole", async () =>
      /: all whole/.test(await drill.ok(t, ["cluster", "status"])),
    );
    await allWhole(t, []);
    await readAll(t, digests);
  },
);
