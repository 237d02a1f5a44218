import { mkdirSync, symlinkSync } from "node:fs";
import test from "ava";
import { UsageError } from "../src/args.js";
import { put } from "../src/commands/put.js";
import { FakeError } from "./fake-client.js";
import { Stage } from "./stage.js";

async function* bytes(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

test("put makes the file the target when nothing is there", async (t) => {
  const stage = new Stage(t);
  t.is(await put(stage.context(), [stage.file("a"), "/x/y"], {}), 0);
  t.is(stage.remote("/x/y"), "content");
  t.regex(stage.stdout, /^Stored "\/x\/y": 7 B in /);
});

test("put goes into a directory that is there or written with a slash", async (t) => {
  const stage = new Stage(t);
  stage.client.tree.set("/there", "dir");
  t.is(await put(stage.context(), [stage.file("a"), "/there"], {}), 0);
  t.is(await put(stage.context(), [stage.file("a"), "/new/"], {}), 0);
  t.is(await put(stage.context(), [stage.file("a"), "/"], {}), 0);
  for (const path of ["/there/a", "/new/a", "/a"]) t.is(stage.remote(path), "content");
});

test("put leaves it to the masters to keep small files, unless that is forbidden", async (t) => {
  const stage = new Stage(t);
  t.is(await put(stage.context(), [stage.file("a"), "/a"], {}), 0);
  t.is(stage.client.lastPut?.inline, undefined);
  t.is(await put(stage.context(), [stage.file("a"), "/a"], { inline: false }), 0);
  t.is(stage.client.lastPut?.inline, false);
});

test("put refuses several sources without a directory", async (t) => {
  const stage = new Stage(t);
  const paths = [stage.file("a"), stage.file("b"), "/x"];
  await t.throwsAsync(put(stage.context(), paths, {}), { instanceOf: UsageError });
});

test("put -r copies a tree as the target, with empty directories", async (t) => {
  const stage = new Stage(t);
  stage.file("tree/one");
  stage.file("tree/sub/deep/two");
  mkdirSync(stage.at("tree/empty"));
  t.is(await put(stage.context(), [stage.at("tree"), "/copy"], { recursive: true }), 0);
  t.is(stage.remote("/copy/one"), "content");
  t.is(stage.remote("/copy/sub/deep/two"), "content");
  t.is(stage.client.tree.get("/copy/empty"), "dir");
});

test("put -r copies a tree into a directory that is there", async (t) => {
  const stage = new Stage(t);
  stage.file("tree/one");
  stage.client.tree.set("/there", "dir");
  t.is(await put(stage.context(), [stage.at("tree"), "/there"], { recursive: true }), 0);
  t.is(stage.remote("/there/tree/one"), "content");
});

test("put -r of dir/. copies what is in it into the directory that is there", async (t) => {
  const stage = new Stage(t);
  stage.file("tree/one");
  stage.client.tree.set("/there", "dir");
  t.is(await put(stage.context(), [`${stage.at("tree")}/.`, "/there"], { recursive: true }), 0);
  t.is(stage.remote("/there/one"), "content");
});

test("put of a directory without -r says to add it, and exits with 2", async (t) => {
  const stage = new Stage(t);
  mkdirSync(stage.at("tree"));
  t.is(await put(stage.context(), [stage.at("tree"), "/copy"], {}), 2);
  t.regex(stage.stderr, /is a directory; add -r/);
});

test("put of a missing file exits with 3 and one clear line", async (t) => {
  const stage = new Stage(t);
  t.is(await put(stage.context(), [stage.at("missing"), "/x"], {}), 3);
  t.regex(stage.stderr, /^lumeo: error: Cannot store ".*missing": no such file or directory\n$/);
});

test("put -r follows links, and skips them with --no-follow and a count", async (t) => {
  const stage = new Stage(t);
  stage.file("tree/one");
  symlinkSync("one", stage.at("tree/link"));
  const paths = [stage.at("tree"), "/copy"];
  t.is(await put(stage.context(), paths, { recursive: true }), 0);
  t.is(stage.remote("/copy/link"), "content");
  stage.client.tree.clear();
  t.is(await put(stage.context(), paths, { recursive: true, follow: false }), 0);
  t.is(stage.remote("/copy/link"), undefined);
  t.regex(stage.stderr, /Skipped ".*link": symbolic link/);
  t.regex(stage.stderr, /1 entry skipped/);
});

test("put -r does not follow a link around in circles", async (t) => {
  const stage = new Stage(t);
  stage.file("tree/sub/one");
  symlinkSync("..", stage.at("tree/sub/loop"));
  t.is(await put(stage.context(), [stage.at("tree"), "/copy"], { recursive: true }), 0);
  t.is(stage.remote("/copy/sub/one"), "content");
  t.regex(stage.stderr, /loop": links to a directory around it/);
});

test("put -r names a dangling link, stores the rest and exits with 1", async (t) => {
  const stage = new Stage(t);
  stage.file("tree/one");
  symlinkSync("nowhere", stage.at("tree/dangling"));
  t.is(await put(stage.context(), [stage.at("tree"), "/copy"], { recursive: true }), 1);
  t.is(stage.remote("/copy/one"), "content");
  t.regex(stage.stderr, /Cannot store ".*dangling": no such file or directory/);
});

test("put -r lists what failed, stores the rest and exits with 1", async (t) => {
  const stage = new Stage(t);
  for (const name of ["a", "b", "c"]) stage.file(`tree/${name}`);
  stage.client.faults.set("put /copy/b", new FakeError("LUMEO_CHECKSUM", "bad bytes"));
  t.is(await put(stage.context(), [stage.at("tree"), "/copy"], { recursive: true }), 1);
  t.is(stage.remote("/copy/a"), "content");
  t.is(stage.remote("/copy/c"), "content");
  t.regex(stage.stderr, /Cannot store ".*tree\/b" as "\/copy\/b": bad bytes/);
});

test("put -r stops when the cluster is gone, and exits with 6", async (t) => {
  const stage = new Stage(t);
  for (let i = 0; i < 50; i++) stage.file(`tree/${i}`);
  for (let i = 0; i < 50; i++) {
    stage.client.faults.set(`put /copy/${i}`, new FakeError("LUMEO_UNAVAILABLE", "nobody answers"));
  }
  const context = stage.context({ concurrency: "2" });
  t.is(await put(context, [stage.at("tree"), "/copy"], { recursive: true }), 6);
  t.true(stage.client.calls.filter((call) => call.startsWith("put")).length <= 3);
  t.regex(stage.stderr, /what remained was not tried/);
});

test("put -r stores as many files at once as it is told", async (t) => {
  const stage = new Stage(t);
  for (let i = 0; i < 30; i++) stage.file(`tree/${i}`);
  const context = stage.context({ concurrency: "4" });
  await put(context, [stage.at("tree"), "/copy"], { recursive: true });
  t.true(stage.client.putsAtOnceMax <= 4);
});

test("put - stores the standard input", async (t) => {
  const stage = new Stage(t);
  t.is(await put(stage.context({}, bytes("from ", "a pipe")), ["-", "/x"], {}), 0);
  t.is(stage.remote("/x"), "from a pipe");
});

test("put - into a directory needs a name", async (t) => {
  const stage = new Stage(t);
  await t.throwsAsync(put(stage.context(), ["-", "/x/"], {}), { message: /--stdin-name/ });
  const named = { stdinName: "piped" };
  t.is(await put(stage.context({}, bytes("b")), ["-", "/x/"], named), 0);
  t.is(stage.remote("/x/piped"), "b");
});

test("put --if-not-exists leaves what is there and exits with 4", async (t) => {
  const stage = new Stage(t);
  stage.setRemote("/x", "old");
  t.is(await put(stage.context(), [stage.file("a"), "/x"], { ifNotExists: true }), 4);
  t.is(stage.remote("/x"), "old");
});

test("put --ec says how a file is coded, in words that are checked", async (t) => {
  const stage = new Stage(t);
  const ec = { ec: "4+2", ecFallback: "replicate" };
  t.is(await put(stage.context(), [stage.file("a"), "/x"], ec), 0);
  t.like(stage.client.lastPut, { code: "4+2", codeFallback: "replicate" });
  for (const wrong of [{ ec: "4-2" }, { ec: "31+2" }, { ecFallback: "none" }]) {
    const refused = put(stage.context(), [stage.file("a"), "/x"], wrong);
    await t.throwsAsync(refused, { code: "USAGE" });
  }
});

test("put --json prints one object for each file, and a summary of a tree", async (t) => {
  const stage = new Stage(t);
  stage.file("tree/one");
  const paths = [stage.at("tree"), "/copy"];
  t.is(await put(stage.context({ json: true }), paths, { recursive: true }), 0);
  const [file, last] = stage.objects;
  t.like(file, { path: "/copy/one", size: 7, chunks: 1, crc32c: "00000000" });
  t.like(last, { summary: { files: 1, bytes: 7, failed: 0, skipped: 0 } });
});

test("put --json reports an error as an object on the error output", async (t) => {
  const stage = new Stage(t);
  t.is(await put(stage.context({ json: true }), [stage.at("missing"), "/x"], {}), 3);
  t.like(JSON.parse(stage.stderr), { error: { code: "ENOENT", exitStatus: 3 } });
});

test("put --quiet says nothing when all is well", async (t) => {
  const stage = new Stage(t);
  t.is(await put(stage.context({ quiet: true }), [stage.file("a"), "/x"], {}), 0);
  t.is(stage.stdout + stage.stderr, "");
});
