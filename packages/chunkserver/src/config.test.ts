import { LumeoError } from "@lumeofs/base";
import test from "ava";
import { readConfig, readInvocation } from "./config.js";

const NEEDED = ["--name", "cs1", "--dir", "d", "--masters", "m:7400"];

test("--help tells every setting, with flags that the program takes", async (t) => {
  const invocation = await readInvocation(["--name", "cs1", "--help"], {});
  if (invocation.kind !== "help") return t.fail();
  const { text } = invocation;
  t.regex(text, /--name VALUE\n.*\n +Needed\. Environment: LUMEO_CHUNKSERVER_NAME\.\n/);
  t.regex(text, /--scrub-round-ms VALUE\n.*\n +Default: 3600000\. .*_SCRUB_ROUND_MS\.\n/);
  t.regex(text, /--label VALUE\n.*\n +Default: none\.\n/);
  const flags = [...text.matchAll(/--([a-z-]+) (?:VALUE|FILE)/g)].map(([, flag]) => flag ?? "");
  t.true(20 < flags.length);
  for (const flag of flags) {
    const error = await t.throwsAsync(readConfig([`--${flag}`], {}), { instanceOf: LumeoError });
    t.regex(error?.message ?? "", /argument missing/, flag); // it is known, and wants a value
  }
});

test("flags that there are not are no matter of settings", async (t) => {
  for (const wrong of [["--colour", "red"], ["extra"]]) {
    const run = readInvocation([...NEEDED, ...wrong], {});
    const error = await t.throwsAsync(run, { instanceOf: LumeoError });
    t.is(error?.code, "INVALID_ARGUMENT");
    t.regex(error?.message ?? "", new RegExp(`${wrong[0]}.*--help lists them`));
  }
});

test("settings that cannot be are refused by name", async (t) => {
  const run = readInvocation([...NEEDED, "--copies-max", "0"], {});
  await t.throwsAsync(run, { instanceOf: LumeoError, code: "CONFIG", message: /"copiesMax"/ });
  const invocation = await readInvocation(NEEDED, {});
  t.like(invocation, { kind: "run", config: { name: "cs1", dir: "d", masters: ["m:7400"] } });
});
