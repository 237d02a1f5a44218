// The command as a process: exit codes, streams and help, without a cluster.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "ava";

const LUMEO = fileURLToPath(new URL("../../bin/lumeo.mjs", import.meta.url));
const GOLDEN = fileURLToPath(new URL("../../test/golden/", import.meta.url));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function lumeo(...args: readonly string[]): Promise<Ended> {
  const { LUMEO_ENDPOINTS: _, ...env } = process.env;
  const child = spawn(process.execPath, [LUMEO, ...args], { env: { ...env, NO_COLOR: "1" } });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data: Buffer) => {
    stdout += data.toString();
  });
  child.stderr.on("data", (data: Buffer) => {
    stderr += data.toString();
  });
  return new Promise((ended) => {
    child.on("close", (status) => ended({ status, stdout, stderr }));
  });
}

const COMMANDS = [
  [],
  ...["put", "get", "cat", "ls", "stat", "mkdir", "mv", "rm", "watch", "dev"].map((name) => [name]),
  ["cluster", "status"],
  ["dev", "stop"],
];

for (const command of COMMANDS) {
  const name = ["lumeo", ...command].join("-");
  test(`help of ${name} is as reviewed`, async (t) => {
    const { status, stdout } = await lumeo(...command, "--help");
    t.is(status, 0);
    if (0 < command.length) t.true(2 <= stdout.split("Examples:")[1]!.trim().split("\n").length);
    const file = join(GOLDEN, `${name}.txt`);
    if (process.env["LUMEO_REWRITE_GOLDEN"] === "1") writeFileSync(file, stdout);
    t.true(existsSync(file), `run with LUMEO_REWRITE_GOLDEN=1 and review "${file}"`);
    t.is(stdout, readFileSync(file, "utf8"));
  });
}

test("--version prints the version of the package", async (t) => {
  const { status, stdout } = await lumeo("--version");
  t.is(status, 0);
  t.regex(stdout, /^\d+\.\d+\.\d+\n$/);
});

test("an unknown command exits with 2 and names the nearest", async (t) => {
  const { status, stdout, stderr } = await lumeo("putt");
  t.is(status, 2);
  t.is(stdout, "");
  t.regex(stderr, /unknown command 'putt'[\s\S]*Did you mean put\?/);
});

test("an unknown flag exits with 2 and names the nearest", async (t) => {
  const { status, stderr } = await lumeo("put", "--recursiv", "a", "/b");
  t.is(status, 2);
  t.regex(stderr, /unknown option '--recursiv'[\s\S]*Did you mean --recursive\?/);
});

test("missing arguments, wrong values and wrong paths exit with 2", async (t) => {
  const wrong = [
    ["put", "a"],
    ["get"],
    ["cat"],
    ["cluster", "nonsense"],
    ["dev", "nonsense"],
    ["ls", "--limit", "many", "--endpoint", "127.0.0.1:1"],
    ["ls", "relative", "--endpoint", "127.0.0.1:1"],
    ["ls", "/", "--endpoint", "nonsense"],
    ["ls", "/", "--timeout", "soon"],
  ];
  for (const args of wrong) {
    const { status, stderr } = await lumeo(...args);
    t.is(status, 2, `${args.join(" ")}: ${stderr}`);
    t.regex(stderr, /^lumeo: error: [^\n]+\n$/);
  }
});

test("with --json wrong usage is an object too", async (t) => {
  for (const args of [["nonsense"], ["stat"], ["ls", "/", "--timeout", "soon"]]) {
    const { status, stderr } = await lumeo("--json", ...args);
    t.is(status, 2);
    t.like(JSON.parse(stderr), { error: { code: "USAGE", exitStatus: 2 } });
  }
});

test("without endpoints a command exits with 2 and says how to set them", async (t) => {
  const { status, stderr } = await lumeo("ls", "/");
  t.is(status, 2);
  t.regex(stderr, /^lumeo: error: .*LUMEO_ENDPOINTS=host:port.*--endpoint/);
  t.is(stderr.trimEnd().split("\n").length, 1);
});

test("watch does not wait for a cluster that is not there", async (t) => {
  const { status, stderr } = await lumeo("watch", "--endpoint", "127.0.0.1:1", "--timeout", "1s");
  t.is(status, 6);
  t.regex(stderr, /no master answers|No answer/, "refused, or too slow to be");
});

test("dev stop in a folder without a cluster exits with 3", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "lumeo-cli-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const { status, stderr } = await lumeo("dev", "stop", "--dir", dir, "--json");
  t.is(status, 3);
  t.like(JSON.parse(stderr), { error: { code: "NOT_FOUND", exitStatus: 3 } });
});
