// `pnpm sim`: runs seeds until told to stop, and shows what fails and how to see it again.

import { parseArgs } from "node:util";
import { MUTANTS } from "./mutants.js";
import { type Finding, findMutant } from "./mutation.js";
import { isLens, LENSES } from "./options.js";
import {
  SimulationFailure,
  type SimulationReport,
  type SimulationRequest,
  simulate,
} from "./simulation.js";

const HELP = `pnpm sim [--seed N] [--runs N] [--minutes N] [--shell KIND] [--lens NAME] [--trace]

  --seed N      first seed (default 1); the next ones follow
  --runs N      how many seeds (default 100, or any number with --minutes)
  --minutes N   stop after this long
  --shell KIND  "driver": the product's shell (default); "core": a minimal one around the Raft core
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

const NAME_WIDTH = 44;

interface Totals {
  runs: number;
  failed: number[];
  events: number;
  virtualMs: number;
  calls: number;
  committed: number;
  elections: number;
}

/** Runs what the arguments say; the exit status is 1 if any seed failed. */
export async function main(argv: readonly string[], console: Console): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: "string", default: "1" },
      runs: { type: "string" },
      minutes: { type: "string" },
      shell: { type: "string", default: "driver" },
      lens: { type: "string" },
      trace: { type: "boolean", default: false },
      mutants: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      help: { type: "boolean", default: false },
    },
  });
  const { seed, runs, minutes, shell, lens, trace } = values;
  const isKnownShell = shell === "driver" || shell === "core";
  const numbers = [seed, runs ?? "1", minutes ?? "1"].map(Number);
  const isKnownLens = lens === undefined || isLens(lens);
  if (values.help || !isKnownShell || !isKnownLens || numbers.some((n) => !(0 <= n))) {
    console.print(HELP);
    return values.help ? 0 : 2;
  }
  if (values.mutants) return hunt(console, values.only);
  const endless = minutes === undefined ? 100 : Number.POSITIVE_INFINITY;
  const count = runs === undefined ? endless : Number(runs);
  const begin = console.nowMs();
  const deadline = begin + Number(minutes ?? Number.POSITIVE_INFINITY) * 60_000;
  const totals: Totals = newTotals();
  const print = (lines: readonly string[]): void => {
    if (0 < lines.length) console.print(`${lines.join("\n")}\n`);
  };
  for (let i = 0; i < count && console.nowMs() < deadline; i++) {
    const request: SimulationRequest = { seed: Number(seed) + i, shell, traced: trace };
    print(await run({ ...request, ...(lens && { lens }) }, totals));
  }
  print([summaryOf(totals, (console.nowMs() - begin) / 1000)]);
  return totals.failed.length === 0 ? 0 : 1;
}

async function hunt(console: Console, only: string): Promise<number> {
  const hunted = MUTANTS.filter(({ name }) => name.includes(only));
  let missed = 0;
  console.print(`${"deliberate bug".padEnd(NAME_WIDTH)} seeds  found by\n`);
  for (const mutant of hunted) {
    const found = await findMutant(mutant);
    console.print(`${tableRow(mutant.name, found)}\n`);
    if (found.property === undefined) missed++;
  }
  console.print(`${hunted.length} deliberate bugs, ${hunted.length - missed} found\n`);
  return missed === 0 ? 0 : 1;
}

/** One line of the table: mutant, seeds until it was found, what found it. */
export function tableRow(name: string, found: Finding): string {
  const how = found.property === undefined ? "NOT FOUND" : firstLine(found.message);
  return `${name.padEnd(NAME_WIDTH)} ${String(found.seeds).padStart(5)}  ${how.slice(0, 160)}`;
}

function firstLine(text: string): string {
  return text.slice(text.indexOf("ms: ") + 4).split("\n")[0] ?? "";
}

/** Runs one seed; returns what is to be shown of it. */
async function run(request: SimulationRequest, totals: Totals): Promise<readonly string[]> {
  totals.runs++;
  try {
    const report = await simulate(request);
    add(totals, report);
    return report.trace;
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error;
    totals.failed.push(request.seed);
    const stack = error.cause instanceof Error ? [error.cause.stack ?? ""] : [];
    return [...error.trace, error.message, ...(request.traced ? stack : [])];
  }
}

function summaryOf(totals: Totals, seconds: number): string {
  const { runs, failed, events, virtualMs, calls, committed, elections } = totals;
  const rate = (n: number): string => (n / seconds).toFixed(1);
  return (
    `${runs} seeds in ${seconds.toFixed(1)} s (${rate(runs)} seeds/s, ${rate(events)} events/s): ` +
    `${(virtualMs / 1000).toFixed(0)} virtual seconds, ${events} events, ${elections} elections, ` +
    `${committed} entries, ${calls} calls; ${failed.length} failed` +
    `${failed.length === 0 ? "" : `: ${failed.slice(0, 20).join(" ")}`}`
  );
}

function newTotals(): Totals {
  return { runs: 0, failed: [], events: 0, virtualMs: 0, calls: 0, committed: 0, elections: 0 };
}

function add(totals: Totals, report: SimulationReport): void {
  totals.events += report.events;
  totals.virtualMs += report.virtualMs;
  totals.calls += report.calls;
  totals.committed += report.committed;
  totals.elections += report.elections;
}
