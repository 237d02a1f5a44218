// `pnpm sim`: runs seeds until told to stop, and shows what fails and how to see it again.

import { parseArgs } from "node:util";
import { SimulationFailure, type SimulationReport, simulate } from "./simulation.js";

const HELP = `pnpm sim [--seed N] [--runs N] [--minutes N] [--shell driver|core] [--trace]

  --seed N      first seed (default 1); the next ones follow
  --runs N      how many seeds (default 100, or any number with --minutes)
  --minutes N   stop after this long
  --shell KIND  "driver": the product's shell (default); "core": a minimal one around the Raft core
  --trace       print everything that happens (with --runs 1)
`;

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
export async function main(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: "string", default: "1" },
      runs: { type: "string" },
      minutes: { type: "string" },
      shell: { type: "string", default: "driver" },
      trace: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  const { seed, runs, minutes, shell, trace } = values;
  const isKnownShell = shell === "driver" || shell === "core";
  const numbers = [seed, runs ?? "1", minutes ?? "1"].map(Number);
  if (values.help || !isKnownShell || numbers.some((n) => !(0 <= n))) {
    process.stdout.write(HELP);
    return values.help ? 0 : 2;
  }
  const endless = minutes === undefined ? 100 : Number.POSITIVE_INFINITY;
  const count = runs === undefined ? endless : Number(runs);
  const deadline = performance.now() + Number(minutes ?? Number.POSITIVE_INFINITY) * 60_000;
  const totals: Totals = newTotals();
  const begin = performance.now();
  for (let i = 0; i < count && performance.now() < deadline; i++) {
    await run(Number(seed) + i, { shell, traced: trace }, totals);
  }
  summarize(totals, (performance.now() - begin) / 1000);
  return totals.failed.length === 0 ? 0 : 1;
}

async function run(
  seed: number,
  how: { readonly shell: "driver" | "core"; readonly traced: boolean },
  totals: Totals,
): Promise<void> {
  totals.runs++;
  try {
    const report = await simulate({ seed, ...how });
    print(report.trace);
    add(totals, report);
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error;
    totals.failed.push(seed);
    print(error.trace);
    process.stdout.write(`${error.message}\n`);
    if (how.traced && error.cause instanceof Error) process.stdout.write(`${error.cause.stack}\n`);
  }
}

function summarize(totals: Totals, seconds: number): void {
  const { runs, failed, events, virtualMs, calls, committed, elections } = totals;
  const rate = (n: number): string => (n / seconds).toFixed(1);
  process.stdout.write(
    `${runs} seeds in ${seconds.toFixed(1)} s (${rate(runs)} seeds/s, ${rate(events)} events/s): ` +
      `${(virtualMs / 1000).toFixed(0)} virtual seconds, ${events} events, ${elections} elections, ` +
      `${committed} entries, ${calls} calls; ${failed.length} failed` +
      `${failed.length === 0 ? "" : `: ${failed.slice(0, 20).join(" ")}`}\n`,
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

function print(lines: readonly string[]): void {
  if (0 < lines.length) process.stdout.write(`${lines.join("\n")}\n`);
}
