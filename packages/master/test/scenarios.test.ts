// Every scenario of docs/design/0018-simulation.md has a test, under the name that stands there.

import { readdir, readFile } from "node:fs/promises";
import test from "ava";
import { MUTANTS } from "./sim/mutants.js";

const ROOT = new URL("../../../../", import.meta.url);
const SCENARIOS = [...Array.from({ length: 47 }, (_, i) => `${i + 1}`), "45a"];

test("the index of scenarios is complete, and names tests that exist", async (t) => {
  const index = await readFile(new URL("docs/design/0018-simulation.md", ROOT), "utf8");
  const rows = [...index.matchAll(/^\| (\d+a?) \| (.+) \|$/gm)];
  const numbers = new Set(rows.map(([, number]) => number));
  t.deepEqual(
    SCENARIOS.filter((number) => !numbers.has(number)),
    [],
  );
  const sources = await testSources();
  const names = new Set(MUTANTS.map(({ name }) => `the simulation sees a product that ${name}`));
  const absent = rows.filter(([, , name = ""]) => !names.has(name) && !sources.includes(name));
  t.deepEqual(
    absent.map(([row]) => row),
    [],
  );
});

/** The text of all tests of this package. */
async function testSources(): Promise<string> {
  const folder = new URL("packages/master/", ROOT);
  const files = await readdir(folder, { recursive: true });
  const tests = files.filter((file) => {
    return (
      /^(src|test)\//.test(file) && file.endsWith(".ts") && !file.endsWith("scenarios.test.ts")
    );
  });
  return (await Promise.all(tests.map((file) => readFile(new URL(file, folder), "utf8")))).join();
}
