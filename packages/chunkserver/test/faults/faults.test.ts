// The enumerations, bounded. The whole of them: npm run bench -- faults.

import test from "ava";
import {
  enumerateCrashes,
  enumerateCrashPairs,
  enumerateErrors,
  enumerateKills,
  enumerateOldIndexes,
  enumerateStartErrors,
} from "./enumeration.js";
import { enumerateFlips } from "./flips.js";
import { enumerateIndexFlips } from "./index-flips.js";
import { main } from "./main.js";
import { REAL_PARTS } from "./store-machine.js";

const FLIPS = { flipsMax: 8 };

test("power lost at any call of disk or index loses nothing, whatever of it survives", async (t) => {
  const tally = await enumerateCrashes(REAL_PARTS, { every: 2, cutsMax: 1, formattingEvery: 12 });
  t.deepEqual(tally.faults, []);
  t.true(80 < tally.points && 300 < tally.machines, JSON.stringify(tally));
});

test("power lost once more while the store recovers loses nothing", async (t) => {
  const tally = await enumerateCrashPairs(REAL_PARTS, { every: 40, cutsMax: 0 });
  t.deepEqual(tally.faults, []);
  t.true(500 < tally.points, JSON.stringify(tally));
});

test("a process killed at any call leaves a store that shows only what lasts", async (t) => {
  const tally = await enumerateKills(REAL_PARTS, { every: 3, cutsMax: 0 });
  t.deepEqual(tally.faults, []);
});

test("an error, a full disk, a short write or a failed sync at any call stops the store", async (t) => {
  const tally = await enumerateErrors(REAL_PARTS, { every: 4, cutsMax: 0 });
  t.deepEqual(tally.faults, []);
});

test("an error at any call of a start ends the start and harms no chunk", async (t) => {
  const tally = await enumerateStartErrors(REAL_PARTS, { every: 4, cutsMax: 0 });
  t.deepEqual(tally.faults, []);
});

test("an index that has lost its newest writes costs nothing", async (t) => {
  const tally = await enumerateOldIndexes(REAL_PARTS, { every: 1, cutsMax: 0 });
  t.deepEqual(tally.faults, []);
  t.true(10 < tally.machines);
});

test("a flipped bit anywhere is detected or harmless, and never served", async (t) => {
  for (const { region, faults, points, ...count } of await enumerateFlips(REAL_PARTS, FLIPS)) {
    t.deepEqual(faults, [], region);
    t.is(count.detected + count.harmless + count.torn, points, region);
    const isSeenAlways = region === "volume" || region === "data of a large chunk";
    if (isSeenAlways) t.is(count.detected, points, region);
  }
});

test("a flipped bit anywhere in the index changes nothing", async (t) => {
  const { faults, points } = await enumerateIndexFlips(40);
  t.deepEqual(faults, []);
  t.true(30 < points);
});

test("the command shows points, starts and losses", async (t) => {
  let text = "";
  const status = await main(["--every", "150", "--cuts", "0", "--flips", "1", "--lives", "2"], {
    print: (more) => {
      text += more;
    },
    nowMs: () => 0,
  });
  t.is(status, 0);
  t.regex(text, /power lost at a call +\d+ +\d+ +0 /);
});
