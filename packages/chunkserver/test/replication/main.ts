// The chunk protocol from the command line (`npm run sim -- chunks …`):
//
//   --model      search the small configurations completely
//   --large      and the large ones: minutes, and up to 4 GB of memory
//   --mutants    a table: rule that is left out, loss, steps, states; then how each loss happens

import { LARGE_CONFIGURATIONS, SMALL_CONFIGURATIONS } from "./model/configurations.js";
import { story, tableRow } from "./model/report.js";
import { type SearchResult, search } from "./model/search.js";
import type { ModelSettings } from "./model/settings.js";
import { MUTANTS } from "./mutants.js";
import { findLoss } from "./mutation.js";
import { PRODUCT } from "./parts.js";

/** The terminal and the time, handed over by whoever starts this. */
export interface Console {
  print(text: string): void;
  nowMs(): number;
}

const USAGE = "Cannot run: use one of --model, --large, --mutants\n";

/** Runs what the arguments ask for; the result is the exit status. */
export async function main(argv: readonly string[], console: Console): Promise<number> {
  switch (argv[0]) {
    case "--model":
      return searchAll(SMALL_CONFIGURATIONS, console);
    case "--large":
      return searchAll([...SMALL_CONFIGURATIONS, ...LARGE_CONFIGURATIONS], console);
    case "--mutants":
      return findAll(console);
    default:
      console.print(USAGE);
      return 2;
  }
}

function searchAll(all: readonly ModelSettings[], console: Console): number {
  console.print(head("configuration"));
  let failures = 0;
  for (const settings of all) {
    const from = console.nowMs();
    const result = search(PRODUCT, settings);
    const seconds = ((console.nowMs() - from) / 1_000).toFixed(1);
    console.print(`${tableRow(settings.name, result)} ${seconds} s |\n`);
    if (result.violation !== undefined) {
      failures++;
      console.print(`${story(result)}\n`);
    }
  }
  return failures === 0 ? 0 : 1;
}

async function findAll(console: Console): Promise<number> {
  const found: { readonly name: string; readonly result: SearchResult }[] = [];
  console.print(head("what is left out"));
  for (const mutant of MUTANTS) {
    const from = console.nowMs();
    const result = await findLoss(mutant);
    const seconds = ((console.nowMs() - from) / 1_000).toFixed(1);
    found.push({ name: mutant.name, result });
    console.print(`${tableRow(mutant.name, result)} ${seconds} s |\n`);
  }
  for (const { name, result } of found) console.print(`\n${name}\n${story(result)}\n`);
  return found.every(({ result }) => result.violation !== undefined) ? 0 : 1;
}

function head(first: string): string {
  return `| ${first} | found | steps | states | time |\n| --- | --- | ---: | ---: | ---: |\n`;
}
