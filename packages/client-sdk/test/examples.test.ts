// The examples do what they say.

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import test from "ava";
import { temporaryFolder } from "./fake/bytes.js";
import { FakeCluster } from "./fake/cluster.js";

const run = promisify(execFile);

async function example(name: string, cluster: FakeCluster, ...args: string[]): Promise<string[]> {
  const file = fileURLToPath(new URL(`../examples/${name}.js`, import.meta.url));
  const endpoints = cluster.masters.map(({ address }) => address).join(",");
  const env = { ...process.env, LUMEO_ENDPOINTS: endpoints };
  const { stdout } = await run(process.execPath, [file, ...args], { env });
  return stdout.trimEnd().split("\n");
}

test("01-put-get stores, reads and lists", async (t) => {
  await using cluster = await FakeCluster.start();
  cluster.namespace.directories.add("/greetings");
  const lines = await example("01-put-get", cluster);
  t.regex(lines[0] ?? "", /^stored 14 bytes as [0-9a-f]+-[0-9a-f]{8}$/);
  t.deepEqual(lines.slice(1), [
    "Hello, world!",
    "world",
    "dir /greetings 0",
    "file /greetings/hello.txt 14",
  ]);
});

test("02-stream stores a stream and saves a file", async (t) => {
  await using cluster = await FakeCluster.start();
  const target = join(await temporaryFolder(t), "numbers.txt");
  const lines = await example("02-stream", cluster, target);
  t.deepEqual(lines, ["stored 588895 bytes, progress was told: true", "saved 588895 bytes"]);
  t.true((await readFile(target, "utf8")).endsWith("\n99999\n100000\n"));
});

test("03-errors tells errors apart", async (t) => {
  await using cluster = await FakeCluster.start();
  const lines = await example("03-errors", cluster);
  t.deepEqual(lines, ["somebody else was first", "LUMEO_NOT_FOUND: /none.json"]);
});
