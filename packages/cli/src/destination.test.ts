import test from "ava";
import { UsageError } from "./args.js";
import { choosePlacement, type Target } from "./destination.js";

const target = (found: Target["found"], isFolder = false): Target => ({
  shown: "/t",
  found,
  isFolder,
});

test("choosePlacement() puts sources inside a directory, existing or written with a slash", (t) => {
  t.is(choosePlacement(1, target("directory")), "inside");
  t.is(choosePlacement(3, target("directory")), "inside");
  t.is(choosePlacement(1, target("nothing", true)), "inside");
  t.is(choosePlacement(3, target("nothing", true)), "inside");
});

test("choosePlacement() makes one source the target itself otherwise", (t) => {
  t.is(choosePlacement(1, target("nothing")), "as");
  t.is(choosePlacement(1, target("file")), "as");
});

test("choosePlacement() refuses several sources without a directory", (t) => {
  t.throws(() => choosePlacement(2, target("nothing")), { instanceOf: UsageError });
  t.throws(() => choosePlacement(2, target("file")), { instanceOf: UsageError });
});

test("choosePlacement() refuses a file that is written as a directory", (t) => {
  t.throws(() => choosePlacement(1, target("file", true)), { message: /it is a file/ });
});
