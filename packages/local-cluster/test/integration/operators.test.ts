// What operators do to chunkservers while people work: nodes are drained and decommissioned, jobs
// paused, resumed and cancelled, with the `lumeo` command, on real processes under load.

import { Lumeo } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Drill } from "./drill.js";

interface Context {
  readonly drill: Drill;
}

const test = anyTest as TestFn<Context>;
type Test = ExecutionContext<Context>;

const KIB = 1024;
const FILES = 60;
const FILE_BYTES = 300 * KIB;
/**
 * A loss is believed soon; and copies are made so slowly that a job can be met on its way: some
 * 40 copies of 300 KiB leave a server, at 128 KiB a second for each of the others.
 */
const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_SUSPECT_MS: "1000",
  LUMEO_MASTER_DEAD_MS: "2000",
  LUMEO_MASTER_STEADY_MS: "1000",
  LUMEO_MASTER_REPAIR_AFTER_MS: "3000",
  LUMEO_MASTER_HEAL_BYTES_PER_SECOND: String(128 * KIB),
  LUMEO_MASTER_SWEEP_MS: "500",
  LUMEO_CHUNKSERVER_INVENTORY_PAUSE_MS: "500",
};

interface Job {
  readonly id: number;
  readonly kind: string;
  readonly node: string | null;
  readonly state: string;
  readonly doneChunks: number;
  readonly totalChunks: number;
  readonly moves: number;
  readonly note: string;
}

interface Chunk {
  /** No file has it any more. */
  readonly orphan: boolean;
  readonly replicas: readonly { readonly name: string }[];
}

test.beforeEach(async (t) => {
  const topology = { masters: 3, chunkservers: 5 };
  t.context = { drill: await Drill.start(topology, ENVIRONMENT) };
});
test.afterEach.always(async (t) => {
  await t.context.drill.stop();
});

/** People at work: they write and read until they are stopped, and no call of theirs may fail. */
class Load {
  readonly #client: Lumeo;
  readonly #end = new AbortController();
  readonly #work: Promise<unknown>;
  readonly failures: string[] = [];
  readonly acknowledged = new Map<string, string>();
  calls = 0;

  constructor(endpoints: readonly string[]) {
    this.#client = new Lumeo({ endpoints });
    this.#work = Promise.all([this.#write(), this.#read()]);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#work;
    for (const [path, text] of this.acknowledged) {
      if ((await (await this.#client.get(path)).text()) !== text) this.failures.push(path);
    }
    await this.#client.close();
  }

  /** Of a test that has failed. */
  async abandon(): Promise<void> {
    this.#end.abort();
    await this.#client.close({ graceMs: 0 });
  }

  async #write(): Promise<void> {
    for (let i = 0; !this.#end.signal.aborted; i++) {
      const [path, text] = [`/load/${i % 200}`, `${i} `.repeat(2_000)];
      await this.#call(async () => {
        await this.#client.put(path, text);
        this.acknowledged.set(path, text);
      });
    }
  }

  async #read(): Promise<void> {
    for (let i = 0; !this.#end.signal.aborted; i++) {
      await this.#call(async () => {
        const bytes = await (await this.#client.get(`/data/${i % FILES}`)).bytes();
        if (bytes.byteLength !== FILE_BYTES) throw new Error(`${bytes.byteLength} bytes`);
      });
    }
  }

  async #call(action: () => Promise<void>): Promise<void> {
    this.calls++;
    await action().catch((error: unknown) => this.failures.push((error as Error).message));
  }
}

async function begin(t: Test): Promise<Load> {
  const { cluster } = t.context.drill;
  await using client = new Lumeo({ endpoints: cluster.endpoints });
  for (let i = 0; i < FILES; i++) {
    await client.put(`/data/${i}`, new Uint8Array(FILE_BYTES).fill(i));
  }
  const load = new Load(cluster.endpoints);
  t.teardown(() => load.abandon());
  return load;
}

async function jobOf(t: Test, kind: string, node: string): Promise<Job | undefined> {
  const [answer] = await t.context.drill.json<{ readonly jobs: readonly Job[] }>(t, ["job", "ls"]);
  return answer?.jobs.findLast((job) => job.kind === kind && job.node === node);
}

/** The job as it is when it is so. */
async function jobThat(
  t: Test,
  of: { readonly kind: string; readonly node: string },
  is: (job: Job) => boolean,
): Promise<Job> {
  const found = await t.context.drill.until(t, `a ${of.kind} of ${of.node}: ${is}`, async () => {
    const job = await jobOf(t, of.kind, of.node);
    return job !== undefined && is(job) ? job : undefined;
  });
  return found as Job;
}

async function standing(t: Test, node: string): Promise<string | undefined> {
  const [shown] = await t.context.drill.json<{ readonly standing: string }>(t, [
    ...["node", "show", node],
  ]);
  return shown?.standing;
}

/** Nothing is moved by a paused job: while `count` calls are made, its figures stay. */
async function stands(t: Test, load: Load, of: { kind: string; node: string }): Promise<void> {
  const paused = await jobThat(t, of, (job) => job.state === "paused" && job.moves === 0);
  const until = load.calls + 100;
  await t.context.drill.until(t, "100 calls", () => until < load.calls);
  const later = await jobOf(t, of.kind, of.node);
  t.is(later?.state, "paused");
  t.is(later?.doneChunks, paused.doneChunks);
  t.true(paused.doneChunks < paused.totalChunks, "it was paused on its way");
}

