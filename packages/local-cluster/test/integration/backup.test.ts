// The restore drill: masters that are lost with all they knew come back from a backup, and the
// chunkservers go on serving what they have.

import { createHash } from "node:crypto";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Lumeo } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { seededBytes } from "../../src/index.js";
import { Drill } from "./drill.js";

const MIB = 2 ** 20;
const MASTERS = ["m1", "m2", "m3"];

interface Saved {
  readonly name: string;
  readonly revision: number;
  readonly created: boolean;
  readonly since?: number;
  readonly records: number;
}

interface Entry {
  readonly path: string;
  readonly kind: string;
  readonly size: number;
  readonly crc32c?: string;
}

const test = anyTest as TestFn<{ drill: Drill }>;

test.before(async (t) => {
  t.context = { drill: await Drill.start({ masters: 3, chunkservers: 3 }) };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

type Context = ExecutionContext<{ drill: Drill }>;

async function save(t: Context, ...options: readonly string[]): Promise<Saved> {
  const { drill } = t.context;
  const [saved] = await drill.json<Saved>(t, ["backup", "create", drill.at("bak"), ...options]);
  return saved as Saved;
}

let texts = 0;

/** Every other one is on chunkservers; the masters keep the rest. */
async function putText(t: Context, path: string, text: string): Promise<void> {
  const { drill } = t.context;
  writeFileSync(drill.at("text"), text);
  const place = texts++ % 2 === 0 ? ["--no-inline"] : [];
  await drill.ok(t, ["put", ...place, drill.at("text"), path]);
}

async function sha256Of(t: Context, path: string): Promise<string> {
  const hash = createHash("sha256");
  await t.context.drill.ok(t, ["cat", path], { onStdout: (piece) => void hash.update(piece) });
  return hash.digest("hex");
}

/** The whole tree, with the content of every file. */
async function picture(t: Context): Promise<ReadonlyMap<string, string>> {
  const entries = await t.context.drill.json<Entry>(t, ["ls", "-R", "/"]);
  const seen = new Map<string, string>();
  for (const entry of entries) {
    seen.set(entry.path, JSON.stringify(entry));
    if (entry.kind === "file") seen.set(`content ${entry.path}`, await sha256Of(t, entry.path));
  }
  return seen;
}

async function replaceMasters(t: Context): Promise<void> {
  const { drill } = t.context;
  for (const id of MASTERS) await drill.cluster.kill(id);
  const masters = drill.cluster.members().filter(({ role }) => role === "master");
  const list = masters.map(({ id, address }) => `${id}=${address}`).join(",");
  for (const id of MASTERS) rmSync(join(drill.cluster.dir, id, "data"), { recursive: true });
  await drill.ok(t, ["backup", "verify", drill.at("bak")]);
  await drill.ok(t, [
    ...["backup", "restore", drill.at("bak")],
    ...["--to-dir", drill.at("new"), "--masters", list],
  ]);
  for (const id of MASTERS) renameSync(drill.at("new", id), join(drill.cluster.dir, id, "data"));
  for (const id of MASTERS) await drill.cluster.restart(id);
  await drill.cluster.waitReady();
}

test.serial("a backup is of one revision while writes go on", async (t) => {
  const { drill } = t.context;
  await using client = new Lumeo({ endpoints: drill.cluster.endpoints });
  const over = new AbortController();
  const writing = (async () => {
    for (let i = 0; !over.signal.aborted; i++) {
      await client.mkdir(`/moving/${i}/a`, { recursive: true });
      await client.rename(`/moving/${i}/a`, `/moving/${i}/b`);
    }
  })();
  const [full, index] = [await save(t), await save(t, "--mode", "index")];
  over.abort();
  await writing;
  t.true(0 < full.revision && full.revision < index.revision);
  await drill.ok(t, ["backup", "verify", drill.at("bak")]);
  const shown = await drill.json<Entry>(t, ["backup", "show", drill.at("bak")]);
  const moved = shown.filter(({ path }) => /^\/moving\/\d+\/[ab]$/.test(path));
  const parents = shown.filter(({ path }) => /^\/moving\/\d+$/.test(path));
  t.true(parents.length - moved.length <= 1, "each directory is here under one of its names");
  await drill.ok(t, ["rm", "-r", "/moving"]);
});

test.serial("masters that are lost come back from a full and an incremental backup", async (t) => {
  const { drill } = t.context;
  const source = seededBytes(7, 20 * MIB);
  await drill.ok(t, ["put", "--chunk-size", "4M", "-", "/d/large"], { stdin: source });
  await putText(t, "/d/kept", "kept");
  await putText(t, "/d/changed", "before");
  await putText(t, "/d/removed", "removed");
  await drill.ok(t, ["meta", "set", "/d/kept", "owner=me"]);
  const full = await save(t);
  await putText(t, "/d/changed", "after");
  await putText(t, "/e/added", "added");
  await drill.ok(t, ["rm", "/d/removed"]);
  await drill.ok(t, ["mv", "/d/kept", "/e/kept"]);
  const incremental = await save(t, "--incremental");
  t.is(incremental.since, full.revision);
  t.true(incremental.records < full.records);
  const before = await picture(t);
  t.is(before.get("content /d/large"), source.sha256());
  await putText(t, "/lost", "written after the backup");
  await drill.ok(t, ["rm", "/e/added"]);

  await replaceMasters(t);

  t.deepEqual(await picture(t), before);
  t.truthy(await drill.agreedState(t));
  const gone = await drill.run([
    "watch",
    "/",
    "--since",
    String(incremental.revision),
    "--limit",
    "1",
  ]);
  t.is(gone.status, 4, gone.stderr);
  await putText(t, "/f/new", "life goes on");
  await putText(t, "/d/changed", "again");
  t.is(await drill.ok(t, ["cat", "/f/new"]), "life goes on");
  t.is(await drill.ok(t, ["cat", "/d/changed"]), "again");
  t.is((await drill.run(["stat", "/lost"])).status, 3);
  const next = await save(t, "--incremental");
  t.is(next.since, incremental.revision);
  await drill.ok(t, ["backup", "verify", drill.at("bak")]);
});

test.serial(
  "a restore does not touch folders that are there, nor use a damaged backup",
  async (t) => {
    const { drill } = t.context;
    const restore = (to: string) =>
      drill.run(["backup", "restore", drill.at("bak"), "--to-dir", to, "--masters", "m1=h:1"]);
    t.is((await restore(drill.at("one"))).status, 0);
    t.is((await restore(drill.at("one"))).status, 4);
    const list = await drill.json<Saved>(t, ["backup", "ls", drill.at("bak")]);
    writeFileSync(drill.at("bak", list.at(-1)?.name ?? ""), "damaged");
    t.is((await drill.run(["backup", "verify", drill.at("bak")])).status, 7);
    t.is((await drill.run(["backup", "ls", drill.at("nowhere")])).status, 3);
  },
);
