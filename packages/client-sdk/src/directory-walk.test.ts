import test from "ava";
import { DirectoryWalk, type DirectoryWalkOptions, type FetchPage } from "./directory-walk.js";
import { LumeoError } from "./error.js";
import type { FileInfo } from "./file-info.js";

const PAGE = 2;

interface Asked {
  readonly path: string;
  readonly after: string;
  answer(more?: boolean): void;
  fail(error: unknown): void;
}

/** Directories whose pages are answered by hand. */
class Desk {
  readonly asked: Asked[] = [];
  readonly #names: Readonly<Record<string, readonly string[]>>;

  constructor(names: Readonly<Record<string, readonly string[]>>) {
    this.#names = names;
  }

  readonly fetch: FetchPage = (path, after) =>
    new Promise((resolve, reject) => {
      const names = (this.#names[path] ?? []).filter((name) => after < name);
      const entries = names.slice(0, PAGE).map((name) => {
        const kind = name.startsWith("dir") ? "dir" : "file";
        return { path: path === "/" ? `/${name}` : `${path}/${name}`, kind } as FileInfo;
      });
      const more = PAGE < names.length;
      const answer = (): void => resolve({ entries, more });
      this.asked.push({ path, after, answer, fail: reject });
    });

  walk(options: Partial<DirectoryWalkOptions> = {}): DirectoryWalk {
    const { fetch } = this;
    return new DirectoryWalk({ root: "/", isRecursive: false, after: "", fetch, ...options });
  }
}

function pathsOf(run: readonly FileInfo[] | undefined): readonly string[] | undefined {
  return run?.map(({ path }) => path);
}

test("nothing is asked before the first run is wanted, and one page for who wants one", async (t) => {
  const desk = new Desk({ "/": ["a", "b", "c", "d", "e"] });
  const walk = desk.walk();
  t.is(desk.asked.length, 0);
  const first = walk.next();
  desk.asked[0]?.answer();
  t.deepEqual(pathsOf(await first), ["/a", "/b"]);
  t.true(walk.hasMore);
  t.is(desk.asked.length, 1);
});

test("from the second page on, one page is asked for ahead", async (t) => {
  const desk = new Desk({ "/": ["a", "b", "c", "d", "e"] });
  const walk = desk.walk();
  const first = walk.next();
  desk.asked[0]?.answer();
  await first;
  const second = walk.next();
  desk.asked[1]?.answer();
  t.deepEqual(pathsOf(await second), ["/c", "/d"]);
  t.deepEqual(
    desk.asked.map(({ after }) => after),
    ["", "b", "d"],
  );
  desk.asked[2]?.answer();
  t.deepEqual(pathsOf(await walk.next()), ["/e"]);
  t.is(await walk.next(), undefined);
  t.false(walk.hasMore);
  t.is(desk.asked.length, 3);
});

test("a page that was asked for ahead in vain fails when its turn comes, and not before", async (t) => {
  const desk = new Desk({ "/": ["a", "b", "c", "d", "e"] });
  const walk = desk.walk();
  for (const page of [0, 1]) {
    const run = walk.next();
    desk.asked[page]?.answer();
    await run;
  }
  desk.asked[2]?.fail(new Error("gone away"));
  await t.throwsAsync(() => walk.next(), { message: "gone away" });
});

test("a directory is named right before what is in it, and what vanished is left out", async (t) => {
  const desk = new Desk({ "/": ["a", "dir1", "dir2", "z"], "/dir1": ["x"] });
  const walk = desk.walk({ isRecursive: true });
  const take = async (settle: (asked: Asked) => void): Promise<unknown> => {
    const before = desk.asked.length;
    const run = walk.next();
    const asked = desk.asked[before];
    if (asked !== undefined) settle(asked);
    return pathsOf(await run);
  };
  t.deepEqual(await take((asked) => asked.answer()), ["/a", "/dir1"]);
  t.deepEqual(await take((asked) => asked.answer()), ["/dir1/x"]);
  t.deepEqual(await take((asked) => asked.answer()), ["/dir2"]);
  const missing = new LumeoError("LUMEO_NOT_FOUND", "no", { path: "/dir2" });
  t.deepEqual(await take((asked) => asked.fail(missing)), ["/z"]);
  t.is(await walk.next(), undefined);
});
