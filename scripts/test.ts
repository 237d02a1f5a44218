// What `npm test` runs: everything that `verify` does, more of the simulation, and the tests on
// real processes. The last line is for machines.

import {
  clusterSimulation,
  INTEGRATION_TESTS,
  STATIC_CHECKS,
  simulation,
  UNIT_TESTS,
} from "./steps/checks.js";
import { runSteps } from "./steps/step.js";

const SEEDS = 500;
const CLUSTER_SEEDS = 20;

const groups = [
  ...STATIC_CHECKS,
  [UNIT_TESTS],
  simulation(SEEDS),
  clusterSimulation(CLUSTER_SEEDS),
  [INTEGRATION_TESTS],
];
const { passed, failed } = await runSteps(groups);
console.log(`${passed} passed, ${failed} failed`);
if (0 < failed) process.exitCode = 1;
