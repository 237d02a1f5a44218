// The steps of `verify` and `test`.

import { type Count, ROOT, type Step } from "./step.js";
import { readTap } from "./tap.js";

const bin = (name: string): string => `${ROOT}/node_modules/.bin/${name}`;
const script = (name: string): string => `${ROOT}/scripts/dist/${name}.js`;

/** Everything that can be said without running the product. */
export const STATIC_CHECKS: readonly (readonly Step[])[] = [
  [{ name: "types", command: [bin("tsc"), "-b", "packages"] }],
  [
    { name: "format and lint", command: [bin("biome"), "check", "--error-on-warnings", "."] },
    { name: "lint", command: [bin("oxlint"), "--deny-warnings"] },
  ],
  [
    { name: "tidy", command: [process.execPath, script("tidy")] },
    {
      name: "generated code",
      command: [process.execPath, script("gen-protos"), "--check"],
    },
    {
      name: "generated kernel",
      command: [process.execPath, script("gen-kernel"), "--check"],
    },
  ],
  [{ name: "unused code", command: [bin("knip"), "--no-progress"] }],
];

/**
 * Tests that start no processes, but enumerate faults and search orders of events. A hung test is
 * found by its own limit; this one is for a machine that is much slower.
 */
const UNIT_LIMIT_MS = 20 * 60_000;

/** Unit, contract and property tests; two files at a time. */
export const UNIT_TESTS: Step = {
  name: "unit and contract tests",
  command: [bin("ava"), "--tap"],
  environment: { LUMEO_TESTS: "unit" },
  count: countTap,
  timeLimitMs: UNIT_LIMIT_MS,
};

/** Tests that start real processes may take so long together; a single one has its own limit. */
const INTEGRATION_LIMIT_MS = 60 * 60_000;

/** Tests that start real processes, one file after the other. */
export const INTEGRATION_TESTS: Step = {
  name: "integration tests",
  command: [bin("ava"), "--tap", "--serial"],
  environment: { LUMEO_TESTS: "integration" },
  count: countTap,
  timeLimitMs: INTEGRATION_LIMIT_MS,
};

/** Seeds of the simulation, in two processes side by side. Each seed is a test. */
export function simulation(seeds: number): readonly Step[] {
  const half = Math.ceil(seeds / 2);
  return [
    { first: 1, count: half },
    { first: 1 + half, count: seeds - half },
  ].map(({ first, count }) => ({
    name: `simulation ${first}–${first + count - 1}`,
    command: [process.execPath, script("sim"), "--seed", `${first}`, "--runs", `${count}`],
    count: countSeeds,
  }));
}

/** Seeds of whole clusters, in two processes side by side. Each seed is a test. */
export function clusterSimulation(seeds: number): readonly Step[] {
  const half = Math.ceil(seeds / 2);
  return [
    { first: 1, count: half },
    { first: 1 + half, count: seeds - half },
  ].map(({ first, count }) => ({
    name: `clusters ${first}–${first + count - 1}`,
    command: [
      ...[process.execPath, script("sim"), "cluster"],
      ...["--seed", `${first}`, "--runs", `${count}`],
    ] as const,
    count: countSeeds,
  }));
}

function countTap(output: string): Count {
  const { passed, failed, failures } = readTap(output);
  return failed === 0 ? { passed, failed } : { passed, failed, report: failures.join("\n") };
}

/** Reads the last line of `sim`: "100 seeds in 9.1 s (…): …; 2 failed: 7 19". */
function countSeeds(output: string): Count {
  const summary = /^(\d+) seeds in .*; (\d+) failed/m.exec(output);
  const [seeds, failed] = [Number(summary?.[1] ?? 0), Number(summary?.[2] ?? 0)];
  return { passed: seeds - failed, failed };
}
