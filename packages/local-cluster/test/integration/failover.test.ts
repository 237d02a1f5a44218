// kill -9 in the middle: no put fails, no byte is lost, and the masters agree afterwards.

import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import anyTest, { type ExecutionContext, type TestFn } from "ava";
import { seededBytes } from "../../src/index.js";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;
const MIB = 2 ** 20;
const LARGE_BYTES = 128 * MIB;

test.before(async (t) => {
  t.context = { drill: await Drill.start({ masters: 3, chunkservers: 4 }) };
});
test.after.always(async (t) => {
  await t.context.drill.stop();
});

async function sha256Of(t: ExecutionContext<{ drill: Drill }>, path: string): Promise<string> {
  const hash = createHash("sha256");
  await t.context.drill.ok(t, ["cat", path], {
    onStdout: (piece) => {
      hash.update(piece);
    },
  });
  return hash.digest("hex");
}

test.serial("a put goes on while the leader and the current primary are killed", async (t) => {
  const { drill } = t.context;
  const source = seededBytes(3, LARGE_BYTES);
  let client = 0;
  const killed: string[] = [];
  async function* underFire(): AsyncGenerator<Uint8Array> {
    let sent = 0;
    for await (const piece of source) {
      yield piece;
      sent += piece.byteLength;
      const due = sent === LARGE_BYTES / 4 ? "leader" : sent === LARGE_BYTES / 2 ? "primary" : "";
      if (due === "") continue;
      const victim = due === "leader" ? await drill.leader(t) : drill.primaryOf(client)?.id;
      t.truthy(victim, `there is a ${due} to kill`);
      killed.push(victim ?? "");
      await drill.cluster.kill(victim ?? "");
    }
  }
  await drill.ok(t, ["put", "--chunk-size", "16M", "-", "/large"], {
    stdin: underFire(),
    onStart: (pid) => {
      client = pid;
    },
  });
  t.is(killed.length, 2);
  t.is(await sha256Of(t, "/large"), source.sha256());
  const revived = await drill.cluster.revive();
  t.deepEqual([...revived].sort(), [...killed].sort());
  await drill.cluster.waitReady();
  t.truthy(await drill.agreedState(t));
  t.is(await sha256Of(t, "/large"), source.sha256());
});

test.serial("small puts go on while a chunkserver is down, and come back with it", async (t) => {
  const { drill } = t.context;
  await drill.cluster.kill("cs1");
  for (let i = 0; i < 5; i++) {
    writeFileSync(drill.at(`small-${i}`), `small ${i}`);
    await drill.ok(t, ["put", "--no-inline", drill.at(`small-${i}`), "/small/"]);
  }
  await drill.cluster.restart("cs1");
  await drill.cluster.waitReady();
  for (let i = 0; i < 5; i++) t.is(await drill.ok(t, ["cat", `/small/small-${i}`]), `small ${i}`);
});

test.serial("every master can be killed in turn, and nothing that was acked is lost", async (t) => {
  const { drill } = t.context;
  const written: string[] = [];
  for (const master of ["m1", "m2", "m3"]) {
    await drill.cluster.kill(master);
    writeFileSync(drill.at("note"), `without ${master}`);
    await drill.ok(t, ["put", drill.at("note"), `/turns/${master}`]);
    written.push(master);
    await drill.cluster.restart(master);
    await drill.cluster.waitReady();
  }
  for (const master of written) {
    t.is(await drill.ok(t, ["cat", `/turns/${master}`]), `without ${master}`);
  }
  t.truthy(await drill.agreedState(t));
});

test.serial("a restart of everything keeps ids, ports and every file", async (t) => {
  const { drill } = t.context;
  const shape = () => drill.cluster.members().map(({ id, address }) => `${id} ${address}`);
  const before = { members: shape(), tree: await drill.ok(t, ["ls", "-l", "-R", "/"]) };
  const sha256 = await sha256Of(t, "/large");
  await drill.restartAll();
  t.deepEqual({ members: shape(), tree: await drill.ok(t, ["ls", "-l", "-R", "/"]) }, before);
  t.is(await sha256Of(t, "/large"), sha256);
});

test.serial("without a majority of masters a command ends with 6 and one clear line", async (t) => {
  const { drill } = t.context;
  await drill.cluster.kill("m1");
  await drill.cluster.kill("m2");
  writeFileSync(drill.at("late"), "late");
  const { status, stderr } = await drill.run(["put", "--timeout", "3s", drill.at("late"), "/late"]);
  t.is(status, 6, stderr);
  t.regex(stderr, /^lumeo: error: [^\n]+\n$/);
  await drill.cluster.stop();
  const down = await drill.run(["ls", "--timeout", "3s", "/"]);
  t.is(down.status, 6, down.stderr);
  t.regex(down.stderr, /^lumeo: error: [^\n]+\n$/);
});
