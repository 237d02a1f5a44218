// Whole clusters under faults: as many seeds as fit into a test run. `npm run sim -- cluster` runs
// more, and mutants.test.ts shows what the simulation is worth.

import test from "ava";
import { SimulationFailure, type SimulationReport, simulate } from "../src/simulation.js";

/** Kept away from the seeds that `npm run sim` begins with, so that both together see more. */
const FIRST_SEED = 10_000;
const SEEDS = 6;

const reports: SimulationReport[] = [];

for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
  test.serial(`a whole cluster loses nothing, and is whole again: seed ${seed}`, async (t) => {
    reports.push(await simulate({ seed }));
    t.pass();
  });
}

test.serial("these lives were worth living", (t) => {
  const sum = (of: (report: SimulationReport) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  t.is(reports.length, SEEDS);
  t.true(30 < sum(({ puts }) => puts), "files were stored");
  t.true(30 < sum(({ reads }) => reads), "files were read");
  t.true(10 < sum(({ crashes }) => crashes), "processes ended");
});

test.serial("a seed is replayed line by line", async (t) => {
  const [first, second] = [
    await simulate({ seed: 3, traced: true }),
    await simulate({ seed: 3, traced: true }),
  ];
  t.true(100 < first.trace.length);
  t.is(first.events, second.events);
  t.true(first.trace.join("\n") === second.trace.join("\n"));
});

test.serial("a failure names the seed and the command that shows it again", async (t) => {
  const request = {
    seed: 7,
    // Nobody is ever told anything.
    change: (options: SimulationReport["options"]) => ({
      ...options,
      wire: { ...options.wire, delayMsMin: 1e9 },
    }),
  };
  const failure = await t.throwsAsync(simulate(request), { instanceOf: SimulationFailure });
  t.is(failure?.property, "liveness");
  t.regex(failure?.message ?? "", /Seed 7 fails [\s\S]*npm run sim -- cluster --seed 7 --runs 1/);
});
