// LocalCluster with small programs in the place of the servers: everything but the storing.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test, { type ExecutionContext } from "ava";
import { takeLock } from "../src/folder-lock.js";
import {
  ClusterFolder,
  inspectCluster,
  isRunning,
  LocalCluster,
  type LocalClusterOptions,
  type MemberLoss,
  stopClusterIn,
  waitUntil,
} from "../src/index.js";

const PROGRAM = fileURLToPath(new URL("./program/member.js", import.meta.url));

function folder(t: ExecutionContext): string {
  const dir = mkdtempSync(join(tmpdir(), "lumeo-local-cluster-"));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function start(
  t: ExecutionContext,
  options: Partial<LocalClusterOptions> & { dir: string },
): Promise<LocalCluster> {
  const cluster = await LocalCluster.start({
    portBase: "free",
    masters: 1,
    chunkservers: 2,
    entries: { master: PROGRAM, chunkserver: PROGRAM },
    ...options,
  });
  t.teardown(() => cluster.stop());
  return cluster;
}

function membersJson(dir: string): { id: string; pid: number | null }[] {
  return JSON.parse(readFileSync(join(dir, "members.json"), "utf8"));
}

const startsOf = (dir: string, id: string): number => {
  const file = join(dir, id, "data", "starts");
  return existsSync(file) ? readFileSync(file, "utf8").trim().split("\n").length : 0;
};

test("LocalCluster.start() starts every member and describes it in members.json", async (t) => {
  const dir = folder(t);
  const cluster = await start(t, { dir });
  const members = membersJson(dir);
  t.deepEqual(
    members.map((member) => Object.keys(member)),
    members.map(() => ["id", "role", "pid", "address", "dir"]),
  );
  t.deepEqual(
    members.map((member) => member.id),
    ["m1", "cs1", "cs2"],
  );
  t.true(new ClusterFolder(dir).readProcesses().every(isRunning));
  t.is(readFileSync(join(dir, "endpoints"), "utf8"), `${cluster.endpoints.join(",")}\n`);
});

test("LocalCluster gives its members eight threads for file work", async (t) => {
  const dir = folder(t);
  await start(t, { dir });
  await waitUntil(() => (startsOf(dir, "m1") === 1 ? true : undefined), { timeoutMs: 60_000 });
  t.is(readFileSync(join(dir, "m1", "data", "starts"), "utf8"), "8\n");
});

test("LocalCluster.stop() ends every member and frees the folder", async (t) => {
  const dir = folder(t);
  const cluster = await start(t, { dir });
  const processes = new ClusterFolder(dir).readProcesses();
  await cluster.stop();
  t.false(processes.some(isRunning));
  t.true(membersJson(dir).every((member) => member.pid === null));
  t.false(existsSync(join(dir, "lock")));
});

test("a restart in the same folder keeps ids and ports without being told", async (t) => {
  const dir = folder(t);
  const first = await start(t, { dir, chunkservers: 3 });
  const before = first.members().map(({ id, address }) => `${id} ${address}`);
  await first.stop();
  const second = await LocalCluster.start({
    dir,
    entries: { master: PROGRAM, chunkserver: PROGRAM },
  });
  t.teardown(() => second.stop());
  t.deepEqual(
    second.members().map(({ id, address }) => `${id} ${address}`),
    before,
  );
});

test("LocalCluster.start() refuses a folder in which a cluster runs", async (t) => {
  const dir = folder(t);
  await start(t, { dir });
  await t.throwsAsync(start(t, { dir }), { message: /already runs one.*dev stop --dir/ });
  t.true(new ClusterFolder(dir).readProcesses().every(isRunning));
});

test("LocalCluster.start() names the port that is in use, and the way out", async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  const address = server.address();
  const portBase = typeof address === "object" && address !== null ? address.port : 0;
  await t.throwsAsync(start(t, { dir: folder(t), portBase }), {
    message: new RegExp(`port ${portBase} is in use.*--port-base`),
  });
});

