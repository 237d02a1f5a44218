// The enumerations, bounded. The whole of them: npm run bench -- faults.

import test from "ava";
import {
  enumerateCrashes,
  enumerateCrashPairs,
  enumerateErrors,
  enumerateKills,
  enumerateStartErrors,
} from "./enumeration.js";
import { main } from "./main.js";
import { REAL_PARTS } from "./store-machine.js";

test("power lost at any call of disk or index loses nothing, whatever of it survives", async (t) => {
  const tally = await enumerateCrashes(REAL_PARTS, { every: 1, cutsMax: 1 });
  t.deepEqual(tally.faults, []);
  t.true(250 < tally.points && 1_000 < tally.machines, JSON.stringify(tally));
});

test("power lost once more while the store recovers loses nothing", async (t) => {
  const tally = await enumerateCrashPairs(REAL_PARTS, { every: 30, cutsMax: 0 });
  t.deepEqual(tally.faults, []);
  t.true(500 < tally.points, JSON.stringify(tally));
});

test("a process killed at any call leaves a store that shows only what lasts", async (t) => {
  const tally = await enumerateKills(REAL_PARTS, { every: 2, cutsMax: 0 });
  t.deepEqual(tally.faults, []);
});

test("an error, a full disk, a short write or a failed sync at any call stops the store", async (t) => {
  const tally = await enumerateErrors(REAL_PARTS, { every: 2, cutsMax: 0 });
  t.deepEqual(tally.faults, []);
});

test("an error at any call of a start ends the start and harms no chunk", async (t) => {
  const tally = await enumerateStartErrors(REAL_PARTS, { every: 2, cutsMax: 0 });
  t.deepEqual(tally.faults, []);
});

test("the command shows points, starts and losses", async (t) => {
  let text = "";
  const status = await main(["--every", "60", "--cuts", "0"], {
    print: (more) => {
      text += more;
    },
    nowMs: () => 0,
  });
  t.is(status, 0);
  t.regex(text, /power lost at a call +\d+ +\d+ +0 /);
});
