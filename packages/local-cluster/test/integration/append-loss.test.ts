// Record append where disks are lost for good, on real processes: of two copies one is enough to go
// on with everything that was acknowledged; of three, one is not, and an operator has to say so.

import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Lumeo } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const SETTINGS = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_SUSPECT_MS: "1000",
  LUMEO_MASTER_DEAD_MS: "2000",
  LUMEO_MASTER_STEADY_MS: "1000",
  LUMEO_MASTER_REPAIR_AFTER_MS: "3000",
};

test.before(async (t) => {
  t.context = { drill: await Drill.start({ masters: 1, chunkservers: 5 }, SETTINGS) };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

/** Its machine comes back with an empty disk. */
async function loseDisk(drill: Drill, id: string): Promise<void> {
  await drill.cluster.kill(id);
  rmSync(join(drill.cluster.dir, id, "data"), { recursive: true });
  await drill.cluster.restart(id);
}

/** Appends lines one after the other; what the file then holds. */
async function appendLines(client: Lumeo, path: string, count: number): Promise<string> {
  const lines = Array.from(
    { length: count },
    (_, i) => `${path} line ${i} ${"x".repeat(i % 50)}\n`,
  );
  for (const line of lines) await client.append(path, line);
  return lines.join("");
}

async function holdersOf(t: ExecutionContext, client: Lumeo, path: string) {
  const { tail } = await client.stat(path);
  t.not(tail, undefined);
  return { handle: tail?.handle ?? 0, names: (tail?.replicas ?? []).map(({ id }) => id) };
}

async function textOf(client: Lumeo, path: string): Promise<string> {
  return (await client.get(path)).text();
}

for (const which of ["primary", "other one"] as const) {
  test.serial(`of two copies the ${which} is lost, and every record is kept`, async (t) => {
    const { drill } = t.context;
    await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
    const path = `/pair of the ${which}`;
    await client.put(path, "", { redundancy: { replicas: 2 } });
    const before = await appendLines(client, path, 40);
    const { names } = await holdersOf(t, client, path);
    t.is(names.length, 2);
    await loseDisk(drill, names[which === "primary" ? 0 : 1] ?? "");
    await client.append(path, "and on\n");
    t.is(await textOf(client, path), `${before}and on\n`);
    await client.rename(path, `${path}, moved`);
    t.is(await textOf(client, `${path}, moved`), `${before}and on\n`);
  });
}

test.serial(
  "of three copies two are lost: errors say what to do, and that keeps the rest",
  async (t) => {
    const { drill } = t.context;
    await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
    const path = "/three";
    const before = await appendLines(client, path, 40);
    const { handle, names } = await holdersOf(t, client, path);
    for (const name of names.slice(1)) await loseDisk(drill, name);
    const command = ["chunk", "salvage", String(handle)];
    await drill.until(t, "an error that says what to do", async () => {
      const { status, stderr } = await drill.run(["mv", path, "/elsewhere"]);
      return status !== 0 && stderr.includes(command.join(" "));
    });
    const append = await drill.run(["append", path, "--text", "x", "--timeout", "2s"]);
    t.not(append.status, 0);
    t.regex(append.stderr, /chunk salvage/);
    const checked = await drill.run(["fsck", path]);
    t.is(checked.status, 1);
    t.regex(checked.stdout, /growing chunk is stuck: .*chunk salvage/);
    const { stdout: firstAid } = await drill.run(["doctor"]);
    t.regex(firstAid, /appends, \/three: .*chunk salvage/);
    t.regex(await drill.ok(t, ["chunk", "show", String(handle)]), /It cannot go on: 2 of the 3/);
    t.regex(await drill.ok(t, command), /kept[\s\S]*Given up[\s\S]*Nothing was changed/);
    t.notRegex(await drill.ok(t, [...command, "--yes"]), /Nothing was changed/);
    await client.append(path, "and on\n");
    t.is(await textOf(client, path), `${before}and on\n`);
    t.is((await drill.run(command)).status, 3);
  },
);

test.serial("verify and fsck read what is being appended, on every member", async (t) => {
  const { drill } = t.context;
  await using client = new Lumeo({ endpoints: [...drill.cluster.endpoints] });
  const path = "/checked";
  const text = await appendLines(client, path, 40);
  const { handle, names } = await holdersOf(t, client, path);
  const growing = { path, index: 0, handle, isGrowing: true, isInline: false, length: text.length };
  const intact = names.map((server) => ({ server, finding: "intact" }));
  const [chunk, summary] = await drill.json(t, ["verify", path]);
  t.like(chunk, { ...growing, replicas: intact });
  t.like(summary, { summary: { chunks: 1, replicas: 3, bytes: 3 * text.length, bad: 0 } });
  const well = await drill.run(["fsck", "--bytes", path]);
  t.is(well.status, 0, well.stdout);

  const [, bad = ""] = names;
  const data = join(drill.cluster.dir, bad, "data");
  const log = readdirSync(data, { recursive: true, encoding: "utf8" })
    .filter((name) => /tails.*\.wal$/.test(name))
    .map((name) => join(data, name))
    .find((name) => readFileSync(name).includes(`${path} line 30 `));
  t.not(log, undefined);
  const bytes = readFileSync(log ?? "");
  bytes[bytes.indexOf(`${path} line 30 `) + 3] = 0x21;
  writeFileSync(log ?? "", bytes, { flag: "r+" });
  const { status, stdout } = await drill.run(["fsck", "--bytes", path]);
  t.is(status, 1, stdout);
  t.regex(stdout, new RegExp(`damaged growing chunk.*${bad}`));
  await drill.until(t, "a member that is whole again", async () => {
    await client.append(path, "more\n");
    return (await drill.run(["verify", path])).status === 0;
  });
  t.true((await textOf(client, path)).startsWith(text));
});
