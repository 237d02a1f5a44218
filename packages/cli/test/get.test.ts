import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from "node:fs";
import test from "ava";
import { UsageError } from "../src/args.js";
import { get } from "../src/commands/get.js";
import { FakeError } from "./fake-client.js";
import { Stage } from "./stage.js";

const text = (path: string): string => readFileSync(path, "utf8");

test("get makes the local file, with the directories on its way", async (t) => {
  const stage = new Stage(t);
  stage.setRemote("/x", "remote bytes");
  t.is(await get(stage.context(), ["/x", stage.at("new/dir/y")], {}), 0);
  t.is(text(stage.at("new/dir/y")), "remote bytes");
});

test("get goes into a directory that is there or written with a slash", async (t) => {
  const stage = new Stage(t);
  stage.setRemote("/x", "remote bytes");
  t.is(await get(stage.context(), ["/x", stage.dir], {}), 0);
  t.is(await get(stage.context(), ["/x", `${stage.at("new")}/`], {}), 0);
  t.is(text(stage.at("x")), "remote bytes");
  t.is(text(stage.at("new/x")), "remote bytes");
});

test("get -r copies a tree as the target, or into it when it is there", async (t) => {
  const stage = new Stage(t);
  stage.client.tree.set("/tree", "dir").set("/tree/empty", "dir").set("/tree/sub", "dir");
  stage.setRemote("/tree/one", "1");
  stage.setRemote("/tree/sub/two", "2");
  t.is(await get(stage.context(), ["/tree", stage.at("copy")], { recursive: true }), 0);
  t.is(text(stage.at("copy/sub/two")), "2");
  t.deepEqual(readdirSync(stage.at("copy/empty")), []);
  mkdirSync(stage.at("there"));
  t.is(await get(stage.context(), ["/tree", stage.at("there")], { recursive: true }), 0);
  t.is(text(stage.at("there/tree/one")), "1");
});

test("get leaves no half file, and what stood there, when the bytes break off", async (t) => {
  const stage = new Stage(t);
  stage.setRemote("/x", "remote bytes");
  stage.client.faults.set("read /x", new FakeError("LUMEO_CHECKSUM", "bad bytes"));
  const target = stage.file("y", "before");
  t.is(await get(stage.context(), ["/x", target], {}), 7);
  t.is(text(target), "before");
  t.deepEqual(readdirSync(stage.dir), ["y"]);
});

test("get writes through a link to the file behind it", async (t) => {
  const stage = new Stage(t);
  stage.setRemote("/x", "remote bytes");
  const file = stage.file("real", "before");
  symlinkSync("real", stage.at("link"));
  t.is(await get(stage.context(), ["/x", stage.at("link")], {}), 0);
  t.is(text(file), "remote bytes");
});

test("get writes a device straight, and never replaces it", async (t) => {
  const stage = new Stage(t);
  stage.setRemote("/x", "remote bytes");
  t.is(await get(stage.context(), ["/x", "/dev/null"], {}), 0);
  t.is(text("/dev/null"), "");
});

test("get - writes the bytes alone to the standard output", async (t) => {
  const stage = new Stage(t);
  stage.setRemote("/x", "remote bytes");
  t.is(await get(stage.context(), ["/x", "-"], {}), 0);
  t.is(stage.stdout, "remote bytes");
});

test("get of a directory without -r says to add it, and exits with 2", async (t) => {
  const stage = new Stage(t);
  stage.client.tree.set("/tree", "dir");
  t.is(await get(stage.context(), ["/tree", stage.at("copy")], {}), 2);
  t.regex(stage.stderr, /is a directory; add -r/);
  t.false(existsSync(stage.at("copy")));
});

test("get of a missing path exits with 3", async (t) => {
  const stage = new Stage(t);
  t.is(await get(stage.context(), ["/x", stage.at("y")], {}), 3);
  t.regex(stage.stderr, /^lumeo: error: Cannot stat "\/x": there is no such path\n$/);
});

test("get -r never leaves the target directory, whatever names the cluster holds", async (t) => {
  const stage = new Stage(t);
  stage.client.tree.set("/tree", "dir");
  stage.setRemote("/tree/..", "evil");
  stage.setRemote("/tree/good", "1");
  t.is(await get(stage.context(), ["/tree", stage.at("in/copy")], { recursive: true }), 1);
  t.deepEqual(readdirSync(stage.at("in/copy")), ["good"]);
  t.deepEqual(readdirSync(stage.at("in")), ["copy"]);
});

test("get --range takes one file", async (t) => {
  const stage = new Stage(t);
  const failed = get(stage.context(), ["/a", "/b", "./"], { range: "0-1" });
  await t.throwsAsync(failed, { instanceOf: UsageError });
});

test("get --json says what was written where", async (t) => {
  const stage = new Stage(t);
  stage.setRemote("/x", "remote bytes");
  t.is(await get(stage.context({ json: true }), ["/x", stage.at("y")], {}), 0);
  t.like(stage.objects[0], { path: "/x", target: stage.at("y"), bytes: 12 });
});
