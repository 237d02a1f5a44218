// Random runs of the append protocol: what the complete search is too small for.

import test from "ava";
import { MUTANTS } from "./mutants.js";
import { findInRuns } from "./mutation.js";
import { simulate } from "./sim/simulation.js";

const SEEDS = 120;
const GROUP = 20;
const PAIR_SEEDS = 40;

for (let from = 1; from <= SEEDS; from += GROUP) {
  test.serial(`C1 to C10 hold for seeds ${from} to ${from + GROUP - 1}`, async (t) => {
    let acknowledged = 0;
    for (let seed = from; seed < from + GROUP; seed++) {
      acknowledged += (await simulate({ seed })).acknowledged;
    }
    t.true(0 < acknowledged);
  });
}

test.serial(
  "C1 to C10 hold for chunks with two copies, of which one is lost now and then",
  async (t) => {
    let acknowledged = 0;
    for (let seed = 1; seed <= PAIR_SEEDS; seed++) {
      acknowledged += (await simulate({ seed, replicas: 2 })).acknowledged;
    }
    t.true(0 < acknowledged);
  },
);

test.serial("a run is a function of its seed", async (t) => {
  t.deepEqual(await simulate({ seed: 7 }), await simulate({ seed: 7 }));
});

test.serial("rule 3: with clocks far beyond the terms reads err, and writes do not", async (t) => {
  let stale = 0;
  for (let seed = 1; seed <= 60; seed++) {
    stale += (await simulate({ seed, clockDrift: 0.8 })).readsStale;
  }
  t.log(`${stale} stale reads`);
  t.true(0 < stale, "the clocks are bad enough to matter");
});

for (const mutant of MUTANTS.filter(({ seedsMax }) => seedsMax !== undefined)) {
  test.serial(`the simulation sees that ${mutant.name}`, async (t) => {
    const found = await findInRuns(mutant);
    t.log(found);
    t.not(found, undefined);
  });
}
