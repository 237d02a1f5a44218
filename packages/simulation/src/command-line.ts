// `npm run sim -- cluster`: runs seeds of whole clusters, and shows what fails and how to see it
// again.

import { parseArgs } from "node:util";
import { MUTANTS } from "./mutants.js";
import { findMutant } from "./mutation.js";
import { isLens, LENSES } from "./options.js";
import { SimulationFailure, simulate } from "./simulation.js";

const HELP = `npm run sim -- cluster [--seed N] [--runs N] [--minutes N] [--lens NAME] [--trace]

  --seed N      first seed (default 1); the next ones follow
  --runs N      how many seeds (default 20, or any number with --minutes)
  --minutes N   stop after this long
  --lens NAME   make some circumstances likely: ${Object.keys(LENSES).join(", ")}
  --trace       print everything that happens (with --runs 1)
  --mutants     run the simulation against deliberate bugs and show how many seeds each one takes
  --only WORDS  of these only those with these words in their names
`;

/** What the command line needs of the machine. */
export interface Console {
  print(text: string): void;
  /** Real time, for the rate. */
  nowMs(): number;
}

/** Runs what the arguments say; the exit status is 1 if any seed failed. */
export async function main(argv: readonly string[], console: Console): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: "string", default: "1" },
      runs: { type: "string" },
      minutes: { type: "string" },
      lens: { type: "string" },
      trace: { type: "boolean", default: false },
      mutants: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      help: { type: "boolean", default: false },
    },
  });
  const { seed, runs, minutes, lens, trace } = values;
  const isKnownLens = lens === undefined || isLens(lens);
  const numbers = [seed, runs ?? "1", minutes ?? "1"].map(Number);
  if (values.help || !isKnownLens || numbers.some((n) => !(0 <= n))) {
    console.print(HELP);
    return values.help ? 0 : 2;
  }
  if (values.mutants) return hunt(console, values.only);
  const endless = minutes === undefined ? 20 : Number.POSITIVE_INFINITY;
  const count = runs === undefined ? endless : Number(runs);
  const begin = console.nowMs();
  const deadline = begin + Number(minutes ?? Number.POSITIVE_INFINITY) * 60_000;
  const totals = { ...NOTHING };
  const failed: number[] = [];
  for (let i = 0; i < count && console.nowMs() < deadline; i++) {
    totals.runs++;
    try {
      const report = await simulate({
        seed: Number(seed) + i,
        traced: trace,
        ...(lens && { lens }),
      });
      totals.events += report.events;
      totals.virtualMs += report.virtualMs;
      totals.puts += report.puts;
      totals.reads += report.reads;
      totals.appends += report.appends;
      totals.edits += report.edits;
      totals.mastersReplaced += report.mastersReplaced;
      totals.crashes += report.crashes;
      totals.jobsDone += report.jobsDone;
      totals.healedMs = Math.max(totals.healedMs, report.healedMs);
      if (trace) console.print(`${report.trace.join("\n")}\n`);
    } catch (error) {
      if (!(error instanceof SimulationFailure)) throw error;
      failed.push(error.seed);
      if (trace) console.print(`${error.trace.join("\n")}\n`);
      console.print(`${error.message}\n\n`);
    }
  }
  console.print(summaryOf(totals, failed, (console.nowMs() - begin) / 1_000));
  return failed.length === 0 ? 0 : 1;
}

/** What all runs together have done. */
const NOTHING = {
  runs: 0,
  events: 0,
  virtualMs: 0,
  puts: 0,
  reads: 0,
  appends: 0,
  edits: 0,
  crashes: 0,
  jobsDone: 0,
  mastersReplaced: 0,
  healedMs: 0,
};

function summaryOf(totals: typeof NOTHING, failed: readonly number[], seconds: number): string {
  const hours = (totals.virtualMs / 3_600_000).toFixed(2);
  const rate = (totals.runs / seconds).toFixed(2);
  return (
    `${totals.runs} seeds in ${seconds.toFixed(1)} s (${rate} a second): ${hours} virtual hours, ` +
    `${totals.events} events, ${totals.puts} puts, ${totals.appends} appends, ` +
    `${totals.edits} edits, ${totals.reads} reads, ${totals.crashes} ends of processes, ` +
    `${totals.jobsDone} jobs done, ${totals.mastersReplaced} masters replaced, ` +
    `healed within ${(totals.healedMs / 1_000).toFixed(0)} s at most; ` +
    `${failed.length} failed${failed.length === 0 ? "" : `: ${failed.join(" ")}`}\n`
  );
}

const NAME_WIDTH = 68;

async function hunt(console: Console, only: string): Promise<number> {
  const hunted = MUTANTS.filter(({ name }) => name.includes(only));
  let missed = 0;
  console.print(`${"deliberate bug".padEnd(NAME_WIDTH)} seeds  found by\n`);
  for (const mutant of hunted) {
    const { seeds, property } = await findMutant(mutant);
    const how = property ?? "NOT FOUND";
    console.print(`${mutant.name.padEnd(NAME_WIDTH)} ${String(seeds).padStart(5)}  ${how}\n`);
    if (property === undefined) missed++;
  }
  console.print(`${hunted.length} deliberate bugs, ${hunted.length - missed} found\n`);
  return missed === 0 ? 0 : 1;
}
