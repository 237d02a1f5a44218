import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { processFacts } from "./process-facts.js";

test("processFacts() says how the process and the disk of its folder are, and leaves nothing", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "lumeo-facts-"));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const [facts, same] = await Promise.all([processFacts(folder), processFacts(folder)]);
  t.is(facts, same, "whoever asks at the same time shares the look");
  t.regex(facts.version, /^\d+\.\d+\.\d+/);
  t.true(0 < facts.diskFreeBytes && facts.diskFreeBytes <= facts.diskBytes);
  t.true(0 < facts.syncUs && facts.syncUs <= facts.syncUsMax);
  t.is(facts.syncFailure, "");
  t.deepEqual(readdirSync(folder), []);
});

test("processFacts() says why nothing could be written", async (t) => {
  const facts = await processFacts(join(tmpdir(), "lumeo-facts-that-is-not-there"));
  t.regex(facts.syncFailure, /ENOENT/);
  t.is(facts.syncUs, 0);
  t.is(facts.diskBytes, 0);
});