test("LocalCluster.kill() takes one member down and restart() brings it back", async (t) => {
  const dir = folder(t);
  const cluster = await start(t, { dir });
  await waitUntil(() => (startsOf(dir, "cs1") === 1 ? true : undefined), { timeoutMs: 60_000 });
  await cluster.kill("cs1");
  const pidOf = (id: string) => membersJson(dir).find((member) => member.id === id)?.pid;
  t.is(pidOf("cs1"), null);
  await cluster.restart("cs1");
  t.is(typeof pidOf("cs1"), "number");
  const twice = () => (startsOf(dir, "cs1") === 2 ? true : undefined);
  t.true(await waitUntil(twice, { timeoutMs: 60_000 }));
});

test("LocalCluster notices a member that ends by itself and leaves it down", async (t) => {
  const dir = folder(t);
  const losses: MemberLoss[] = [];
  const cluster = await start(t, { dir, onMemberLost: (loss) => losses.push(loss) });
  const victim = new ClusterFolder(dir).readProcesses().find((one) => one.id === "cs2");
  process.kill(victim?.pid ?? 0, "SIGKILL");
  const seen = await waitUntil(() => losses[0], { timeoutMs: 60_000 });
  t.like(seen, { id: "cs2", why: "SIGKILL" });
  t.is(membersJson(dir).find((member) => member.id === "cs2")?.pid, null);
  t.deepEqual(await cluster.revive(), ["cs2"]);
});

test("LocalCluster.waitReady() fails at once, with the log, when a member cannot start", async (t) => {
  const dir = folder(t);
  const cluster = await start(t, { dir });
  await cluster.kill("m1");
  writeFileSync(join(dir, "m1", "data", "refuse"), "");
  await cluster.restart("m1");
  const failed = await t.throwsAsync(cluster.waitReady());
  t.regex(failed?.message ?? "", /m1 ended with exit status 3: told to refuse\. The logs/);
});

test("LocalCluster.waitReady() does without a chunkserver that cannot start", async (t) => {
  const dir = folder(t);
  const losses: MemberLoss[] = [];
  const cluster = await start(t, {
    dir,
    chunkservers: 4,
    onMemberLost: (loss) => losses.push(loss),
    watch: () => ({
      look: () => {
        const alive = ["cs2", "cs3", "cs4"].map((id) => ({ id, state: "alive" }));
        return Promise.resolve({ leader: "m1", chunkservers: alive });
      },
      close: () => Promise.resolve(),
    }),
  });
  await cluster.kill("cs1");
  writeFileSync(join(dir, "cs1", "data", "refuse"), "");
  await cluster.restart("cs1");
  await cluster.waitReady();
  t.like(losses, [{ id: "cs1", why: "exit status 3: told to refuse" }]);
});

test("LocalCluster.waitReady() says what is missing when the time is up", async (t) => {
  const cluster = await start(t, {
    dir: folder(t),
    watch: () => ({
      look: () => Promise.resolve({ leader: "", chunkservers: [] }),
      close: () => Promise.resolve(),
    }),
  });
  await t.throwsAsync(cluster.waitReady({ timeoutMs: 1 }), { message: /no master leads/ });
});

test("stopClusterIn() ends members whose supervisor was killed", async (t) => {
  const dir = folder(t);
  const cluster = await start(t, { dir });
  // A supervisor that is gone leaves its lock and its members behind.
  writeFileSync(join(dir, "lock"), JSON.stringify({ pid: process.pid, startedAt: "long ago" }));
  const processes = new ClusterFolder(dir).readProcesses();
  t.is(inspectCluster(dir).supervisor, undefined);
  await t.throwsAsync(start(t, { dir }), { message: /m1 \(\d+\).*still run/ });
  t.is(await stopClusterIn(dir), 3);
  t.false(processes.some(isRunning));
  await cluster.stop();
});

test("stopClusterIn() refuses a folder without a cluster", async (t) => {
  await t.throwsAsync(stopClusterIn(folder(t)), { message: /Cannot find a cluster/ });
});

test("takeLock() takes over the lock of a process that has ended", (t) => {
  const dir = folder(t);
  const file = join(dir, "lock");
  writeFileSync(file, JSON.stringify({ pid: process.pid, startedAt: "long ago" }));
  const lock = takeLock(file, dir);
  t.throws(() => takeLock(file, dir), { message: /already runs/ });
  lock.release();
  t.false(existsSync(file));
});
