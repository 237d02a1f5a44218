// What the program of a master says for itself.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import test from "ava";

const PROGRAM = fileURLToPath(new URL("../../src/main.js", import.meta.url));

function run(...args: string[]) {
  return spawnSync(process.execPath, [PROGRAM, ...args], { encoding: "utf8" });
}

test("a master says what flags there are, and which one there is not", (t) => {
  const help = run("--help");
  t.is(help.status, 0, help.stderr);
  t.regex(help.stdout, /--peers VALUE/);
  const wrong = run("--colour", "red");
  t.is(wrong.status, 2);
  t.regex(wrong.stderr, /^lumeo-master: error: .*--colour.*--help lists them\n$/);
  t.is(wrong.stdout, "");
  t.is(run("--id", "M_1", "--dir", "d").status, 10);
});
