import test from "ava";
import { UsageError } from "./args.js";
import { baseName, childPath, isLocalName, parseRemotePath } from "./remote-path.js";

test("parseRemotePath() tidies slashes and remembers the one at the end", (t) => {
  t.deepEqual(parseRemotePath("/"), { path: "/", isFolder: true });
  t.deepEqual(parseRemotePath("/a/b"), { path: "/a/b", isFolder: false });
  t.deepEqual(parseRemotePath("//a//b/"), { path: "/a/b", isFolder: true });
  t.deepEqual(parseRemotePath("lumeo:/a"), { path: "/a", isFolder: false });
});

test("parseRemotePath() refuses what is not a path in the cluster", (t) => {
  for (const text of ["", "a", "./a", "/a/../b", "/a/.", "lumeo://host:1/a"]) {
    t.throws(() => parseRemotePath(text), { instanceOf: UsageError }, text);
  }
});

test("parseRemotePath() keeps names as they are", (t) => {
  for (const path of ["/ä ö", "/a\nb", "/-r", "/...", "/a\\b", "/é"]) {
    t.is(parseRemotePath(path).path, path);
  }
});

test("childPath() and baseName() are each other's mirror", (t) => {
  t.is(childPath("/", "a"), "/a");
  t.is(childPath("/a", "b"), "/a/b");
  t.is(baseName("/a/b"), "b");
  t.is(baseName("/"), "");
});

test("isLocalName() refuses names that would leave the target directory", (t) => {
  for (const name of ["", ".", "..", "a/b", "a\0"]) t.false(isLocalName(name), name);
  for (const name of ["a", "...", ".git", "a b"]) t.true(isLocalName(name), name);
});
