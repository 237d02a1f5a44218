// Small files that the masters keep themselves, with real processes: they are like any other file,
// every master has them, and no chunkserver is needed for them.

import { KiB } from "@lumeofs/base";
import { Lumeo } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Drill } from "./drill.js";
import { someBytes } from "./some-bytes.js";

interface Context {
  readonly drill: Drill;
  readonly client: Lumeo;
}

const test = anyTest as TestFn<Context>;
type Test = ExecutionContext<Context>;

const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_RELEASED_GRACE_MS: "2000",
  LUMEO_MASTER_SWEEP_MS: "200",
};
const SERVERS = ["cs1", "cs2", "cs3"];
const MASTERS = ["m1", "m2", "m3"];

test.before(async (t) => {
  const drill = await Drill.start({ masters: 3, chunkservers: SERVERS.length }, ENVIRONMENT);
  t.context = { drill, client: new Lumeo({ endpoints: [...drill.cluster.endpoints] }) };
});
test.after.always(async (t) => {
  await t.context.client.close({ graceMs: 0 });
  await t.context.drill.stop();
});

async function layouts({ context: { client } }: Test, path: string): Promise<readonly string[]> {
  const { chunks = [] } = await client.stat(path, { chunks: true });
  return chunks.map(({ layout }) => layout);
}

async function same(t: Test, path: string, expected: Uint8Array): Promise<void> {
  const got = await (await t.context.client.get(path)).bytes();
  t.is(Buffer.compare(got, expected), 0, `${path}: ${got.byteLength} bytes`);
}

/** What verify says of a file: the name of each holder, with what was found. */
async function verified({ context: { client } }: Test, path: string): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { replicas } of client.audits.verify(path)) {
    found.push(...replicas.map(({ server, finding }) => `${server} ${finding}`));
  }
  return found;
}

test.serial("a small file is with every master, and a larger one with chunkservers", async (t) => {
  const { client } = t.context;
  for (const size of [1, 100, 4_096]) {
    await client.put(`/sizes/${size}`, someBytes(size, size));
    t.deepEqual(await layouts(t, `/sizes/${size}`), ["inline"]);
    await same(t, `/sizes/${size}`, someBytes(size, size));
    t.deepEqual(
      await verified(t, `/sizes/${size}`),
      MASTERS.map((id) => `${id} intact`),
    );
  }
  await client.put("/sizes/4097", someBytes(4_097, 4_097));
  await client.put("/sizes/forbidden", "small", { inline: false });
  await client.put("/sizes/many", "small", { redundancy: { replicas: 2 } });
  t.deepEqual(await layouts(t, "/sizes/4097"), ["replicated"]);
  t.deepEqual(await layouts(t, "/sizes/forbidden"), ["replicated"]);
  t.deepEqual(await layouts(t, "/sizes/many"), ["inline"]);
  const range = { start: 1_000, end: 3_000 };
  const part = await (await client.get("/sizes/4096", { range })).bytes();
  t.is(Buffer.compare(part, someBytes(4_096, 4_096).subarray(1_000, 3_000)), 0);
  await t.throwsAsync(
    client.get("/sizes/1", { onlyReplica: "cs1" }).then((reading) => reading.bytes()),
    { code: "LUMEO_INVALID_ARGUMENT" },
  );
});

test.serial("it can be appended to, and edited anywhere", async (t) => {
  const { client } = t.context;
  const begin = someBytes(1, 1_000);
  await client.put("/log", begin);
  const records = [someBytes(2, 10), someBytes(3, 5_000)];
  for (const record of records) await client.append("/log", record);
  const whole = Buffer.concat([begin, ...records]);
  await same(t, "/log", whole);
  await client.put("/edited", begin);
  const file = await client.open("/edited", "r+");
  await file.write(Buffer.from("written"), 500);
  await file.truncate(9 * KiB);
  await file.close();
  const expected = Buffer.alloc(9 * KiB);
  expected.set(begin);
  expected.write("written", 500);
  await same(t, "/edited", expected);
  const log = await client.open("/log", "r+");
  await log.write(Buffer.from("over"), 998); // where one chunk ends and the next begins
  await log.close();
  whole.write("over", 998);
  await same(t, "/log", whole);
});

