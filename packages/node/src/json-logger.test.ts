import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InvariantViolation, LumeoError } from "@lumeofs/base";
import test, { type ExecutionContext } from "ava";
import { JsonLogger, type LogLevel } from "./json-logger.js";

type Line = Readonly<Record<string, unknown>>;

async function linesOf(
  t: ExecutionContext,
  level: LogLevel,
  write: (logger: JsonLogger) => void,
): Promise<Line[]> {
  const folder = await mkdtemp(join(tmpdir(), "lumeo-log-"));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, "log");
  const logger = await JsonLogger.open({ level, file, fields: { node: "m1" } });
  write(logger);
  await logger.close();
  const text = await readFile(file, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

test("JsonLogger writes one line per event, with its fields and its parent's", async (t) => {
  const [line, ...rest] = await linesOf(t, "info", (logger) => {
    logger.child({ component: "raft" }).info("leader elected", { term: 7, peer: "m2" });
  });
  t.deepEqual(rest, []);
  const { time, ...fields } = line as Line;
  t.regex(String(time), /^\d{4}-\d\d-\d\dT.*Z$/);
  const expected = { level: "info", message: "leader elected", node: "m1", component: "raft" };
  t.deepEqual(fields, { ...expected, term: 7, peer: "m2" });
});

test("JsonLogger leaves out what is below its level", async (t) => {
  const lines = await linesOf(t, "warn", (logger) => {
    logger.debug("a");
    logger.info("b");
    logger.warn("c");
    logger.error("d");
  });
  t.deepEqual(
    lines.map((line) => line["message"]),
    ["c", "d"],
  );
});

test("JsonLogger writes an error's message, code and cause", async (t) => {
  const cause = new Error("disk is gone");
  const [line] = await linesOf(t, "info", (logger) => {
    const error = new LumeoError("STORE_FAILED", "Cannot sync segment 4", { cause });
    logger.error("store failed", { error });
  });
  t.like(line, { error: "Cannot sync segment 4", code: "STORE_FAILED", cause: "disk is gone" });
  t.false("stack" in (line as Line));
});

test("JsonLogger keeps the stack of an error that is a bug", async (t) => {
  const lines = await linesOf(t, "info", (logger) => {
    logger.error("crashed", { error: new InvariantViolation("applied passed committed") });
    logger.error("crashed", { error: new TypeError("x is undefined") });
  });
  t.is(lines[0]?.["code"], "INVARIANT");
  for (const line of lines) t.regex(String(line["stack"]), /json-logger\.test/);
});

test("JsonLogger writes every line before close() resolves, and none afterwards", async (t) => {
  const count = 5_000;
  let kept: JsonLogger | undefined;
  const lines = await linesOf(t, "info", (logger) => {
    kept = logger;
    for (let i = 0; i < count; i++) logger.info("event", { index: i });
  });
  t.deepEqual(
    lines.map((line) => line["index"]),
    [...Array(count).keys()],
  );
  kept?.info("too late");
  await t.notThrowsAsync(async () => kept?.close());
});
