// What a file that is open for writing says when others change it, too.

import { KiB } from "@lumeofs/base";
import test from "ava";
import { content } from "./fake/bytes.js";
import { FakeCluster } from "./fake/cluster.js";

test("a sync that took effect has succeeded, though somebody changes the file right behind it", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client();
  await client.put("/f", content(10 * KiB));
  const file = await client.open("/f", "r+");
  await file.truncate(5 * KiB);
  await file.write(Buffer.from("mine"), 0);
  const { namespace } = cluster;
  namespace.afterEdit = (path) => {
    const mine = namespace.files.get(path);
    if (mine !== undefined) namespace.files.set(path, { ...mine, revision: mine.revision + 1_000 });
  };
  await file.sync();
  t.is(namespace.countOf("editFile"), 1);
  t.is(namespace.files.get("/f")?.sizeBytes, 5 * KiB);
  // Nothing goes on from what nobody knows any more.
  await t.throwsAsync(file.read(0, 4), { code: "LUMEO_CONFLICT" });
  await t.throwsAsync(file.write(Buffer.from("again"), 0), { code: "LUMEO_CONFLICT" });
  await file.close();
  t.is(namespace.countOf("editFile"), 1);
});

test("a sync succeeds whose file is removed right behind it", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client();
  await client.put("/f", "before");
  const file = await client.open("/f", "r+");
  await file.write(Buffer.from("mine"), 0);
  cluster.namespace.afterEdit = (path) => cluster.namespace.files.delete(path);
  await file.close();
  t.is(cluster.namespace.countOf("editFile"), 1);
});

test("a sync refuses what somebody has changed before it", async (t) => {
  await using cluster = await FakeCluster.start({ chunkservers: 3 });
  const client = cluster.client();
  await client.put("/f", "before");
  const file = await client.open("/f", "r+");
  await client.put("/f", "theirs");
  await file.write(Buffer.from("mine"), 0);
  await t.throwsAsync(file.close(), { code: "LUMEO_CONFLICT" });
  t.is(await (await client.get("/f")).text(), "theirs");
});
