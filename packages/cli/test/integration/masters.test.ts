// The group of masters as operators see it: are all of them the same, and what if not.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "@lumeofs/local-cluster";
import test from "ava";
import { DevFolder, PATIENCE } from "./dev-folder.js";

const THREE = ["--masters", "3", "--chunkservers", "1"];
const NEEDLE = "needle-in-the-haystack";

interface Check {
  readonly verdict: string;
  readonly masters: readonly {
    readonly id: string;
    readonly agreement: string;
    readonly hash: string;
  }[];
}

/** Inverts one bit of a text in a table of a master's state; false if it is not in a table. */
function flipBit(folder: string): boolean {
  for (const name of readdirSync(folder).filter((one) => one.endsWith(".ldb"))) {
    const bytes = readFileSync(join(folder, name));
    const at = bytes.indexOf(NEEDLE);
    if (at === -1) continue;
    const last = at + NEEDLE.length - 1;
    bytes[last] = (bytes[last] ?? 0) ^ 1;
    writeFileSync(join(folder, name), bytes);
    return true;
  }
  return false;
}

test.serial("master check says who agrees, who is unknown, and who differs", async (t) => {
  const folder = new DevFolder(t);
  await folder.start(t, THREE);
  t.is((await folder.run("mkdir", `/${NEEDLE}`)).status, 0);
  const equal = await folder.run("master", "check");
  t.is(equal.status, 0, equal.stderr);
  t.regex(equal.stdout, /All masters have the same state at entry \d+ of the log/);
  t.is(equal.stdout.match(/ agrees /g)?.length, 3);

  const list = await folder.run("master", "ls", "--json");
  const { masters } = JSON.parse(list.stdout) as { masters: { id: string; role: string }[] };
  const victim = masters.find(({ role }) => role === "follower")?.id ?? "";
  process.kill(folder.members().find(({ id }) => id === victim)?.pid ?? 0, "SIGKILL");
  const partly = await folder.run("master", "check", "--json");
  t.is(partly.status, 6);
  const known = JSON.parse(partly.stdout) as Check;
  t.is(known.verdict, "unknown");
  t.like(
    known.masters.find(({ id }) => id === victim),
    { agreement: "unknown", hash: "" },
  );
  t.is(known.masters.filter(({ agreement }) => agreement === "agrees").length, 2);

  // A start turns the state's write-ahead log, which is checked when it is read, into tables.
  const ports = folder.members().map(({ address }) => address);
  t.is((await folder.run("dev", "stop")).status, 0);
  t.is((await folder.run("dev", "--detach")).status, 0);
  t.deepEqual(
    folder.members().map(({ address }) => address),
    ports,
  );
  t.is((await folder.run("dev", "stop")).status, 0);
  t.true(flipBit(join(folder.dir, victim, "data", "state-1")));
  t.is((await folder.run("dev", "--detach")).status, 0);
  // It may still be on its way to the entry where all compare.
  const differs = await waitUntil(async () => {
    const run = await folder.run("master", "check");
    return run.status === 1 ? run : undefined;
  }, PATIENCE);
  t.regex(differs?.stdout ?? "", /THE MASTERS DIFFER/);
  t.regex(differs?.stdout ?? "", new RegExp(`^${victim} +DIFFERS`, "m"));
  t.is((await folder.run("ls", "/")).status, 0, "the others go on");
});
