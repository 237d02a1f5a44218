// Random histories of the namespace with all that it keeps of the past, against a plain model:
// what is promised can be read, nothing is freed that somebody needs, and nothing stays that
// nobody does.
// More of them: LUMEO_TREE_RUNS=5000.

import test from "ava";
import fc from "fast-check";
import { TreeRun } from "./tree-model-run.js";
import { steps } from "./tree-model-steps.js";

test("random histories read as a plain model of them, and leave nothing behind", async (t) => {
  await fc.assert(
    fc.asyncProperty(steps, (history) => new TreeRun().live(history)),
    { numRuns: Number(process.env["LUMEO_TREE_RUNS"] ?? 150) },
  );
  t.pass();
});
