// Many seeds of the simulation, as many as fit into a test run; `pnpm sim` runs more.

import { readFile } from "node:fs/promises";
import test from "ava";
import { SimulationFailure, type SimulationReport, simulate } from "./simulation.js";

/** Seeds of each shell; chosen so that all of them take well under a minute on one core. */
const DRIVER_SEEDS = 200;
const CORE_SEEDS = 60;
/** Kept away from the seeds that `pnpm sim` begins with, so that both together see more. */
const FIRST_SEED = 10_000;

const PINNED = new URL("../../../test/sim/seeds.txt", import.meta.url);

test.serial("the driver survives what the world does to it", async (t) => {
  const reports = await simulateAll("driver", DRIVER_SEEDS);
  t.log(summaryOf(reports));
  mustHaveSeenMuch(t, reports);
});

test.serial("the core survives it in a shell of a few lines", async (t) => {
  const reports = await simulateAll("core", CORE_SEEDS);
  t.log(summaryOf(reports));
  t.is(reports.length, CORE_SEEDS);
});

test.serial("seeds that once failed do not fail again", async (t) => {
  const lines = (await readFile(PINNED, "utf8")).split("\n");
  const pinned = lines.filter((line) => /^\d/.test(line)).map((line) => line.split(/\s+/));
  for (const [seed, shell] of pinned) {
    await simulate({ seed: Number(seed), shell: shell === "core" ? "core" : "driver" });
  }
  t.true(0 < pinned.length);
});

test.serial("a seed is replayed event by event", async (t) => {
  for (const shell of ["driver", "core"] as const) {
    for (let seed = 1; seed <= 3; seed++) {
      const request = { seed, shell, traced: true } as const;
      const [first, second] = [await simulate(request), await simulate(request)];
      t.true(100 < first.trace.length);
      t.is(first.events, second.events);
      t.true(first.trace.join("\n") === second.trace.join("\n"), `seed ${seed}`);
    }
  }
});

test.serial("a failure names the seed and the command that shows it again", async (t) => {
  const request = {
    seed: 7,
    // Nobody can commit anything on disks that take longer than the whole run.
    change: (options: SimulationReport["options"]) => ({
      ...options,
      io: { ...options.io, latencyMsMin: 1e9 },
    }),
  };
  const failure = await t.throwsAsync(simulate(request), { instanceOf: SimulationFailure });
  t.is(failure?.property, "liveness");
  t.regex(failure?.message ?? "", /Seed 7 fails .*\n.*pnpm sim --seed 7 --runs 1/);
});

async function simulateAll(
  shell: "driver" | "core",
  count: number,
): Promise<readonly SimulationReport[]> {
  const reports: SimulationReport[] = [];
  for (let seed = FIRST_SEED; seed < FIRST_SEED + count; seed++) {
    reports.push(await simulate({ seed, shell }));
  }
  return reports;
}

function summaryOf(reports: readonly SimulationReport[]): string {
  const total = (of: (report: SimulationReport) => number): number =>
    reports.reduce((sum, report) => sum + of(report), 0);
  const { crashes, truncations, installs, repeats } = {
    crashes: total((r) => r.crashes),
    truncations: total((r) => r.truncations),
    installs: total((r) => r.installs),
    repeats: total((r) => r.repeats),
  };
  return (
    `${reports.length} seeds, ${total((r) => r.events)} events: ${total((r) => r.elections)} ` +
    `elections, ${total((r) => r.committed)} entries, ${crashes} crashes, ${truncations} ` +
    `truncations, ${installs} snapshots installed, ${repeats} requests answered again`
  );
}

/** A simulation in which nothing happens proves nothing. */
function mustHaveSeenMuch(
  t: { true(actual: boolean, message: string): void },
  reports: readonly SimulationReport[],
): void {
  const seen = (of: (report: SimulationReport) => number): number =>
    reports.filter((report) => 0 < of(report)).length;
  t.true(10 < seen((r) => r.crashes), "crashes");
  t.true(10 < seen((r) => r.truncations), "truncated logs");
  t.true(10 < seen((r) => r.installs), "installed snapshots");
  t.true(10 < seen((r) => r.repeats), "repeated requests");
}