test.serial(
  "a node is decommissioned under load, with a pause, and switched off without a loss",
  async (t) => {
    const { drill } = t.context;
    const load = await begin(t);
    // What each of them was granted and did not use is good for an hour: nobody waits for that.
    for (let i = 0; i < 3; i++) {
      await drill.ok(t, ["put", "--no-inline", "package.json", `/lately/${i}`]);
    }
    await drill.ok(t, ["node", "decommission", "cs2"]);
    const of = { kind: "decommission", node: "cs2" };
    const { id } = await jobThat(t, of, (job) => 0 < job.doneChunks);
    await drill.ok(t, ["job", "pause", String(id)]);
    await stands(t, load, of);
    t.is(await standing(t, "cs2"), "draining");
    await drill.ok(t, ["job", "resume", String(id)]);
    const done = await jobThat(t, of, (job) => job.state === "done");
    t.is(done.note, "every copy was read again");
    t.is(await standing(t, "cs2"), "decommissioned");
    await drill.cluster.kill("cs2");
    const chunks = await drill.json<Chunk>(t, ["chunk", "ls"]);
    // What was overwritten a moment ago has copies until its grace is over, wherever they are.
    const names = chunks
      .filter(({ orphan }) => !orphan)
      .flatMap(({ replicas }) => replicas.map(({ name }) => name));
    t.true(names.includes("cs1"));
    t.false(names.includes("cs2"));
    const until = load.calls + 100;
    await drill.until(t, "100 calls without cs2", () => until < load.calls);
    await load.stop();
    t.deepEqual(load.failures, []);
    t.deepEqual(await drill.json(t, ["chunk", "ls", "--under-replicated"]), []);
    t.is(await jobOf(t, "repair", "cs2"), undefined, "nothing was left to repair");
  },
);

test.serial(
  "a drain that is cancelled stays where it is, and the node takes part again",
  async (t) => {
    const { drill } = t.context;
    const load = await begin(t);
    await drill.ok(t, ["node", "drain", "cs1"]);
    const of = { kind: "drain", node: "cs1" };
    const { id } = await jobThat(t, of, (job) => 0 < job.doneChunks);
    t.is(await standing(t, "cs1"), "draining");
    await drill.ok(t, ["job", "cancel", String(id)]);
    const cancelled = await jobThat(t, of, (job) => job.state === "cancelled" && job.moves === 0);
    t.true(cancelled.doneChunks < cancelled.totalChunks);
    t.is(await standing(t, "cs1"), "active");
    t.is((await drill.run(["job", "resume", String(id)])).status, 4);
    // Whoever drains it once more gets a job of its own, to the end.
    const again = await drill.run(["node", "drain", "--wait", "cs1"]);
    t.is(again.status, 0, again.stderr);
    await drill.ok(t, ["node", "undrain", "cs1"]);
    t.is(await standing(t, "cs1"), "active");
    await load.stop();
    t.deepEqual(load.failures, []);
  },
);

test.serial(
  "a repair can be paused, stays so under another leader, and cannot be cancelled",
  async (t) => {
    const { drill } = t.context;
    const load = await begin(t);
    await drill.cluster.kill("cs3");
    const of = { kind: "repair", node: "cs3" };
    const { id } = await jobThat(t, of, (job) => 0 < job.doneChunks);
    await drill.ok(t, ["job", "pause", String(id)]);
    const refused = await drill.run(["job", "cancel", String(id)]);
    t.is(refused.status, 4);
    t.regex(refused.stderr, /lumeo node maintenance on cs3/);
    const leader = await drill.leader(t);
    await drill.cluster.kill(leader);
    await drill.until(t, "another leader", async () => (await drill.status(t)).leader !== leader);
    await stands(t, load, of);
    await drill.ok(t, ["job", "resume", String(id)]);
    await jobThat(t, of, (job) => job.state === "done");
    await drill.cluster.revive();
    await load.stop();
    t.deepEqual(load.failures, []);
    t.deepEqual(await drill.json(t, ["chunk", "ls", "--under-replicated"]), []);
  },
);

test.serial("a rebalance is stopped on its way, and another one goes to its end", async (t) => {
  const { drill } = t.context;
  await drill.ok(t, ["node", "drain", "cs5"]);
  const load = await begin(t);
  await drill.ok(t, ["node", "undrain", "cs5"]);
  await drill.ok(t, ["rebalance", "start"]);
  t.is((await drill.run(["rebalance", "start"])).status, 4, "one at a time");
  await drill.until(t, "copies that have moved", async () => {
    const [job] = await drill.json<Job>(t, ["rebalance", "status"]);
    return 0 < (job?.doneChunks ?? 0);
  });
  await drill.ok(t, ["rebalance", "stop"]);
  t.regex(await drill.ok(t, ["rebalance", "status"]), /rebalance, cancelled/);
  await drill.ok(t, ["rebalance", "start", "--wait"]);
  t.regex(await drill.ok(t, ["rebalance", "status"]), /rebalance, done/);
  await load.stop();
  t.deepEqual(load.failures, []);
  t.deepEqual(await drill.json(t, ["chunk", "ls", "--under-replicated"]), []);
});
