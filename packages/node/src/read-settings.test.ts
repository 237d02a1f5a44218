import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LumeoError } from "@lumeofs/base";
import test, { type ExecutionContext } from "ava";
import { readSettings, type SettingsSources } from "./read-settings.js";

const SOURCES: SettingsSources = {
  defaults: { dataDir: undefined, heartbeatMs: 100, peers: [] },
  environment: {},
  environmentPrefix: "LUMEO_MASTER_",
  flags: {},
};

async function fileWith(t: ExecutionContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-settings-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "settings.yaml");
  await writeFile(file, text);
  return file;
}

async function refused(t: ExecutionContext, sources: Partial<SettingsSources>): Promise<string> {
  const run = readSettings({ ...SOURCES, ...sources });
  const error = await t.throwsAsync(run, { instanceOf: LumeoError });
  t.is(error.code, "CONFIG");
  return error.message;
}

test("readSettings() prefers flags to environment to file to defaults", async (t) => {
  const file = await fileWith(t, "heartbeatMs: 1\ndataDir: from-file\npeers: [m1, m2]\n");
  const environment = { LUMEO_MASTER_HEARTBEAT_MS: "2", LUMEO_MASTER_DATA_DIR: "from-env" };
  const flags = { heartbeatMs: 3, dataDir: undefined };
  const settings = await readSettings({ ...SOURCES, file, environment, flags });
  t.deepEqual(settings, { heartbeatMs: 3, dataDir: "from-env", peers: ["m1", "m2"] });
});

test("readSettings() leaves out what nobody has set", async (t) => {
  t.deepEqual(await readSettings(SOURCES), { heartbeatMs: 100, peers: [] });
});

test("readSettings() reads JSON, and takes an empty file for no settings", async (t) => {
  const json = await fileWith(t, '{"heartbeatMs": 5}');
  t.is((await readSettings({ ...SOURCES, file: json }))["heartbeatMs"], 5);
  const empty = await fileWith(t, "# nothing\n");
  t.is((await readSettings({ ...SOURCES, file: empty }))["heartbeatMs"], 100);
});

test("readSettings() refuses a name that is no setting", async (t) => {
  const file = await fileWith(t, "hartbeatMs: 1\n");
  t.regex(await refused(t, { file }), /"hartbeatMs".*there are dataDir, heartbeatMs, peers/);
  const environment = { LUMEO_MASTER_HARTBEAT_MS: "1", LUMEO_ENDPOINTS: "ours to ignore" };
  t.regex(await refused(t, { environment }), /"LUMEO_MASTER_HARTBEAT_MS"/);
});

test("readSettings() refuses a file that is missing, broken or no mapping", async (t) => {
  t.regex(await refused(t, { file: "/nowhere/settings.yaml" }), /"\/nowhere\/settings.yaml"/);
  t.regex(await refused(t, { file: await fileWith(t, "a: [") }), /Cannot read settings/);
  t.regex(await refused(t, { file: await fileWith(t, "- a\n") }), /one mapping/);
});
