// Before every commit: format, lint, tidy, types, generated code, unused code, unit and contract
// tests, and a short simulation.

import { STATIC_CHECKS, simulation, UNIT_TESTS } from "./steps/checks.js";
import { runSteps } from "./steps/step.js";

const SEEDS = 20;

const { passed, failed } = await runSteps([...STATIC_CHECKS, [UNIT_TESTS], simulation(SEEDS)]);
console.log(`${passed} passed, ${failed} failed`);
if (0 < failed) process.exitCode = 1;
