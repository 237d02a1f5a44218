import test from "ava";
import { ancestor, isWithin, type Path, parsePath } from "./path.js";

function path(text: string): Path {
  const parsed = parsePath(text);
  if (parsed.kind === "refused") throw new Error(parsed.message);
  return parsed;
}

test("parsePath() takes a path apart and leaves its names as they are", (t) => {
  t.deepEqual(path("/").names, []);
  t.deepEqual(path("/a/B c/ü..").names, ["a", "B c", "ü.."]);
  t.deepEqual(path(`/${"x".repeat(255)}`).names.length, 1);
});

test("parsePath() refuses what is not an absolute path, and says why", (t) => {
  const bad: Readonly<Record<string, RegExp>> = {
    "": /begin with "\/"/,
    a: /begin with "\/"/,
    "//": /empty name/,
    "/a/": /empty name/,
    "/a//b": /empty name/,
    "/.": /"\." is not a name/,
    "/a/../b": /"\.\." is not a name/,
    "/a\0b": /NUL/,
    "/a\ud800b": /Unicode/,
    [`/${"x".repeat(256)}`]: /longer than 255 bytes/,
    [`/${"ü".repeat(128)}`]: /longer than 255 bytes/,
    ["/a".repeat(2049)]: /longer than 4096 bytes/,
  };
  for (const [text, why] of Object.entries(bad)) {
    const parsed = parsePath(text);
    if (parsed.kind !== "refused") return t.fail(text);
    t.is(parsed.code, "INVALID_ARGUMENT");
    t.regex(parsed.message, why);
    t.true(parsed.message.length < 800);
  }
});

test("isWithin() compares names, not letters", (t) => {
  t.true(isWithin(path("/a/b"), path("/a")));
  t.true(isWithin(path("/a"), path("/a")));
  t.true(isWithin(path("/a"), path("/")));
  t.false(isWithin(path("/ab"), path("/a")));
  t.false(isWithin(path("/a"), path("/a/b")));
});

test("ancestor() is the path of the first names", (t) => {
  t.is(ancestor(path("/a/b/c"), 2), "/a/b");
});