test.serial("it is renamed, copied, replaced and kept like any other file", async (t) => {
  const { client } = t.context;
  const [first, second] = [someBytes(4, 700), someBytes(5, 800)];
  await client.mkdir("/kept");
  await client.setPolicy("/kept", { versions: 3, trashMs: 3_600_000 });
  await client.put("/kept/f", first);
  await client.rename("/kept/f", "/kept/g");
  await client.copy("/kept/g", "/copied");
  await client.snapshots.create("/kept", "s");
  const { etag } = await client.stat("/kept/g");
  await client.put("/kept/g", second, { ifMatch: etag });
  await t.throwsAsync(client.put("/kept/g", first, { ifMatch: etag }), {
    code: "LUMEO_PRECONDITION",
  });
  await same(t, "/kept/g", second);
  await same(t, "/copied", first);
  await same(t, "/kept/.snapshot/s/g", first);
  const versions = await client.versions.list("/kept/g").toArray();
  const earlier = versions.find(({ size }) => size === first.byteLength);
  const old = await client.get("/kept/g", { version: earlier?.version ?? "" });
  t.is(Buffer.compare(await old.bytes(), first), 0);
  await client.remove("/kept/g");
  const [item] = await client.trash.list().toArray();
  await client.trash.restore(item?.id ?? 0, { target: "/restored" });
  await same(t, "/restored", second);
});

test.serial("one that is removed for good is forgotten, bytes and all", async (t) => {
  const { client, drill } = t.context;
  await client.put("/gone", "soon");
  const { chunks = [] } = await client.stat("/gone", { chunks: true });
  const handle = String(chunks[0]?.handle);
  const before = (await client.clusterStatus()).masters.map(({ inlineBytes }) => inlineBytes);
  t.true(before.every((bytes) => 0 < bytes));
  await client.remove("/gone", { skipTrash: true });
  await drill.until(t, "a chunk that nobody knows any more", async () => {
    return (await drill.run(["chunk", "show", handle])).status === 3;
  });
});

test.serial("the command shows where it is, and the checks know it", async (t) => {
  const { client, drill } = t.context;
  await client.put("/shown", "small");
  t.regex(await drill.ok(t, ["stat", "/shown"]), /Layout +inline: every master keeps it\n/);
  const { chunks = [] } = await client.stat("/shown", { chunks: true });
  const handle = String(chunks[0]?.handle);
  const shown = await drill.ok(t, ["chunk", "show", handle]);
  t.regex(shown, /Inline: every master keeps its bytes.* whole at the leader/);
  t.regex(await drill.ok(t, ["chunk", "ls"]), new RegExp(`${handle} +5 B +inline\n`));
  t.regex(await drill.ok(t, ["chunk", "verify", handle]), /m\d intact/);
  t.is(await drill.ok(t, ["chunk", "ls", "--under-replicated"]), "");
  t.is(await drill.ok(t, ["verify", "-r", "/sizes", "--quiet"]), "");
  t.regex(await drill.ok(t, ["fsck", "--bytes"]), /no problems/);
  t.regex(await drill.ok(t, ["fsck", "--bytes", "/kept"]), /no problems/);
  await drill.until(t, "small files in the figures", async () => {
    return /inline with/.test(await drill.ok(t, ["cluster", "status"]));
  });
  await drill.ok(t, ["ec-convert", "/shown", "--to", "replicated:2", "--wait"]);
  t.deepEqual(await layouts(t, "/shown"), ["inline"]);
});

test.serial(
  "the leader is killed, everything is started anew, and all of it is there",
  async (t) => {
    const { drill } = t.context;
    const { client } = t.context;
    await client.put("/before", "the leader was there");
    await drill.cluster.kill(await drill.leader(t));
    t.is(await (await client.get("/before")).text(), "the leader was there");
    await client.put("/after", "with another leader");
    await drill.cluster.revive();
    await drill.until(t, "the bytes at every master", async () => {
      return (await verified(t, "/after")).every((text) => text.endsWith("intact"));
    });
    t.truthy(await drill.agreedState(t));
    for (const id of MASTERS) await drill.cluster.kill(id);
    await drill.cluster.revive();
    await drill.cluster.waitReady();
    t.is(await (await client.get("/after")).text(), "with another leader");
    t.truthy(await drill.agreedState(t));
  },
);

test.serial("without a single chunkserver small files are written and read", async (t) => {
  const { client, drill } = t.context;
  for (const id of SERVERS) await drill.cluster.kill(id);
  await same(t, "/sizes/4096", someBytes(4_096, 4_096));
  for (let i = 0; i < 20; i++) await client.put(`/alone/${i}`, `file ${i}`);
  for (let i = 0; i < 20; i++) {
    t.is(await (await client.get(`/alone/${i}`)).text(), `file ${i}`);
  }
  t.is(await drill.ok(t, ["cat", "/alone/7"]), "file 7");
  await drill.cluster.revive();
  await drill.cluster.waitReady();
  await same(t, "/sizes/4097", someBytes(4_097, 4_097));
});
