// `lumeo dev` as people use it: foreground, background, Ctrl-C, killed supervisors, wrong starts.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  findPortBase,
  identifyProcess,
  type MemberRecord,
  TOPOLOGY_DEFAULT,
  waitUntil,
} from "@lumeofs/local-cluster";
import test from "ava";
import { BIN, DevFolder, PATIENCE, SMALL } from "./dev-folder.js";

/** A zombie that nobody reaps is not alive. */
function isAlive(pid: number | null): boolean {
  return pid !== null && identifyProcess(pid) !== undefined;
}

async function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  return child.exitCode;
}

test.serial("dev --detach returns when the cluster accepts writes, and it runs on", async (t) => {
  const folder = new DevFolder(t);
  await folder.start(t);
  await folder.store(t, "/a", "first");
  t.deepEqual(
    folder.members().map((member) => Object.keys(member)),
    [1, 2].map(() => ["id", "role", "pid", "address", "dir"]),
  );
  t.true(folder.members().every((member) => isAlive(member.pid)));
  const again = await folder.run("dev", "--detach");
  t.is(again.status, 4);
  t.regex(again.stderr, /^lumeo: error: [^\n]*already runs one[^\n]*\n$/);
});

test.serial(
  "dev stop ends every process, and the next dev finds ids, ports and data",
  async (t) => {
    const folder = new DevFolder(t);
    await folder.start(t);
    await folder.store(t, "/a", "kept");
    const before = folder.members();
    const stopped = await folder.run("dev", "stop");
    t.is(stopped.stdout, "Stopped 2 members\n");
    t.false(before.some((member) => isAlive(member.pid)));
    t.is((await folder.run("dev", "stop")).status, 0);
    t.is((await folder.run("dev", "--detach")).status, 0);
    const shape = ({ id, address, dir }: MemberRecord) => ({ id, address, dir });
    t.deepEqual(folder.members().map(shape), before.map(shape));
    t.is((await folder.run("cat", "/a")).stdout, "kept");
  },
);

test.serial(
  "members.json and dev status tell of a killed member; dev revive starts it",
  async (t) => {
    const folder = new DevFolder(t);
    await folder.start(t);
    await folder.store(t, "/a", "survives");
    const victim = folder.members().find((member) => member.id === "cs1");
    process.kill(victim?.pid ?? 0, "SIGKILL");
    const down = () => folder.members().some((member) => member.pid === null) || undefined;
    t.true(await waitUntil(down, PATIENCE));
    t.is((await folder.run("dev", "status")).status, 1);
    const revived = await folder.run("dev", "revive");
    t.is(revived.stdout, "Started cs1\n");
    t.is((await folder.run("dev", "status")).status, 0);
    const read = async () => (await folder.run("cat", "/a")).stdout === "survives" || undefined;
    t.true(await waitUntil(read, PATIENCE));
  },
);

test.serial("dev revive says who ended again, and why", async (t) => {
  const folder = new DevFolder(t);
  await folder.start(t);
  const victim = folder.members().find((member) => member.id === "m1");
  process.kill(victim?.pid ?? 0, "SIGKILL");
  const down = () => folder.members().some((member) => member.pid === null) || undefined;
  t.true(await waitUntil(down, PATIENCE));
  writeFileSync(join(folder.dir, "m1", "data", "QUARANTINE"), "Its state is wrong\n");
  const revived = await folder.run("dev", "revive");
  t.is(revived.status, 1);
  t.is(revived.stdout, "Started nobody\n");
  t.regex(revived.stderr, /m1 ended again: .*quarantine/);
});

test.serial(
  "dev takes 1, 3 or 5 masters, and its other commands none of its options",
  async (t) => {
    const folder = new DevFolder(t);
    for (const count of ["2", "4", "7", "x"]) {
      const { status, stderr } = await folder.run("dev", "--masters", count);
      t.is(status, 2);
      t.regex(stderr, /choose one of 1, 3, 5/);
    }
    t.is((await folder.run("dev", "--port-base", "65530")).status, 2);
    t.is((await folder.run("dev", "stop", "--masters", "3")).status, 2);
  },
);

test.serial("an endpoint that is no master is named as what it is", async (t) => {
  const folder = new DevFolder(t);
  await folder.start(t);
  const address = folder.members().find(({ role }) => role === "chunkserver")?.address ?? "";
  const control = `127.0.0.1:${Number(address.split(":").at(-1)) + 20}`;
  for (const args of [
    ["ls", "/"],
    ["cluster", "status"],
  ]) {
    const { status, stderr } = await folder.run(...args, "--endpoint", control, "--timeout", "3s");
    t.is(status, 6, stderr);
    t.regex(stderr, /another kind of server/);
  }
});

test.serial("Ctrl-C ends a dev in the foreground with 130 and every member with it", async (t) => {
  const folder = new DevFolder(t);
  const portBase = String(await findPortBase(TOPOLOGY_DEFAULT));
  const args = ["dev", "--dir", folder.dir, ...SMALL, "--port-base", portBase];
  const child = spawn(process.execPath, [BIN, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  const members = folder.members();
  t.true(members.every((member) => isAlive(member.pid)));
  child.kill("SIGINT");
  t.is(await ended(child), 130);
  t.false(members.some((member) => isAlive(member.pid)));
  t.true(folder.members().every((member) => member.pid === null));
});

test.serial("dev stop ends members whose supervisor was killed with -9", async (t) => {
  const folder = new DevFolder(t);
  await folder.start(t);
  const { supervisor } = JSON.parse((await folder.run("dev", "status", "--json")).stdout) as {
    supervisor: number;
  };
  const before = folder.members();
  process.kill(supervisor, "SIGKILL");
  t.true(await waitUntil(() => !isAlive(supervisor) || undefined, PATIENCE));
  t.true(before.every((member) => isAlive(member.pid)));
  const refused = await folder.run("dev", "--detach");
  t.is(refused.status, 4);
  t.regex(refused.stderr, /still run/);
  t.is((await folder.run("dev", "stop")).stdout, "Stopped 2 members\n");
  t.false(before.some((member) => isAlive(member.pid)));
});

test.serial("Ctrl-C during a put ends it with 130, and the file is not there", async (t) => {
  const folder = new DevFolder(t);
  await folder.start(t);
  const endpoints = readFileSync(join(folder.dir, "endpoints"), "utf8");
  const child = spawn(process.execPath, [BIN, "put", "--replicas", "1", "-", "/half"], {
    env: { ...process.env, LUMEO_ENDPOINTS: endpoints },
    stdio: ["pipe", "ignore", "pipe"],
  });
  child.stdin.write(Buffer.alloc(2 ** 20));
  child.stdin.on("error", () => {});
  // The put has begun when what it was given has been taken.
  const taken = () => (child.stdin.writableLength === 0 ? true : undefined);
  t.true(await waitUntil(taken, PATIENCE));
  child.kill("SIGINT");
  t.is(await ended(child), 130);
  t.is((await folder.run("stat", "/half")).status, 3);
});
