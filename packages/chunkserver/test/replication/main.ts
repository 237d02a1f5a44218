// The chunk protocol from the command line (`npm run sim -- chunks …`):
//
//   --model      search the small configurations completely
//   --large      and the large ones: minutes, and up to 4 GB of memory
//   --runs N     N random runs; --seed S begins with that one
//   --mutants    a table: rule that is left out, loss, steps, states; then how each loss happens

import { LARGE_CONFIGURATIONS, SMALL_CONFIGURATIONS } from "./model/configurations.js";
import { story, tableRow } from "./model/report.js";
import { type SearchResult, search } from "./model/search.js";
import type { ModelSettings } from "./model/settings.js";
import { MUTANTS } from "./mutants.js";
import { findLoss } from "./mutation.js";
import { PRODUCT } from "./parts.js";
import { SimulationFailure, simulate } from "./sim/simulation.js";

/** The terminal and the time, handed over by whoever starts this. */
export interface Console {
  print(text: string): void;
  nowMs(): number;
}

const USAGE = "Cannot run: use one of --runs N [--seed S], --model, --large, --mutants\n";
const RUNS_MAX = 1_000_000;

/** Runs what the arguments ask for; the result is the exit status. */
export async function main(argv: readonly string[], console: Console): Promise<number> {
  switch (argv[0]) {
    case "--model":
      return searchAll(SMALL_CONFIGURATIONS, console);
    case "--large":
      return searchAll([...SMALL_CONFIGURATIONS, ...LARGE_CONFIGURATIONS], console);
    case "--mutants":
      return findAll(console);
    case "--runs":
      return runAll(argv, console);
    default:
      console.print(USAGE);
      return 2;
  }
}

async function runAll(argv: readonly string[], console: Console): Promise<number> {
  const runs = Number(argv[1]);
  const from = argv[2] === "--seed" ? Number(argv[3]) : 1;
  const isLawful = Number.isInteger(runs) && Number.isInteger(from) && 0 < runs && 0 < from;
  if (!isLawful || RUNS_MAX < runs) {
    console.print(USAGE);
    return 2;
  }
  let failures = 0;
  let acknowledged = 0;
  let reads = 0;
  for (let seed = from; seed < from + runs; seed++) {
    try {
      const result = await simulate({ seed });
      acknowledged += result.acknowledged;
      reads += result.readsServed;
    } catch (error) {
      if (!(error instanceof SimulationFailure)) throw error;
      failures++;
      console.print(`${error.message}\n`);
    }
  }
  const sums = `${acknowledged} writes acknowledged, ${reads} reads served`;
  console.print(`${runs} runs, ${failures} failed, ${sums}\n`);
  return failures === 0 ? 0 : 1;
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
