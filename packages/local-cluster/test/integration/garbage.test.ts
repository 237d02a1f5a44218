// What nobody needs any more is deleted, and nothing else: races between those who remove and those
// who still need what was removed, on real processes with graces of seconds.

import { setTimeout as delay } from "node:timers/promises";
import { Lumeo, LumeoError } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { seededBytes, waitUntil } from "../../src/index.js";
import { Drill } from "./drill.js";

interface Context {
  readonly drill: Drill;
  readonly client: Lumeo;
}

const test = anyTest as TestFn<Context>;
type Test = ExecutionContext<Context>;

const MIB = 2 ** 20;
const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_RELEASED_GRACE_MS: "10000",
  LUMEO_MASTER_GRANT_USABLE_MS: "2000",
  LUMEO_MASTER_GRANT_MS: "4000",
  LUMEO_MASTER_UPLOAD_IDLE_MS: "4000",
  LUMEO_MASTER_SWEEP_MS: "200",
  LUMEO_CHUNKSERVER_INVENTORY_PAUSE_MS: "200",
};
const PATIENCE = { timeoutMs: 120_000, asksMin: 3 };
const GONE = { skipTrash: true } as const;

test.beforeEach(async (t) => {
  const drill = await Drill.start({ masters: 1, chunkservers: 3 }, ENVIRONMENT);
  const client = new Lumeo({ endpoints: drill.cluster.endpoints });
  t.context = { drill, client };
});
test.afterEach.always(async (t) => {
  await t.context.client.close({ graceMs: 0 });
  await t.context.drill.stop();
});

/** Copies on all chunkservers, as these count them. */
async function copies({ context: { client } }: Test): Promise<number> {
  const { chunkservers } = await client.clusterStatus();
  return chunkservers.reduce((sum, { chunks }) => sum + chunks, 0);
}

/** Waits until so many copies are left, and fails if fewer are. */
async function untilCopies(t: Test, count: number): Promise<void> {
  let left = Number.NaN;
  const isSo = async (): Promise<true | undefined> => {
    left = await copies(t);
    return left === count || undefined;
  };
  t.true(await waitUntil(isSo, PATIENCE), `${left} copies are left, not ${count}`);
}

async function bytesOf(seed: number, size: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of seededBytes(seed, size)) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function holds({ context: { client } }: Test, path: string, bytes: Buffer) {
  return bytes.equals(await (await client.get(path)).bytes());
}

test.serial("a reader that has begun reads to the end, though the file is removed", async (t) => {
  const { client } = t.context;
  const bytes = await bytesOf(1, 8 * MIB);
  await client.put("/file", bytes, { chunkSize: MIB });
  const pieces: Uint8Array[] = [];
  await using reading = await client.get("/file");
  for await (const piece of reading) {
    if (pieces.length === 0) await client.remove("/file", GONE);
    pieces.push(piece.slice());
  }
  t.true(bytes.equals(Buffer.concat(pieces)));
  t.false(await client.exists("/file"));
  await untilCopies(t, 0);
});

test.serial(
  "a reader that outlasts the grace goes on where versions are kept, or is told",
  async (t) => {
    const { client } = t.context;
    const chunks = 600; // more than the masters name at once
    const bytes = await bytesOf(2, chunks * 65_536);
    await client.mkdir("/kept");
    await client.setPolicy("/kept", { versions: 1 });
    const readings = [];
    for (const path of ["/kept/file", "/file"]) {
      await client.put(path, bytes, { chunkSize: 65_536 });
      const reading = await client.get(path);
      const pieces = reading[Symbol.asyncIterator]();
      const first = await pieces.next();
      readings.push({ path, pieces, read: [Buffer.from(first.value ?? "")] });
    }
    for (const { path } of readings) await client.put(path, "new", { inline: false });
    await untilCopies(t, 3 * (chunks + readings.length));
    const toTheEnd = readings.map(async ({ pieces, read }) => {
      for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) {
        read.push(Buffer.from(next.value));
      }
      return Buffer.concat(read);
    });
    const [kept, gone] = await Promise.allSettled(toTheEnd);
    t.true(kept?.status === "fulfilled" && bytes.equals(kept.value), String(kept));
    const error: unknown = gone?.status === "rejected" ? gone.reason : undefined;
    t.true(LumeoError.is(error, "LUMEO_CONFLICT"), String(error));
    t.regex(String(error), /"\/file".*replaced or removed; read it again/);
  },
);

