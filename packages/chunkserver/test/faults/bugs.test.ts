// Every deliberate bug is found by the enumeration that should find it.

import test from "ava";
import { BUGS, type Finder } from "./bugs.js";
import {
  enumerateCrashes,
  enumerateCrashPairs,
  enumerateErrors,
  enumerateKills,
  enumerateOldIndexes,
  enumerateStartErrors,
  type Limits,
  type Tally,
} from "./enumeration.js";
import { enumerateFlips } from "./flips.js";
import { enumerateLives } from "./life.js";
import { withBug } from "./mutation.js";
import { enumerateRaces } from "./races.js";
import type { StoreParts } from "./store-machine.js";

/** Flips of all regions as one count. */
async function enumerateAllFlips(parts: StoreParts): Promise<Tally> {
  const counts = await enumerateFlips(parts, { flipsMax: 12 });
  return {
    points: counts.reduce((sum, { points }) => sum + points, 0),
    machines: counts.reduce((sum, { machines }) => sum + machines, 0),
    faults: counts.flatMap(({ faults }) => faults),
  };
}

/** Every so many-th call first, then those between: most bugs show soon. */
const STRIDE = 7;

const FINDERS: Readonly<Record<Finder, (parts: StoreParts, limits: Limits) => Promise<Tally>>> = {
  crashes: enumerateCrashes,
  pairs: enumerateCrashPairs,
  kills: enumerateKills,
  errors: enumerateErrors,
  startErrors: enumerateStartErrors,
  flips: enumerateAllFlips,
  oldIndexes: enumerateOldIndexes,
  races: enumerateRaces,
  lives: (parts) => enumerateLives(parts, 40),
};

const STRIDED: ReadonlySet<Finder> = new Set([
  "crashes",
  "pairs",
  "kills",
  "errors",
  "startErrors",
]);

/** The script itself may notice. */
function thrown(error: unknown): Pick<Tally, "faults"> {
  return { faults: [String(error)] };
}

for (const bug of BUGS) {
  test(`the enumeration of ${bug.foundBy} finds a store that ${bug.name}`, async (t) => {
    const find = FINDERS[bug.foundBy];
    await withBug(bug, async (parts) => {
      const rounds = STRIDED.has(bug.foundBy) ? STRIDE : 1;
      for (let offset = 0; offset < rounds; offset++) {
        const limits = { every: rounds, offset, cutsMax: 1, formattingEvery: 40, untilFound: true };
        const { faults } = await find(parts, limits).catch(thrown);
        if (faults.length === 0) continue;
        t.log(faults[0]?.slice(0, 140));
        t.pass();
        return;
      }
      t.fail("not found");
    });
  });
}
