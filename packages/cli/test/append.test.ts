import test from "ava";
import { UsageError } from "../src/args.js";
import { append } from "../src/commands/append.js";
import { FakeError } from "./fake-client.js";
import { Stage } from "./stage.js";

async function* bytes(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

test("append sends each line of standard input as a record, wherever its pieces are cut", async (t) => {
  const stage = new Stage(t);
  const stdin = bytes("one\ntw", "o\n\nthr", "ee");
  t.is(await append(stage.context({ json: true }, stdin), "/log", [], {}), 0);
  t.is(stage.remote("/log"), "one\ntwo\n\nthree");
  t.deepEqual(
    stage.objects.map(({ offset, length }) => [offset, length]),
    [
      [0, 4],
      [4, 4],
      [8, 1],
      [9, 5],
    ],
  );
});

test("append tells people how much there is, and where each record stands if they want it", async (t) => {
  const stage = new Stage(t);
  t.is(await append(stage.context(), "/log", [stage.file("a", "x\ny\n")], {}), 0);
  t.is(stage.stdout, 'Appended 2 records, 4 B, to "/log", from byte 0 on\n');
  t.is(await append(stage.context(), "/log", [], { text: "z", offsets: true }), 0);
  t.true(stage.stdout.includes("\n4  2\nAppended 1 record, 2 B"));
});

test("append --record sends a source as one record, and refuses an empty one", async (t) => {
  const stage = new Stage(t);
  const context = stage.context({ json: true });
  t.is(await append(context, "/log", [stage.file("a", "x\ny\n")], { record: true }), 0);
  t.is(stage.objects.length, 1);
  const empty = append(context, "/log", [stage.file("empty", "")], { record: true });
  await t.throwsAsync(empty, { instanceOf: UsageError, message: /no bytes/ });
});

test("append of no lines does nothing and says so", async (t) => {
  const stage = new Stage(t);
  t.is(await append(stage.context(), "/log", [], {}), 0);
  t.is(stage.remote("/log"), undefined);
  t.is(stage.stdout, 'Appended 0 records, 0 B, to "/log"\n');
});

test("append refuses what is longer than a record, and says what to do", async (t) => {
  const stage = new Stage(t);
  const long = "x".repeat(512 * 1024 + 1);
  const refused = append(stage.context({}, bytes("ok\n", long)), "/log", [], {});
  await t.throwsAsync(refused, { instanceOf: UsageError, message: /line 2.*lumeo put/ });
  t.is(stage.remote("/log"), "ok\n");
});

test("append ends with the first failure, and says what is known to be there", async (t) => {
  const stage = new Stage(t);
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield Buffer.from("one\ntwo\n");
    stage.client.faults.set("append /log", new FakeError("LUMEO_QUOTA", "Cannot append: full"));
    yield Buffer.from("three\n");
  }
  const failed = append(stage.context({}, failing()), "/log", [], {});
  await t.throwsAsync(failed, { message: /full/ });
  t.regex(stage.stderr, /Only 2 records from before it are known to be appended/);
});

test("append --no-create fails if the file is not there, and a directory is no file", async (t) => {
  const stage = new Stage(t);
  const missing = append(stage.context(), "/log", [], { text: "x", create: false });
  await t.throwsAsync(missing, { message: /does not exist/ });
  await t.throwsAsync(append(stage.context(), "/logs/", [], { text: "x" }), {
    instanceOf: UsageError,
  });
  const both = append(stage.context(), "/log", ["a"], { text: "x" });
  await t.throwsAsync(both, { instanceOf: UsageError });
});
