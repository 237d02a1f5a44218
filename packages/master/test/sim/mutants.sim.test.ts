// The simulation is worth what it finds: it must see every deliberate bug of mutants.ts.

import test from "ava";
import { tableRow } from "./main.js";
import { MUTANTS } from "./mutants.js";
import { findMutant } from "./mutation.js";

for (const mutant of MUTANTS) {
  test.serial(`the simulation sees a product that ${mutant.name}`, async (t) => {
    const found = await findMutant(mutant);
    t.log(tableRow(mutant.name, found));
    t.not(found.property, undefined, `not seen in ${found.seeds} seeds: ${mutant.breaks}`);
  });
}
