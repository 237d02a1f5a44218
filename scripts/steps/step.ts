// Steps of a check: commands that pass or fail, shown with their time, their output kept for the
// case that they fail.
//
// C1. A step that fails, is killed or takes longer than its limit counts as failed, also if its own
//     numbers say otherwise.
// C2. All steps run, whatever fails: one run shows everything.

import { spawn } from "node:child_process";
import { resolve } from "node:path";

export const ROOT = resolve(import.meta.dirname, "../../..");

/** How many tests a step stands for. */
export interface Count {
  readonly passed: number;
  readonly failed: number;
  /** What to show of the output if something failed; all of it if absent. */
  readonly report?: string;
}

export interface Step {
  readonly name: string;
  readonly command: readonly [program: string, ...args: string[]];
  readonly environment?: Readonly<Record<string, string>>;
  /** Default: the step is one test. */
  readonly count?: (output: string) => Count;
  readonly timeLimitMs?: number;
}

const TIME_LIMIT_MS = 5 * 60_000;
/** The rest of a longer output is dropped. */
const OUTPUT_CHARACTERS_MAX = 32 * 1024 * 1024;

interface Ended {
  readonly output: string;
  /** "" for success, else why not. */
  readonly trouble: string;
  readonly seconds: number;
}

/** Runs groups of steps, the steps of a group side by side, and prints a line for each. */
export async function runSteps(groups: readonly (readonly Step[])[]): Promise<Count> {
  let [passed, failed] = [0, 0];
  for (const group of groups) {
    for (const count of await Promise.all(group.map(runStep))) {
      passed += count.passed;
      failed += count.failed;
    }
  }
  return { passed, failed };
}

async function runStep(step: Step): Promise<Count> {
  const ended = await runCommand(step);
  const count = counted(step, ended);
  const verdict = count.failed === 0 ? "ok  " : "FAIL";
  const tests =
    step.count === undefined ? "" : `  ${count.passed} of ${count.passed + count.failed}`;
  const time = `${ended.seconds.toFixed(1)} s`.padStart(8);
  console.log(`${verdict} ${step.name.padEnd(24)} ${time}${tests}`);
  if (0 < count.failed) {
    console.log(indent(count.report ?? ended.output));
    if (ended.trouble !== "") console.log(indent(`${step.command.join(" ")}: ${ended.trouble}`));
  }
  return count;
}

function counted(step: Step, { output, trouble }: Ended): Count {
  const count = step.count?.(output) ?? { passed: trouble === "" ? 1 : 0, failed: 0 };
  const isEmpty = count.passed + count.failed === 0;
  if (0 < count.failed || (trouble === "" && !isEmpty)) return count;
  return { passed: count.passed, failed: 1, report: output }; // C1
}

function runCommand(step: Step): Promise<Ended> {
  const begin = performance.now();
  const [program, ...args] = step.command;
  return new Promise((resolveEnded) => {
    let output = "";
    let trouble = "";
    const child = spawn(program, args, {
      cwd: ROOT,
      env: { ...process.env, ...step.environment },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true, // a group of its own, so that its children end with it
    });
    const keep = (data: string): void => {
      if (output.length < OUTPUT_CHARACTERS_MAX) output += data;
    };
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", keep);
    const limitMs = step.timeLimitMs ?? TIME_LIMIT_MS;
    const timer = setTimeout(() => {
      trouble = `stopped after ${limitMs / 1000} s`;
      endGroup(child.pid);
    }, limitMs);
    child.on("error", (error) => {
      trouble = error.message;
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (trouble === "" && code !== 0) trouble = `ended with ${signal ?? `exit code ${code}`}`;
      resolveEnded({ output, trouble, seconds: (performance.now() - begin) / 1000 });
    });
  });
}

/** Ends a step and the processes that it has started. */
function endGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it has ended by itself
  }
}

function indent(text: string): string {
  return text.trimEnd().replaceAll(/^/gm, "     ");
}
