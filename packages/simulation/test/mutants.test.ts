// The simulation of clusters is worth what it finds: it must see each deliberate bug of mutants.ts.

import test from "ava";
import { MUTANTS } from "../src/mutants.js";
import { findMutant } from "../src/mutation.js";

for (const mutant of MUTANTS) {
  test.serial(`the simulation finds: ${mutant.name}`, async (t) => {
    const { seeds, property, message } = await findMutant(mutant);
    t.log(`${seeds} seeds: ${message.split("\n")[0]?.slice(0, 160)}`);
    t.not(property, undefined, `not seen in ${seeds} seeds`);
  });
}
