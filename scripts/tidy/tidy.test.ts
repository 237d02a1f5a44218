import test, { type ExecutionContext } from "ava";
import { findings } from "./rules.js";
import { TABLE } from "./table.js";

/** Plants files into an otherwise empty tree and tells what was found, as "path:line rule". */
function found(files: Readonly<Record<string, string>>): string[] {
  const tree = new Map(Object.entries(files));
  return findings(tree, TABLE).map(({ path, line, rule }) => `${path}:${line} ${rule}`);
}

function plant(t: ExecutionContext, path: string, text: string, expected: readonly string[]): void {
  t.deepEqual(
    found({ [path]: text }),
    expected.map((place) => `${path}:${place}`),
  );
}

const RAFT = "packages/master/src/raft/log.ts";
const lines = (count: number): string => "export {};\n".repeat(count);

test("a tidy tree has no findings", (t) => {
  const files = {
    [RAFT]: 'import { invariant } from "@lumeofs/base";\nexport const log = invariant;\n',
    "packages/master/src/consensus/driver.ts": 'import { log } from "../raft/log.js";\n',
    "packages/cli/src/x.test.ts": 'import { World } from "@lumeofs/testkit";\n',
  };
  t.deepEqual(found(files), []);
});

const arrows: readonly (readonly [name: string, path: string, from: string])[] = [
  ["an application may not import another", "packages/master/src/x.ts", "@lumeofs/client"],
  ["base may import nothing", "packages/base/src/x.ts", "@lumeofs/node"],
  ["product code may not import testkit", RAFT, "@lumeofs/testkit"],
  ["a second entry point counts as its package", "packages/base/src/x.ts", "@lumeofs/node/rpc"],
  ["a package is taken by its face", "packages/master/src/x.ts", "@lumeofs/base/dist/src/ids.js"],
  ["a package is taken by its name", "packages/master/src/x.ts", "../../base/src/ids.js"],
  ["a core folder may not import the shell", RAFT, "../consensus/driver.js"],
  ["a core folder may not import the assembly", RAFT, "../master.js"],
  ["product code may not import a test", RAFT, "../../test/raft-harness.js"],
  ["nobody imports main", "packages/master/src/master.ts", "./main.js"],
];
for (const [name, path, from] of arrows) {
  test(`arrow: ${name}`, (t) => {
    plant(t, path, `import { x } from "${from}";\n`, ["1 arrow"]);
    plant(t, path, `export type { X } from "${from}";\n`, ["1 arrow"]);
    plant(t, path, `export const x = () => import("${from}");\n`, ["1 arrow"]);
  });
}

test("arrow: a folder or package that the table does not know is found", (t) => {
  plant(t, "packages/master/src/new/x.ts", 'import { y } from "../raft/y.js";\n', ["1 arrow"]);
  plant(t, "packages/new/src/x.ts", 'import { y } from "@lumeofs/base";\n', ["1 arrow"]);
});

test("arrow: examples use their package by its name", (t) => {
  const text = 'import { connect } from "@lumeofs/client";\n';
  plant(t, "packages/client-sdk/examples/01-put-get.ts", text, []);
  plant(t, "packages/client-sdk/src/x.ts", text, ["1 arrow"]);
});

test("arrow: settings may be read in every folder", (t) => {
  plant(t, RAFT, 'import type { Config } from "../config.js";\n', []);
});

test("file-size: 500 lines for sources, 900 for tests", (t) => {
  plant(t, RAFT, lines(500), []);
  plant(t, RAFT, lines(501), ["1 file-size"]);
  plant(t, "packages/master/src/raft/log.test.ts", lines(900), []);
  plant(t, "packages/master/test/log.ts", lines(901), ["1 file-size"]);
});

test("line-width: 100 columns, counted in characters, but for the names of tests", (t) => {
  plant(t, RAFT, `export {};\n// ${"é".repeat(97)}\n`, []);
  plant(t, RAFT, `export {};\n// ${"x".repeat(98)}\n`, ["2 line-width"]);
  plant(t, "packages/master/src/x.test.ts", `test("${"x".repeat(120)}", () => {});\n`, []);
});

test("function-length: 70 lines, in tests 100, for functions of every form", (t) => {
  const body = (count: number): string => "  a();\n".repeat(count);
  plant(t, RAFT, `function f() {\n${body(68)}}\n`, []);
  plant(t, RAFT, `function f() {\n${body(69)}}\n`, ["1 function-length"]);
  plant(t, RAFT, `const f = () => {\n${body(69)}};\n`, ["1 function-length"]);
  plant(t, RAFT, `class A {\n  f() {\n${body(69)}  }\n}\n`, ["2 function-length"]);
  const path = "packages/master/test/x.ts";
  plant(t, path, `function f() {\n${body(98)}}\n`, []);
  plant(t, path, `function f() {\n${body(99)}}\n`, ["1 function-length"]);
});

