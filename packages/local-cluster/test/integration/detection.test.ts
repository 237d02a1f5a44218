// What becomes of a chunkserver that is not heard, on real processes: one that is cut off stops
// taking chunks before it is taken for dead; and one that is away for a moment moves no data.

import { chunkHandle, crc32c, epoch, LumeoError } from "@lumeofs/base";
import { blockCrcs, FramePool } from "@lumeofs/node/frames";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { seededBytes } from "../../src/index.js";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
type Test = ExecutionContext<{ drill: Drill }>;
/** A server is dead soon, but lost only after minutes. */
const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_SUSPECT_MS: "1000",
  LUMEO_MASTER_DEAD_MS: "2000",
  LUMEO_MASTER_STEADY_MS: "1000",
  LUMEO_MASTER_REPAIR_AFTER_MS: "180000",
  // So that a test may write to one server what the masters have not granted.
  LUMEO_CHUNKSERVER_TOKENS: "off",
};

test.beforeEach(async (t) => {
  const topology = { masters: 1, chunkservers: 4 };
  t.context = { drill: await Drill.start(topology, ENVIRONMENT) };
});
test.afterEach.always(async (t) => {
  await t.context.drill.stop();
});

interface Chunk {
  readonly handle: number;
  readonly replicas: readonly { readonly name: string }[];
}

function signal(t: Test, id: string, name: "SIGSTOP" | "SIGCONT"): void {
  const pid = t.context.drill.cluster.members().find((one) => one.id === id)?.pid ?? 0;
  t.true(0 < pid);
  process.kill(pid, name);
}

async function stateOf(t: Test, id: string): Promise<string | undefined> {
  return (await t.context.drill.status(t)).chunkservers.find((one) => one.id === id)?.state;
}

/** Writes a chunk to one server alone. @returns The code of its refusal, if it refuses. */
async function writeTo(address: string, handle: number): Promise<string | undefined> {
  const hello = { type: "hello" as const, role: "client" as const, clusterId: "", name: "test" };
  const pool = new FramePool({ hello: () => hello });
  const bytes = Buffer.from(`chunk ${handle}`);
  try {
    const connection = await pool.shared({ address });
    const target = { handle: chunkHandle(handle), epoch: epoch(1), chain: [] };
    const content = { length: bytes.byteLength, crc32c: crc32c(bytes) };
    const crcs = blockCrcs([bytes], crc32c);
    const message = { type: "writeSmall", ...target, ...content, crcs } as const;
    const exchange = connection.request(message, [bytes]);
    (await exchange.receive()).release();
    exchange.finish();
    return undefined;
  } catch (error) {
    if (error instanceof LumeoError) return error.code;
    throw error;
  } finally {
    await pool.close();
  }
}

test.serial(
  "a chunkserver that hears nothing of the masters takes no chunk, until it hears of them",
  async (t) => {
    const { drill } = t.context;
    const address = drill.cluster.members().find(({ id }) => id === "cs1")?.address ?? "";
    let handle = 1_000_000;
    t.is(await writeTo(address, handle++), undefined);
    signal(t, "m1", "SIGSTOP");
    try {
      await drill.until(t, "a write that is refused", async () => {
        return (await writeTo(address, handle++)) === "UNAVAILABLE";
      });
    } finally {
      signal(t, "m1", "SIGCONT");
    }
    await drill.until(t, "a write that is taken", async () => {
      return (await writeTo(address, handle++)) === undefined;
    });
  },
);

test.serial("chunkservers that are dead for a moment come back, and no copy moves", async (t) => {
  const { drill } = t.context;
  for (let i = 0; i < 6; i++) {
    await drill.ok(t, ["put", "-", `/${i}`], { stdin: seededBytes(i, 10_000) });
  }
  const membersOf = async (): Promise<readonly (readonly [number, string])[]> => {
    const chunks = await drill.json<Chunk>(t, ["chunk", "ls"]);
    return chunks.map(({ handle, replicas }) => [
      handle,
      replicas.map(({ name }) => name).join(" "),
    ]);
  };
  const before = await membersOf();
  signal(t, "cs1", "SIGSTOP");
  await drill.until(t, "cs1 to be dead", async () => (await stateOf(t, "cs1")) === "dead");
  await drill.ok(t, ["put", "-", "/meanwhile"], { stdin: seededBytes(7, 10_000) });
  signal(t, "cs1", "SIGCONT");
  await drill.until(t, "cs1 to be alive", async () => (await stateOf(t, "cs1")) === "alive");
  await drill.cluster.kill("cs2");
  await drill.until(t, "cs2 to be dead", async () => (await stateOf(t, "cs2")) === "dead");
  await drill.cluster.revive();
  await drill.until(t, "cs2 to be alive", async () => (await stateOf(t, "cs2")) === "alive");
  const after = new Map(await membersOf());
  for (const [handle, members] of before) t.is(after.get(handle), members);
  t.is(after.size, before.length + 1);
  const [answer] = await drill.json<{ readonly jobs: readonly unknown[] }>(t, ["job", "ls"]);
  t.deepEqual(answer?.jobs, []);
  t.deepEqual(await drill.json(t, ["chunk", "ls", "--under-replicated"]), []);
});
