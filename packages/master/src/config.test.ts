import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LumeoError } from "@lumeofs/base";
import test from "ava";
import { type MasterConfig, readConfig } from "./config.js";

const NEEDED = ["--id", "m1", "--dir", "d"];

async function read(argv: readonly string[], environment = {}): Promise<MasterConfig> {
  const invocation = await readConfig(argv, environment);
  if (invocation.kind === "help") throw new Error("help");
  return invocation.config;
}

test("a master needs a name and a folder, and alone is its own group", async (t) => {
  const config = await read(NEEDED);
  t.like(config, { id: "m1", dir: "d", listen: "127.0.0.1:7400", electionTicks: 20 });
  t.deepEqual({ ...config.founders }, { m1: "127.0.0.1:7400" });
});

test("flags are stronger than the environment, and that is stronger than the file", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-config-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "master.yaml");
  await writeFile(file, "tickMs: 10\nsweepMs: 200\nheartbeatMs: 300\n");
  const environment = { LUMEO_MASTER_SWEEP_MS: "400", LUMEO_MASTER_HEARTBEAT_MS: "500" };
  const config = await read([...NEEDED, "--config", file, "--heartbeat-ms", "600"], environment);
  t.like(config, { tickMs: 10, sweepMs: 400, heartbeatMs: 600 });
});

test("peers name every founding master with its address", async (t) => {
  const config = await read([...NEEDED, "--peers", "m1=a:1, m2=b:2,m3=c:3"]);
  t.deepEqual({ ...config.founders }, { m1: "a:1", m2: "b:2", m3: "c:3" } as never);
});

test("settings that cannot be are refused by name", async (t) => {
  const refusals: readonly (readonly [readonly string[], RegExp])[] = [
    [["--id", "m1"], /"dir"/],
    [["--id", "M_1", "--dir", "d"], /"id": must be a short lower-case name/],
    [[...NEEDED, "--listen", "7400"], /"listen": must be host:port/],
    [[...NEEDED, "--tick-ms", "0"], /"tickMs"/],
    [[...NEEDED, "--tick-ms", "fast"], /"tickMs"/],
    [[...NEEDED, "--election-ticks", "5"], /"heartbeatTicks": must be at most a third/],
    [[...NEEDED, "--suspect-ms", "1000"], /"suspectMs": must be at least two heartbeatMs/],
    [[...NEEDED, "--dead-ms", "1000"], /"deadMs": must be at least suspectMs/],
    [[...NEEDED, "--grant-ms", "1000"], /"grantMs": must be at least twice/],
    [[...NEEDED, "--peers", "m2=b:2"], /it is none of the peers/],
    [[...NEEDED, "--peers", "m1=a:1,m1=b:2"], /a name is there twice/],
    [[...NEEDED, "--peers", "m1"], /must be name=host:port/],
  ];
  for (const [argv, why] of refusals) {
    const error = await t.throwsAsync(read(argv), { instanceOf: LumeoError }, argv.join(" "));
    t.is(error?.code, "CONFIG");
    t.regex(error?.message ?? "", why);
  }
  const environment = { LUMEO_MASTER_COLOUR: "red" };
  await t.throwsAsync(read(NEEDED, environment), { message: /LUMEO_MASTER_COLOUR/ });
});

test("flags that there are not are no matter of settings", async (t) => {
  for (const wrong of [["--colour", "red"], ["extra"]]) {
    const error = await t.throwsAsync(read([...NEEDED, ...wrong]), { instanceOf: LumeoError });
    t.is(error?.code, "INVALID_ARGUMENT");
    t.regex(error?.message ?? "", new RegExp(`${wrong[0]}.*--help lists them`));
  }
});

test("--help tells every setting", async (t) => {
  const invocation = await readConfig(["--help"], {});
  if (invocation.kind !== "help") return t.fail();
  for (const flag of ["--id", "--peers", "--released-grace-ms", "--config"]) {
    t.true(invocation.text.includes(flag), flag);
  }
  t.regex(invocation.text, /--id VALUE\n.*\n +Needed\. Environment: LUMEO_MASTER_ID\.\n/);
  t.regex(invocation.text, /--listen VALUE\n.*\n +Default: 127\.0\.0\.1:7400\./);
});