test("parameters: four, then named fields", (t) => {
  plant(t, RAFT, "export const f = (a, b, c, d) => a;\n", []);
  plant(t, RAFT, "export const f = (a, b, c, d, e) => a;\n", ["1 parameters"]);
  plant(t, RAFT, "export function f(a, b, c, d, ...e) {}\n", ["1 parameters"]);
});

test("named-exports: no default export, no export of everything", (t) => {
  plant(t, RAFT, "export default 1;\n", ["1 named-exports"]);
  plant(t, RAFT, 'export * from "./entry.js";\n', ["1 named-exports"]);
  plant(t, "ava.config.js", "export default {};\n", []);
});

test("whole-tests: no test is skipped or run alone", (t) => {
  const path = "packages/master/src/x.test.ts";
  for (const word of ["skip", "only", "todo", "failing"]) {
    plant(t, path, `test.${word}("x", () => {});\n`, ["1 whole-tests"]);
  }
});

test("name: files and folders say what they hold", (t) => {
  plant(t, "packages/base/src/utils.ts", "", ["1 name"]);
  plant(t, "packages/base/src/common/x.ts", "", ["1 name"]);
  plant(t, "docs/misc.md", "", ["1 name"]);
  plant(t, "packages/base/src/types.test.ts", "", ["1 name"]);
  plant(t, "protos/lumeo/common/v1/error.proto", "", []);
});

test("impure: only packages/node asks the machine for time and chance", (t) => {
  const asks = ["Date.now()", "new Date()", "Date()", "Math.random()"];
  for (const ask of asks) {
    plant(t, RAFT, `export const x = () => ${ask};\n`, ["1 impure"]);
    plant(t, "packages/node/src/system-clock.ts", `export const x = () => ${ask};\n`, []);
  }
  plant(t, RAFT, "export const x = (ms) => new Date(ms);\n// Date.now\n", []);
});

// The planted words are put together here, so that this file has none of them.
const word = (...parts: readonly string[]): string => parts.join("");

test("unfinished: work without an issue does not reach main", (t) => {
  plant(t, RAFT, `// ${word("FIX", "ME")}: later\n`, ["1 unfinished"]);
  plant(t, "docs/x.md", `a\n\n${word("TO", "DO")}: later\n`, ["3 unfinished"]);
  plant(t, RAFT, `// ${word("TO", "DO")}(#12): later\n`, []);
});

test("machine-path: no place of one machine in any text", (t) => {
  plant(t, "docs/x.md", `see ${word("/wo", "rk/main")}\n`, ["1 machine-path"]);
  plant(t, RAFT, `const a = "${word("/ho", "me/anna/data")}";\n`, ["1 machine-path"]);
  plant(t, "docs/x.md", "/etc/lumeo and a/work/b and https://example.org/home/x\n", []);
});

test("registry: no address of a package registry, in the lock file none at all", (t) => {
  plant(t, "docs/x.md", `${word("https://registry.npm", "js.org")}/x\n`, ["1 registry"]);
  plant(t, "pnpm-lock.yaml", "a:\n  tarball: http://localhost:4873/a.tgz\n", ["2 registry"]);
  plant(t, "docs/x.md", "https://example.org/x\n", []);
});

test("project: every tsconfig is reached by the build", (t) => {
  const tree = {
    "packages/tsconfig.json": '{"references": [{"path": "./base/tsconfig.core.json"}]}',
    "packages/base/tsconfig.core.json": '{"references": [{"path": "../proto"}]}',
    "packages/proto/tsconfig.json": "{}",
    "tsconfig.base.json": "{}",
  };
  t.deepEqual(found(tree), []);
  const lost = "packages/base/tsconfig.test.json";
  t.deepEqual(found({ ...tree, [lost]: "{}" }), [`${lost}:1 project`]);
});

test("dependency: every third-party package has its line", (t) => {
  const path = "packages/node/package.json";
  const manifest = '{\n"dependencies": {\n"@lumeofs/base": "workspace:*",\n"yaml": "2.9.1"\n}}';
  t.deepEqual(found({ [path]: manifest }), [`${path}:4 dependency`]);
  const page = "| `yaml` | reads settings |\n";
  t.deepEqual(found({ [path]: manifest, "docs/dependencies.md": page }), []);
});

test("generated files are free of rules about shape, not of banned words", (t) => {
  const path = "packages/proto/gen/messages.js";
  plant(t, path, `export default 1;\n${lines(600)}`, []);
  plant(t, path, `// ${word("/wo", "rk/main")}\n`, ["1 machine-path"]);
});