test.serial("copies, snapshots and versions keep the chunks that they share", async (t) => {
  const { client } = t.context;
  const [kept, gone] = [await bytesOf(2, 3 * MIB), await bytesOf(3, 3 * MIB)];
  await client.put("/d/file", kept, { chunkSize: MIB });
  await client.put("/d/other", gone, { chunkSize: MIB });
  await client.copy("/d/file", "/copy");
  await client.snapshots.create("/d", "s");
  await client.remove("/d/file", GONE);
  await client.put("/d/other", "replaced", { inline: false });
  await client.put("/strange", gone, { chunkSize: MIB });
  await client.remove("/strange", GONE);
  await untilCopies(t, 3 * (3 + 3 + 1)); // the strange one's are gone
  t.true(await holds(t, "/copy", kept));
  t.true(await holds(t, "/d/.snapshot/s/file", kept));
  t.true(await holds(t, "/d/.snapshot/s/other", gone));
  await client.snapshots.remove("/d", "s");
  await untilCopies(t, 3 * (3 + 1));
  t.true(await holds(t, "/copy", kept));
  await client.remove("/copy", GONE);
  await untilCopies(t, 3);
  t.is(await (await client.get("/d/other")).text(), "replaced");
});

test.serial("a snapshot that is taken while files are replaced and removed is whole", async (t) => {
  const { client } = t.context;
  const names = Array.from({ length: 12 }, (_, i) => `f${i}`);
  const contents = new Map(names.map((name) => [name, new Set<string>()]));
  const write = async (name: string, round: number): Promise<void> => {
    const text = `${name} ${round} `.repeat(200);
    contents.get(name)?.add(text);
    await client.put(`/d/${name}`, text, { inline: round % 4 === 2 });
  };
  await Promise.all(names.map((name) => write(name, 0)));
  for (let round = 1; round <= 8; round++) {
    const changes = names.map((name, i) => {
      return (i + round) % 3 === 0
        ? client.remove(`/d/${name}`, GONE).catch(() => undefined)
        : write(name, round);
    });
    await Promise.all([...changes, client.snapshots.create("/d", `s${round}`)]);
  }
  for (const name of names) await client.remove(`/d/${name}`, GONE).catch(() => undefined);
  // What was removed last, and no snapshot has, is gone: so is everything that was removed before.
  await client.put("/last", "last", { inline: false });
  const [last] = (await client.stat("/last", { chunks: true })).chunks ?? [];
  await client.remove("/last", GONE);
  const isForgotten = async (): Promise<true | undefined> => {
    const look = client.healing.chunk(last?.handle ?? 0).then(() => undefined);
    return look.catch(() => true as const);
  };
  t.true(await waitUntil(isForgotten, PATIENCE));
  let files = 0;
  for (let round = 1; round <= 8; round++) {
    for await (const { path } of client.list(`/d/.snapshot/s${round}`)) {
      const name = path.slice(path.lastIndexOf("/") + 1);
      const text = await (await client.get(path)).text();
      t.true(contents.get(name)?.has(text), path);
      files++;
    }
  }
  t.true(20 < files, `${files}`);
  for (let round = 1; round <= 8; round++) await client.snapshots.remove("/d", `s${round}`);
  await untilCopies(t, 0);
});

test.serial("an upload that is given up leaves nothing behind", async (t) => {
  const { client } = t.context;
  const abandoned = new AbortController();
  async function* body(): AsyncGenerator<Uint8Array> {
    for await (const piece of seededBytes(5, 6 * MIB)) yield piece;
    abandoned.abort();
    yield new Uint8Array(1);
  }
  const options = { chunkSize: MIB, signal: abandoned.signal };
  await t.throwsAsync(client.put("/never", body(), options), { instanceOf: LumeoError });
  t.false(await client.exists("/never"));
  await untilCopies(t, 0);
});

test.serial("an upload that pauses beyond every grace is whole, or is not there", async (t) => {
  const { client } = t.context;
  const bytes = await bytesOf(6, 8 * MIB);
  const isOver = async (): Promise<true | undefined> => {
    await delay(100);
    return (await client.exists("/marker")) ? undefined : true;
  };
  async function* body(): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 5 * MIB);
    // A file of the same age, abandoned on purpose, tells when the graces are over.
    await client.put("/marker", "marker", { ttlMs: 12_000 });
    await waitUntil(isOver, PATIENCE);
    yield bytes.subarray(5 * MIB);
  }
  const put = client.put("/late", body(), { chunkSize: MIB, timeoutMs: 60_000 });
  const isStored = await put.then(
    () => true,
    (error: unknown) => {
      t.true(error instanceof LumeoError, String(error));
      return false;
    },
  );
  t.log(isStored ? "it was stored" : "it was refused");
  t.is(await client.exists("/late"), isStored);
  if (isStored) t.true(await holds(t, "/late", bytes));
  if (isStored) await client.remove("/late", GONE);
  await untilCopies(t, 0);
});
