// Runs the unit tests of one file against a copy of their package with a bug in it, in this process
// and within milliseconds: the copy finds a small test runner under the name "ava".

import assert from "node:assert/strict";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { type Patch, withPatchedCopy } from "@lumeofs/testkit";

type Body = (t: typeof ASSERTIONS) => unknown;

interface Registered {
  readonly name: string;
  readonly body: Body;
}

/** Tests of the file that is being loaded. */
let registered: Registered[] = [];

/** What a copy calls to register a test. */
const REGISTER = "__lumeofsOwnTests";

const STUB = `
const test = (name, body) => globalThis.${REGISTER}(name, body);
test.serial = test;
export default test;
`;

interface Expected {
  readonly instanceOf?: abstract new (...values: never[]) => unknown;
  readonly code?: string;
}

/** Those assertions of ava that the tests in question use. */
const ASSERTIONS = {
  is: (actual: unknown, expected: unknown) => assert.ok(Object.is(actual, expected)),
  // Copies, because what objects are instances of does not count.
  deepEqual: (actual: unknown, expected: unknown) =>
    assert.deepStrictEqual(structuredClone(actual), structuredClone(expected)),
  true: (actual: unknown) => assert.ok(actual === true),
  false: (actual: unknown) => assert.ok(actual === false),
  regex: (text: string, pattern: RegExp) => assert.match(text, pattern),
  like: (actual: unknown, part: object) => assert.ok(isLike(actual, part)),
  notThrows: (act: () => unknown) => void act(),
  throws: (act: () => unknown, expected: Expected = {}): unknown => {
    try {
      act();
    } catch (error) {
      return fitting(error, expected);
    }
    return assert.fail("nothing was thrown");
  },
  throwsAsync: async (act: () => Promise<unknown>, expected: Expected = {}): Promise<unknown> => {
    try {
      await act();
    } catch (error) {
      return fitting(error, expected);
    }
    return assert.fail("nothing was thrown");
  },
};

function fitting(error: unknown, { instanceOf, code }: Expected): unknown {
  if (instanceOf !== undefined) assert.ok(error instanceof instanceOf);
  if (code !== undefined) assert.ok(isLike(error, { code }));
  return error;
}

function isLike(actual: unknown, part: object): boolean {
  if (typeof actual !== "object" || actual === null) return false;
  return Object.entries(part).every(([name, wanted]) => {
    const found: unknown = Reflect.get(actual, name);
    const isNested = typeof wanted === "object" && wanted !== null;
    return isNested ? isLike(found, wanted) : Object.is(found, wanted);
  });
}

/**
 * The names of the tests that fail.
 *
 * @param source  The folder `dist/src` of the package.
 * @param file    The test file inside of it, without ending.
 */
export async function failingTests(
  source: URL,
  file: string,
  patches: readonly Patch[],
): Promise<readonly string[]> {
  const folders = (await readdir(source)).filter((name) => !name.endsWith(".d.ts"));
  return withPatchedCopy(source, { folders, patches, prepare }, async (load) => {
    registered = [];
    Reflect.set(globalThis, REGISTER, (name: string, body: Body) => {
      registered.push({ name, body });
    });
    await load(file);
    const failed: string[] = [];
    for (const { name, body } of registered) {
      try {
        await body(ASSERTIONS);
      } catch {
        failed.push(name);
      }
    }
    assert.ok(0 < registered.length, `${file} has no tests`);
    return failed;
  });
}

/** Where the copy looks for "ava" first. */
async function prepare(copy: string): Promise<void> {
  const folder = `${copy}/node_modules/ava`;
  await mkdir(folder, { recursive: true });
  await writeFile(`${folder}/package.json`, `{"type":"module","exports":"./index.js"}`);
  await writeFile(`${folder}/index.js`, STUB);
}

/** `dist/src` of a package that this one may import. */
export function compiled(name: string): URL {
  return new URL("./", import.meta.resolve(name));
}

/** The same of the command line, which nothing may import. */
export const COMPILED_CLI = new URL("../../../cli/dist/src/", import.meta.url);
