// How many copies files have is changed later, on real processes, while they are read.

import { Lumeo } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Drill } from "./drill.js";
import { someBytes } from "./some-bytes.js";

const test = anyTest as TestFn<{ drill: Drill }>;
type Test = ExecutionContext<{ drill: Drill }>;
const KiB = 1024;
const SETTINGS = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_RELEASED_GRACE_MS: "1000",
  LUMEO_MASTER_SWEEP_MS: "300",
  LUMEO_CHUNKSERVER_INVENTORY_PAUSE_MS: "300",
};

test.before(async (t) => {
  t.context = { drill: await Drill.start({ masters: 3, chunkservers: 5 }, SETTINGS) };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

interface Chunk {
  readonly orphan: boolean;
  readonly replicas: readonly { readonly name: string }[];
}

/** Of all chunks that files have, how many servers have each. */
async function copies(t: Test): Promise<readonly number[]> {
  const chunks = await t.context.drill.json<Chunk>(t, ["chunk", "ls"]);
  const used = chunks.filter(({ orphan }) => !orphan);
  for (const { replicas } of used) {
    t.is(new Set(replicas.map(({ name }) => name)).size, replicas.length);
  }
  return used.map(({ replicas }) => replicas.length).sort();
}

test.serial("files get more copies, and fewer, and what is read is the same", async (t) => {
  const { drill } = t.context;
  await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
  const bodies = [5_000, 300 * KiB, 900 * KiB].map((length, i) => someBytes(i + 1, length));
  const options = { redundancy: { replicas: 2 }, chunkSize: 256 * KiB } as const;
  for (const [i, body] of bodies.entries()) await client.put(`/d/${i}`, body, options);
  t.deepEqual(await copies(t), [2, 2, 2, 2, 2, 2, 2]);
  const readAll = async (): Promise<void> => {
    for (const [i, body] of bodies.entries()) {
      const read = await (await client.get(`/d/${i}`)).bytes();
      t.true(Buffer.from(body).equals(read));
    }
  };
  for (const wanted of [4, 3, 2]) {
    const to = ["--to", `replicated:${wanted}`];
    const ended = new AbortController();
    const converted = drill.ok(t, ["ec-convert", "-r", "/d", ...to, "--wait"]);
    const told = converted.finally(() => ended.abort());
    while (!ended.signal.aborted) await readAll();
    await told;
    t.deepEqual(new Set(await copies(t)), new Set([wanted]));
    t.is((await client.stat("/d/1")).redundancy?.replicas, wanted);
    await readAll();
  }
  const many = await drill.run(["ec-convert", "/d/1", "--to", "replicated:6"]);
  t.not(many.status, 0);
  t.regex(many.stderr, /6 copies need 6 chunkservers/);
  await drill.until(t, "no copies beyond those", async () => {
    const { chunkservers } = await drill.status(t);
    return chunkservers.reduce((sum, { chunks }) => sum + chunks, 0) === 2 * 7;
  });
  t.is((await drill.run(["fsck", "--bytes"])).status, 0);
});
