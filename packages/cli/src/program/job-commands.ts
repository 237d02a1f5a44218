// Jobs that make, mend and move copies: job ls, show, pause, resume, cancel.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

const JOB = "number of the job, from lumeo job ls";

/** Adds them to the program. */
export function addJobCommands(program: Command, run: RunCommand): void {
  const job = program
    .command("job")
    .description("Look at the jobs that repair, drain and balance, and hold them up.");
  job
    .command("ls")
    .description("Show jobs, the newest last: what they are for and how far they are.")
    .option("--open", "only those that have not ended")
    .addHelpText(
      "after",
      examples(["lumeo job ls --open", "what goes on"], ["lumeo job ls --json", "for scripts"]),
    )
    .action(async (options, command: Command) => {
      const { jobList } = await import("../commands/job.js");
      await run(command.optsWithGlobals(), (context) => jobList(context, options));
    });
  job
    .command("show")
    .description("Show a job: counts, bytes, what it waits for, how it ended.")
    .argument("<job>", JOB)
    .addHelpText(
      "after",
      examples(["lumeo job show 7", "for people"], ["lumeo job show 7 --json", "for scripts"]),
    )
    .action(async (id: string, _options, command: Command) => {
      const { jobShow } = await import("../commands/job.js");
      await run(command.optsWithGlobals(), (context) => jobShow(context, id));
    });
  addJobChange(job, run, {
    name: "pause",
    description: "Let a job begin no more copies; those under way are finished.",
    examples: [
      ["lumeo job pause 7", "before a busy hour"],
      ["lumeo job pause 7 --json", "for scripts"],
    ],
  });
  addJobChange(job, run, {
    name: "resume",
    description: "Let a paused job go on.",
    examples: [
      ["lumeo job resume 7", "after it"],
      ["lumeo job resume 7 --json", "for scripts"],
    ],
  });
  addJobChange(job, run, {
    name: "cancel",
    description: "End a job before it is done; a node that was drained takes new chunks again.",
    examples: [
      ["lumeo job cancel 7", "what it has copied stays"],
      ["lumeo node maintenance on cs2", "instead, for a repair of cs2 that is not wanted"],
    ],
  });
}

function addJobChange(
  job: Command,
  run: RunCommand,
  change: {
    readonly name: "pause" | "resume" | "cancel";
    readonly description: string;
    readonly examples: readonly (readonly [string, string])[];
  },
): void {
  job
    .command(change.name)
    .description(change.description)
    .argument("<job>", JOB)
    .addHelpText("after", examples(...change.examples))
    .action(async (id: string, _options, command: Command) => {
      const { jobChange } = await import("../commands/job.js");
      await run(command.optsWithGlobals(), (context) => jobChange(context, change.name, id));
    });
}
