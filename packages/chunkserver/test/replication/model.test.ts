// The chunk protocol, searched completely in the small: on the core itself, and on cores of which
// one rule was taken away.

import test from "ava";
import { SMALL_CONFIGURATIONS } from "./model/configurations.js";
import { story, tableRow } from "./model/report.js";
import { search } from "./model/search.js";
import { MUTANTS } from "./mutants.js";
import { findLoss } from "./mutation.js";
import { PRODUCT } from "./parts.js";

for (const settings of SMALL_CONFIGURATIONS) {
  test.serial(`nothing acknowledged is lost with ${settings.name}`, (t) => {
    const result = search(PRODUCT, settings);
    t.log(tableRow(settings.name, result));
    t.is(result.violation, undefined, story(result));
    t.true(result.isComplete);
  });
}

for (const mutant of MUTANTS) {
  test.serial(`the search finds a loss if ${mutant.name}`, async (t) => {
    const result = await findLoss(mutant);
    t.log(tableRow(mutant.name, result));
    t.log(story(result));
    t.not(result.violation, undefined);
  });
}
