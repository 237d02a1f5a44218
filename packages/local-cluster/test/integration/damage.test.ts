// Bytes that rot on a disk are never handed out: the reader takes another replica, and the masters
// learn of the damage and have the copy made again.

import { statSync, writeFileSync } from "node:fs";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { digestFile, seededBytes } from "../../src/index.js";
import { damageLargeChunks, damageSmall } from "./damage.js";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const MIB = 2 ** 20;

test.before(async (t) => {
  t.context = { drill: await Drill.start({ masters: 1, chunkservers: 3 }) };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

interface Job {
  readonly kind: string;
  readonly node: string;
  readonly doneChunks: number;
}

/** Copies that were found damaged on a chunkserver, and made again from intact ones. */
async function mendedOn(t: ExecutionContext<{ drill: Drill }>, id: string): Promise<number> {
  const [answer] = await t.context.drill.json<{ readonly jobs: readonly Job[] }>(t, ["job", "ls"]);
  const mends = (answer?.jobs ?? []).filter(({ kind, node }) => kind === "mend" && node === id);
  return mends.reduce((sum, { doneChunks }) => sum + doneChunks, 0);
}

test.serial(
  "a flipped bit in a large chunk is never handed out, is reported and mended",
  async (t) => {
    const { drill } = t.context;
    const chunks = 8;
    const source = seededBytes(5, chunks * MIB);
    await drill.ok(t, ["put", "--chunk-size", "1M", "-", "/large"], { stdin: source });
    for (const id of ["cs1", "cs2"]) {
      const hits = damageLargeChunks(drill, id, MIB);
      t.is(hits, chunks, `${id} has each chunk in a file of its own`);
    }
    await drill.ok(t, ["get", "/large", drill.at("large")]);
    t.is(await digestFile(drill.at("large")), source.sha256());
    await drill.until(t, "damage that was reported and mended", async () => {
      return 0 < (await mendedOn(t, "cs1")) + (await mendedOn(t, "cs2"));
    });
  },
);

test.serial("a flipped bit in a small chunk is never handed out", async (t) => {
  const { drill } = t.context;
  const text = `needle ${"small chunk ".repeat(200)}`;
  writeFileSync(drill.at("small"), text);
  await drill.ok(t, ["put", "--no-inline", drill.at("small"), "/small"]);
  for (const id of ["cs1", "cs2"]) {
    t.true(0 < damageSmall(drill, id, text), `${id} has the small chunk in its log`);
  }
  t.is(await drill.ok(t, ["cat", "/small"]), text);
});

test.serial("when every replica is damaged a read ends with 7 and leaves no file", async (t) => {
  const { drill } = t.context;
  const text = `lost ${"all three ".repeat(200)}`;
  writeFileSync(drill.at("lost"), text);
  await drill.ok(t, ["put", "--no-inline", drill.at("lost"), "/lost"]);
  for (const id of ["cs1", "cs2", "cs3"]) t.true(0 < damageSmall(drill, id, text));
  const { status, stderr } = await drill.run(["get", "/lost", drill.at("never")]);
  t.is(status, 7, stderr);
  t.regex(stderr, /^lumeo: error: [^\n]+\n$/);
  t.throws(() => statSync(drill.at("never")));
});
