// The audits on real processes: no false alarm while clients write and copies move, every kind of
// damage found and mended, and masters that have lost what they knew delete nothing.

import { cpSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Lumeo } from "@lumeofs/client";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { seededBytes } from "../../src/index.js";
import { damageLargeChunks } from "./damage.js";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
type Test = ExecutionContext<{ drill: Drill }>;

const MIB = 2 ** 20;
const ENVIRONMENT = {
  LUMEO_MASTER_HEARTBEAT_MS: "200",
  LUMEO_MASTER_SUSPECT_MS: "1000",
  LUMEO_MASTER_DEAD_MS: "2000",
  LUMEO_MASTER_RELEASED_GRACE_MS: "1000",
  LUMEO_MASTER_SWEEP_MS: "500",
  LUMEO_CHUNKSERVER_INVENTORY_PAUSE_MS: "500",
};

interface Finding {
  readonly finding: {
    readonly fault: string;
    readonly path?: string;
    readonly handle?: number;
    readonly server?: string;
  };
}

test.beforeEach(async (t) => {
  t.context = { drill: await Drill.start({ masters: 3, chunkservers: 4 }, ENVIRONMENT) };
});
test.afterEach.always(async (t) => {
  await t.context.drill.stop();
});

function clientOf({ context: { drill } }: Test): Lumeo {
  return new Lumeo({ endpoints: [...drill.cluster.endpoints] });
}

async function fill(t: Test, count: number): Promise<void> {
  await using client = clientOf(t);
  for (let i = 0; i < count; i++) {
    const body = seededBytes(i + 1, i % 5 === 0 ? 2 * MIB + i : 5_000 + i);
    await client.put(`/data/${i}`, body, { chunkSize: MIB });
  }
}

/** Runs a check; its exit code and what it found. */
async function fsck(t: Test, ...more: readonly string[]) {
  const { status, stdout, stderr } = await t.context.drill.run(["fsck", "--json", ...more]);
  const lines = stdout.split("\n").filter((line) => line !== "");
  const objects = lines.map((line) => JSON.parse(line) as Partial<Finding>);
  const findings = objects.flatMap(({ finding }) => finding ?? []);
  return { status, findings, stdout, stderr };
}

/** Puts, replaces, copies, removes and moves files until it is told to stop. */
async function writeUntil(t: Test, folder: string, stopped: () => boolean): Promise<number> {
  await using client = clientOf(t);
  let count = 0;
  for (; !stopped(); count++) {
    const path = `${folder}/${count % 20}`;
    const length = [300_000, 5_000, 3_000][count % 3] ?? 0; // the last one the masters keep
    await client.put(path, seededBytes(count, length));
    if (count % 4 === 1) await client.copy(path, `${folder}/copy-${count}`);
    if (count % 5 === 2) await client.remove(path);
    else if (count % 7 === 3) await client.rename(path, `${folder}/moved-${count}`);
  }
  return count;
}

test.serial("fsck has no false alarm while clients write and a server is emptied", async (t) => {
  const { drill } = t.context;
  await fill(t, 15);
  await drill.ok(t, ["mkdir", "/busy"]);
  await drill.ok(t, ["policy", "set", "/busy", "--versions", "2"]);
  let isStopped = false;
  const folders = ["/busy/a", "/busy/b"];
  const writers = folders.map((folder) => writeUntil(t, folder, () => isStopped));
  try {
    for (const round of ["names and replicas", "bytes", "drain"]) {
      if (round === "drain") await drill.ok(t, ["node", "drain", "cs1"]);
      const more = round === "bytes" ? ["--bytes"] : [];
      const { status, stdout, stderr } = await fsck(t, ...more);
      t.is(status, 0, `${round}: ${stdout} ${stderr}`);
    }
  } finally {
    isStopped = true;
  }
  const counts = await Promise.all(writers);
  t.true(
    counts.every((count) => 5 < count),
    "the writers wrote",
  );
  t.is((await fsck(t, "--bytes")).status, 0);
});

test.serial("damage is found by fsck and verify, healed, and gone from both", async (t) => {
  const { drill } = t.context;
  await fill(t, 6);
  t.is(damageLargeChunks(drill, "cs1", MIB) + damageLargeChunks(drill, "cs2", MIB) > 0, true);
  const found = await fsck(t, "--bytes", "/data");
  t.is(found.status, 1, found.stdout + found.stderr);
  t.true(found.findings.every(({ fault }) => fault === "corrupt"));
  t.true(found.findings.every(({ path }) => path?.startsWith("/data/") === true));
  t.true(found.findings.every(({ server }) => server === "cs1" || server === "cs2"));
  await drill.until(t, "a check that finds nothing", async () => {
    return (await fsck(t, "--bytes")).status === 0;
  });
  const verified = await drill.run(["verify", "-r", "/data"]);
  t.is(verified.status, 0, verified.stdout + verified.stderr);
});

test.serial(
  "a server that is away leaves a check incomplete, and doctor says what to do",
  async (t) => {
    const { drill } = t.context;
    await fill(t, 4);
    await drill.cluster.kill("cs2");
    const { status, stdout } = await fsck(t);
    t.is(status, 2, stdout);
    t.regex(stdout, /"unchecked":\{"subject":"cs2"/);
    const doctor = await drill.run(["doctor"]);
    t.is(doctor.status, 1, doctor.stdout);
    t.regex(doctor.stdout, /! chunkservers, cs2: it is (suspect|dead)\n +→ start it again/);
  },
);

test.serial("rule 22: masters that were set back to an old state delete nothing", async (t) => {
  const { drill } = t.context;
  await fill(t, 4);
  const masters = drill.cluster.members().filter(({ role }) => role === "master");
  const folders = masters.map(({ id, dir }) => ({ data: join(dir, "data"), old: drill.at(id) }));
  await drill.restartAll(() => {
    for (const { data, old } of folders) cpSync(data, old, { recursive: true });
  });
  // Far more than the grants that the old state has given.
  await using client = clientOf(t);
  for (let i = 0; i < 200; i++) await client.put(`/lost/${i}`, seededBytes(i, 400_000));
  await client.close();
  const kept = chunkFiles(t);
  await drill.restartAll(() => {
    for (const { data, old } of folders) {
      rmSync(data, { recursive: true });
      cpSync(old, data, { recursive: true });
    }
  });
  await drill.until(t, "the alarm", async () => {
    return (await drill.ok(t, ["cluster", "status"])).includes("never ordered");
  });
  const doctor = await drill.run(["doctor"]);
  t.is(doctor.status, 1);
  t.regex(doctor.stdout, /✘ metadata, cs\d: .*the masters have lost what they knew/);
  const { status, findings } = await fsck(t);
  t.is(status, 1);
  t.true(findings.some(({ fault }) => fault === "newer"));
  t.deepEqual(chunkFiles(t), kept, "nothing was deleted");
});

/** The chunk files of all servers, by their names. */
function chunkFiles({ context: { drill } }: Test): readonly string[] {
  return drill.cluster
    .members()
    .filter(({ role }) => role === "chunkserver")
    .flatMap(({ id, dir }) => {
      const chunks = join(dir, "data", "chunks");
      const names = readdirSync(chunks, { recursive: true, encoding: "utf8" });
      return names.filter((name) => name.includes("-")).map((name) => `${id}/${name}`);
    })
    .sort();
}
