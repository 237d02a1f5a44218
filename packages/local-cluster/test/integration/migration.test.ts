// Masters come and go under a client that writes: no call fails, nothing is lost, and all masters
// agree. A master whose folder was wiped does not come back under its name.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { connect } from "@lumeofs/client";
import anyTest, { type TestFn } from "ava";
import { migrate } from "../../src/index.js";
import { installedEntryFiles } from "../../src/member-process.js";
import { Drill } from "./drill.js";

const test = anyTest as TestFn<{ drill: Drill }>;

interface Master {
  readonly id: string;
  readonly role: string;
  readonly standing: string;
}

test.beforeEach(async (t) => {
  t.context = { drill: await Drill.start({ masters: 1, chunkservers: 1 }) };
});
test.afterEach.always(async (t) => {
  await t.context.drill.stop();
});

test.serial(
  "one → three → five → three → one masters under a writer: no failed call",
  async (t) => {
    const { drill } = t.context;
    await using client = await connect(drill.cluster.endpoints.join(","));
    const atFive: string[] = [];
    const { steps, calls, failures, lost } = await migrate(drill.cluster, client, {
      nowMs: () => performance.now(),
      onStep: ({ masters }) => {
        if (masters.length === 5) atFive.push(...masters);
      },
    });
    t.deepEqual(failures, []);
    t.deepEqual(lost, []);
    t.true(0 < calls);
    t.deepEqual(
      steps.map(({ masters }) => masters.length),
      [3, 5, 5, 3, 1],
    );
    t.true(atFive.includes("m5"));
    t.deepEqual(steps.at(-1)?.masters, ["m5"]);
  },
);

test.serial("the states of all masters are equal after every change", async (t) => {
  const { drill } = t.context;
  await drill.ok(t, ["mkdir", "/a"]);
  await drill.cluster.addMasters(2);
  t.truthy(await drill.agreedState(t));
  await drill.ok(t, ["mkdir", "/b"]);
  await drill.cluster.addMasters(2);
  await drill.ok(t, ["mkdir", "/c"]);
  t.truthy(await drill.agreedState(t));
  await drill.cluster.removeMasters(["m1", "m4"]);
  t.truthy(await drill.agreedState(t));
  t.deepEqual(
    drill.cluster.members().flatMap(({ id, role }) => (role === "master" ? [id] : [])),
    ["m2", "m3", "m5"],
  );
  await drill.restartAll();
  t.is((await drill.ok(t, ["ls", "/"])).trim().split(/\s+/).length, 3);
  t.truthy(await drill.agreedState(t));
});

test.serial("an addition that fails halfway leaves nothing behind in the group", async (t) => {
  const { drill } = t.context;
  const [first = ""] = drill.cluster.endpoints;
  const [host, port] = first.split(":");
  await using client = await connect(first);
  // Somebody is where the second of the new masters will be, and is gone when that comes.
  const squatter = { id: "squatter", address: `${host}:${Number(port) + 2}` };
  const args = ["--id", squatter.id, "--dir", drill.at("squatter"), "--listen", squatter.address];
  const { master } = installedEntryFiles();
  const child = spawn(process.execPath, [master, ...args, "--join", first], { stdio: "ignore" });
  const ended = once(child, "exit");
  const joined = await drill.until(t, "the learner", async () => {
    return client.masters.add([squatter], { asLearners: true }).then(
      () => true,
      () => false,
    );
  });
  child.kill("SIGKILL");
  await ended;
  t.true(joined);
  const error = await t.throwsAsync(drill.cluster.addMasters(2));
  t.regex(error?.message ?? "", /address of master "m3" is another master's/);
  const known = (await client.masters.list()).map(({ id }) => id);
  t.deepEqual(known.sort(), ["m1", "squatter"]);
  await client.masters.remove([squatter.id]);
  t.deepEqual(await drill.cluster.addMasters(2), ["m4", "m5"]);
});

test.serial(
  "a wiped master is refused under its name, and comes back under a new one",
  async (t) => {
    const { drill } = t.context;
    await drill.cluster.addMasters(2);
    await drill.cluster.kill("m3");
    const member = drill.cluster.members().find(({ id }) => id === "m3");
    rmSync(`${member?.dir}/data`, { recursive: true });
    await drill.cluster.restart("m3");
    const said = /The group knows a master .+m3.+ already: start this one under a new name/;
    await drill.until(t, "the wiped master to say what is wrong", () => {
      return said.test(readFileSync(`${member?.dir}/log`, "utf8"));
    });
    await drill.ok(t, ["mkdir", "/still-works"]);
    await drill.cluster.removeMasters(["m3"]);
    const [id] = await drill.cluster.addMasters(1);
    t.is(id, "m4");
    t.truthy(await drill.agreedState(t));
  },
);

test.serial(
  "operators see the masters, move the leadership, and are told what is wrong",
  async (t) => {
    const { drill } = t.context;
    await drill.cluster.addMasters(2);
    const list = async () => (await drill.json<{ masters: Master[] }>(t, ["master", "ls"]))[0];
    t.deepEqual(
      (await list())?.masters.map(({ standing }) => standing),
      ["voter", "voter", "voter"],
    );
    t.is((await drill.ok(t, ["master", "transfer-leader", "m3"])).trim(), "m3 leads");
    t.is((await list())?.masters.find(({ role }) => role === "leader")?.id, "m3");
    const wrong = [
      [["master", "add", "m9=127.0.0.1:9"], /no master answers at 127\.0\.0\.1:9/],
      [["master", "remove", "m9"], /there is no master "m9"/],
      [["master", "transfer-leader", "m9"], /no master that votes/],
      [["master", "promote", "m9"], /there is no master "m9"/],
      [["master", "add", "nonsense"], /name=host:port/],
    ] as const;
    for (const [args, message] of wrong) {
      const { status, stderr } = await drill.run([...args, "--timeout", "5s"]);
      t.not(status, 0);
      t.regex(stderr, message);
    }
    // A leader that is asked to stop hands over first: nobody misses it.
    await drill.cluster.kill("m3", "SIGTERM");
    t.not((await list())?.masters.find(({ role }) => role === "leader")?.id, "m3");
    await drill.ok(t, ["mkdir", "/after"]);
  },
);
