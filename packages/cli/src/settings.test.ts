import test from "ava";
import { UsageError } from "./args.js";
import { resolveSettings, type Surroundings } from "./settings.js";

const around = (environment: Surroundings["environment"] = {}, isTty = false): Surroundings => ({
  environment,
  stdoutIsTty: isTty,
  stderrIsTty: isTty,
});

test("resolveSettings() takes flags before the environment before defaults", (t) => {
  const environment = {
    LUMEO_ENDPOINTS: "a:1,b:2",
    LUMEO_CONCURRENCY: "8",
    LUMEO_TIMEOUT: "5s",
    LUMEO_OUTPUT: "json",
  };
  t.like(resolveSettings({}, around(environment)), {
    endpoints: ["a:1", "b:2"],
    concurrency: 8,
    timeoutMs: 5_000,
    json: true,
  });
  const flags = { endpoint: ["c:3"], concurrency: "2", timeout: "1m" };
  t.like(resolveSettings(flags, around(environment)), {
    endpoints: ["c:3"],
    concurrency: 2,
    timeoutMs: 60_000,
  });
  t.like(resolveSettings({}, around()), { endpoints: [], concurrency: 16, json: false });
});

test("resolveSettings() draws a bar only for a person at a terminal", (t) => {
  const kind = (raw: object, environment: Surroundings["environment"], isTty: boolean) =>
    resolveSettings(raw, around(environment, isTty)).progress;
  t.is(kind({}, {}, true), "bar");
  t.is(kind({}, {}, false), "none");
  t.is(kind({}, { CI: "true" }, true), "none");
  t.is(kind({}, { TERM: "dumb" }, true), "none");
  t.is(kind({}, { LUMEO_NO_PROGRESS: "1" }, true), "none");
  t.is(kind({ quiet: true, progress: "bar" }, {}, true), "none");
  t.is(kind({ progress: "plain" }, {}, false), "plain");
});

test("resolveSettings() colours a terminal unless told otherwise", (t) => {
  const color = (raw: object, environment: Surroundings["environment"], isTty: boolean) =>
    resolveSettings(raw, around(environment, isTty)).color;
  t.true(color({}, {}, true));
  t.false(color({}, {}, false));
  t.false(color({}, { NO_COLOR: "1" }, true));
  t.true(color({}, { FORCE_COLOR: "1" }, false));
  t.true(color({ color: "always" }, { NO_COLOR: "1" }, false));
  t.false(color({ color: "never" }, {}, true));
});

test("resolveSettings() refuses values that are no choice", (t) => {
  for (const raw of [{ progress: "fancy" }, { color: "red" }, { concurrency: "0" }]) {
    t.throws(() => resolveSettings(raw, around()), { instanceOf: UsageError });
  }
});

test("resolveSettings() names the variable that is wrong", (t) => {
  const wrong = {
    LUMEO_OUTPUT: "xml",
    LUMEO_TIMEOUT: "soon",
    LUMEO_CONCURRENCY: "0",
    LUMEO_ENDPOINTS: "nonsense",
  };
  for (const [name, value] of Object.entries(wrong)) {
    const message = new RegExp(`${name}`);
    t.throws(() => resolveSettings({}, around({ [name]: value })), { message });
  }
  t.throws(() => resolveSettings({ timeout: "soon" }, around()), { message: /--timeout/ });
  t.true(resolveSettings({}, around({ LUMEO_OUTPUT: "json" })).json);
  t.false(resolveSettings({}, around({ LUMEO_OUTPUT: "text" })).json);
});
