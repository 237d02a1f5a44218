import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import test from "ava";

const PROGRAM = fileURLToPath(new URL("../../../bin/lumeo-chunkserver.cjs", import.meta.url));
const DISKS = 8;

/** Where the system does not tell it, there are enough. */
function threadsOf(pid: number | undefined): number {
  const folder = `/proc/${pid}/task`;
  return existsSync("/proc/self/task") ? readdirSync(folder).length : Infinity;
}

test("a chunkserver that is started by hand has threads for all of its disks", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-by-hand-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const folders = Array.from({ length: DISKS }, (_, i) => join(folder, `d${i}`));
  for (const one of folders) await mkdir(one);
  const anywhere = ["--listen-data", "127.0.0.1:0", "--listen-control", "127.0.0.1:0"];
  const args = ["--name", "cs1", "--masters", "127.0.0.1:1", ...anywhere];
  const { UV_THREADPOOL_SIZE: _, ...env } = process.env;
  const child = spawn(
    process.execPath,
    [PROGRAM, ...args, ...folders.flatMap((one) => ["--dir", one])],
    { env, stdio: ["ignore", "ignore", "pipe"] },
  );
  t.teardown(() => child.kill("SIGKILL"));
  const exited = once(child, "exit");
  const lines: string[] = [];
  let threads = 0;
  for await (const line of createInterface({ input: child.stderr })) {
    lines.push(line);
    if (!line.includes('"serving"')) continue;
    threads = threadsOf(child.pid);
    child.kill("SIGTERM");
  }
  t.deepEqual(await exited, [0, null], lines.join("\n"));
  // Without the file in bin it has four for files, and not twenty in all.
  t.true(4 * DISKS < threads, `${threads} threads`);
});

test("a chunkserver says what flags there are, and which one there is not", (t) => {
  const run = (...args: string[]) => {
    return spawnSync(process.execPath, [PROGRAM, ...args], { encoding: "utf8" });
  };
  const help = run("--help");
  t.is(help.status, 0, help.stderr);
  t.regex(help.stdout, /--listen-data VALUE/);
  const wrong = run("--colour", "red");
  t.is(wrong.status, 2);
  t.regex(wrong.stderr, /^lumeo-chunkserver: error: .*--colour.*--help lists them\n$/);
  t.is(wrong.stdout, "");
});
