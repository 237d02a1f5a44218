// Bits that flip on a disk are found by the chunkserver itself, without anybody reading the file,
// and the copy is made again from the others.

import { writeFileSync } from "node:fs";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { digestFile, seededBytes } from "../../src/index.js";
import { damageLargeChunks, damageSmall } from "./damage.js";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const MIB = 2 ** 20;

interface Scrub {
  readonly rounds: number;
  readonly roundBeganAt: number;
  readonly lastRoundBeganAt: number;
  readonly replicasRead: number;
  readonly found: number;
}

interface Status {
  readonly chunkservers: readonly {
    readonly id: string;
    readonly damaged: number;
    readonly scrub: Scrub;
    readonly stopped: readonly number[];
  }[];
}

test.before(async (t) => {
  const drill = await Drill.start(
    { masters: 1, chunkservers: 3 },
    {
      LUMEO_CHUNKSERVER_SCRUB_BYTES_PER_SECOND: String(1024 * MIB),
      LUMEO_CHUNKSERVER_SCRUB_ROUND_MS: "200",
    },
  );
  t.context = { drill };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

async function serverOf(t: ExecutionContext<{ drill: Drill }>, id: string) {
  const [status] = await t.context.drill.json<Status>(t, ["cluster", "status"]);
  return status?.chunkservers.find((server) => server.id === id);
}

test.serial(
  "flipped bits are found by the scrub alone, and healed from other copies",
  async (t) => {
    const { drill } = t.context;
    const chunks = 3;
    const source = seededBytes(5, chunks * MIB);
    await drill.ok(t, ["put", "--chunk-size", "1M", "-", "/large"], { stdin: source });
    const text = `needle ${"small chunk ".repeat(200)}`;
    writeFileSync(drill.at("small"), text);
    await drill.ok(t, ["put", "--no-inline", drill.at("small"), "/small"]);

    t.is(damageLargeChunks(drill, "cs2", MIB), chunks);
    t.true(0 < damageSmall(drill, "cs2", text));
    await drill.until(t, "the scrub to find all of it", async () => {
      return chunks + 1 <= ((await serverOf(t, "cs2"))?.scrub.found ?? 0);
    });
    await drill.until(t, "whole copies on the same server", async () => {
      return (await serverOf(t, "cs2"))?.damaged === 0;
    });
    const healed = await serverOf(t, "cs2");
    await drill.until(t, "two more rounds", async () => {
      return (healed?.scrub.rounds ?? 0) + 2 <= ((await serverOf(t, "cs2"))?.scrub.rounds ?? 0);
    });
    const after = await serverOf(t, "cs2");
    t.like(after, { damaged: 0, stopped: [] });
    t.is(after?.scrub.found, healed?.scrub.found, "what was made again is intact");
    await drill.ok(t, ["get", "/large", drill.at("large")]);
    t.is(await digestFile(drill.at("large")), source.sha256());
    t.is(await drill.ok(t, ["cat", "/small"]), text);
  },
);

test.serial("the figures of the scrub outlive a restart", async (t) => {
  const { drill } = t.context;
  const before = await serverOf(t, "cs1");
  t.true(0 < (before?.scrub.lastRoundBeganAt ?? 0));
  await drill.restartAll();
  await drill.until(t, "the figures", async () => {
    return (before?.scrub.rounds ?? 0) <= ((await serverOf(t, "cs1"))?.scrub.rounds ?? -1);
  });
  const after = await serverOf(t, "cs1");
  t.true((before?.scrub.replicasRead ?? 0) <= (after?.scrub.replicasRead ?? 0));
});
