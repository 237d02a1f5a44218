// Copies, attributes, quotas, trash, versions, snapshots and locks as people use them, with a real
// master behind the command.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  findPortBase,
  LumeoCommand,
  type LumeoRun,
  TOPOLOGY_DEFAULT,
} from "@lumeofs/local-cluster";
import test, { type ExecutionContext } from "ava";

const BIN = fileURLToPath(new URL("../../../bin/lumeo.mjs", import.meta.url));

class Shell {
  readonly #dir = mkdtempSync(join(tmpdir(), "lumeo-history-"));
  readonly #lumeo = new LumeoCommand(BIN, { NO_COLOR: "1" });
  readonly #t: ExecutionContext;

  constructor(t: ExecutionContext) {
    this.#t = t;
  }

  async start(): Promise<void> {
    const base = String(await findPortBase(TOPOLOGY_DEFAULT));
    const size = ["--masters", "1", "--chunkservers", "1", "--port-base", base];
    const { status, stderr } = await this.#lumeo.run([...this.#dev(), ...size, "--detach"]);
    this.#t.is(status, 0, stderr);
    await this.ok("policy", "set", "/", "--replicas", "1");
  }

  async stop(): Promise<void> {
    if (existsSync(join(this.#dir, "cluster.json"))) {
      await this.#lumeo.run(["dev", "stop", "--dir", this.#dir]);
    }
    rmSync(this.#dir, { recursive: true, force: true });
  }

  run(...args: readonly string[]): Promise<LumeoRun> {
    const environment = { LUMEO_ENDPOINTS: readFileSync(join(this.#dir, "endpoints"), "utf8") };
    return this.#lumeo.run(args, { environment });
  }

  /** What a command that must succeed prints. */
  async ok(...args: readonly string[]): Promise<string> {
    const { status, stdout, stderr } = await this.run(...args);
    this.#t.is(status, 0, `${args.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** What it prints as JSON lines. */
  async objects(...args: readonly string[]): Promise<readonly Record<string, unknown>[]> {
    const text = (await this.ok(...args, "--json")).trimEnd();
    return text === "" ? [] : text.split("\n").map((line) => JSON.parse(line));
  }

  /** Why a command that must fail with this exit code does so. */
  async fails(status: number, ...args: readonly string[]): Promise<string> {
    const run = await this.run(...args);
    this.#t.is(run.status, status, `${args.join(" ")}: ${run.stderr}`);
    return run.stderr;
  }

  async store(path: string, content: string, ...flags: readonly string[]): Promise<void> {
    const file = join(this.#dir, "local");
    writeFileSync(file, content);
    await this.ok("put", ...flags, file, path);
  }

  #dev(): readonly string[] {
    return ["dev", "--dir", this.#dir];
  }
}

test("the past of a cluster, from the command line", async (t) => {
  const shell = new Shell(t);
  t.teardown(() => shell.stop());
  await shell.start();
  await attributes(t, shell);
  await versions(t, shell);
  await snapshots(t, shell);
  await trash(t, shell);
  await quotas(t, shell);
  await locks(t, shell);
});

async function attributes(t: ExecutionContext, shell: Shell): Promise<void> {
  await shell.store("/a/f", "one", "--meta", "owner=ada", "--tag", "k=v", "--content-type", "x/y");
  await shell.ok("meta", "set", "/a/f", "year=2026");
  await shell.ok("tag", "rm", "/a/f", "k");
  const [info] = await shell.objects("stat", "/a/f");
  t.like(info, { metadata: { owner: "ada", year: "2026" }, contentType: "x/y", tags: undefined });
  await shell.ok("cp", "/a/f", "/b/copy");
  t.like((await shell.objects("stat", "/b/copy"))[0], { metadata: { owner: "ada" }, size: 3 });
  await shell.ok("cp", "-r", "/a", "/c");
  t.is(await shell.ok("cat", "/c/f"), "one");
  await shell.ok("rm", "-r", "/a", "/b");
  t.is(await shell.ok("cat", "/c/f"), "one", "a copy outlives its source");
}

async function versions(t: ExecutionContext, shell: Shell): Promise<void> {
  await shell.ok("mkdir", "/v");
  await shell.ok("policy", "set", "/v", "--versions", "2");
  for (const content of ["first", "second", "third"]) await shell.store("/v/f", content);
  const [newest, oldest] = await shell.objects("version", "ls", "/v/f");
  t.is(await shell.ok("cat", "--version", String(newest?.["version"]), "/v/f"), "second");
  await shell.ok("version", "restore", "/v/f", String(oldest?.["version"]));
  t.is(await shell.ok("cat", "/v/f"), "first");
  await shell.ok("version", "rm", "/v/f", String(newest?.["version"]));
  await shell.fails(3, "cat", "--version", String(newest?.["version"]), "/v/f");
  await shell.ok("rm", "/v/f");
  t.true(0 < (await shell.objects("version", "ls", "/v/f")).length, "also of a removed file");
}

async function snapshots(t: ExecutionContext, shell: Shell): Promise<void> {
  await shell.store("/s/sub/f", "before");
  await shell.ok("snapshot", "create", "/s", "monday");
  await shell.store("/s/sub/f", "after");
  await shell.ok("mv", "/s/sub", "/s/moved");
  t.is(await shell.ok("cat", "/s/.snapshot/monday/sub/f"), "before");
  t.is(await shell.ok("ls", "-R", "/s/.snapshot/monday"), "sub/\nsub/f\n");
  const { status, stdout } = await shell.run("snapshot", "diff", "/s", "monday");
  t.is(status, 1);
  t.is(stdout, "+ moved/\n+ moved/f\n- sub/\n- sub/f\n");
  await shell.ok("snapshot", "restore", "/s", "monday", "/restored");
  t.is(await shell.ok("cat", "/restored/sub/f"), "before");
  t.regex(await shell.fails(4, "rm", "-r", "/s"), /snapshot/);
  t.regex(await shell.fails(2, "rm", "/s/.snapshot/monday/sub/f"), /\.snapshot/);
  await shell.ok("snapshot", "rm", "/s", "monday");
  await shell.ok("rm", "-r", "/s");
}

async function trash(t: ExecutionContext, shell: Shell): Promise<void> {
  await shell.store("/t/d/f", "kept");
  await shell.ok("policy", "set", "/t", "--trash", "1h");
  await shell.ok("rm", "-r", "/t/d");
  const [item] = await shell.objects("trash", "ls");
  t.like(item, { path: "/t/d", kind: "dir", usage: { bytes: 4, files: 1, directories: 1 } });
  await shell.ok("trash", "restore", String(item?.["id"]));
  t.is(await shell.ok("cat", "/t/d/f"), "kept");
  await shell.ok("rm", "--skip-trash", "/t/d/f");
  t.is((await shell.objects("trash", "ls")).length, 0);
  await shell.ok("rm", "-r", "/t/d");
  await shell.fails(2, "trash", "empty");
  t.deepEqual(await shell.objects("trash", "empty", "--yes"), [{ freed: 1 }]);
  await shell.fails(3, "trash", "restore", String(item?.["id"]));
}

async function quotas(t: ExecutionContext, shell: Shell): Promise<void> {
  await shell.store("/q/f", "12345");
  await shell.ok("quota", "set", "/q", "--bytes", "8", "--files", "2");
  await shell.store("/q/g", "678");
  t.regex(await shell.fails(8, "cp", "/c/f", "/q/h"), /\/q.*(2|8)/);
  const [usage] = await shell.objects("du", "/q");
  t.deepEqual(usage, { path: "/q", bytes: 8, files: 2, directories: 0 });
  await shell.ok("rm", "/q/f");
  await shell.ok("cp", "/c/f", "/q/h");
}

async function locks(t: ExecutionContext, shell: Shell): Promise<void> {
  const program = ["sh", "-c", 'test "$LUMEO_LOCK_TOKEN" -gt 0 && exit 7'];
  await shell.fails(7, "lock", "run", "nightly", "--", ...program);
  const token = (await shell.ok("lock", "acquire", "nightly", "--holder", "me")).trim();
  t.regex(await shell.fails(4, "lock", "run", "nightly", "--", "true"), /"me" holds it/);
  await shell.ok("lock", "renew", "nightly", "--token", token, "--ttl", "1m");
  t.like((await shell.objects("lock", "ls"))[0], { name: "nightly", token: Number(token) });
  await shell.ok("lock", "release", "nightly", "--token", token);
  t.is((await shell.objects("lock", "ls")).length, 0);
  await shell.fails(4, "lock", "release", "nightly", "--token", token);
}
