// Commands that check: fsck, verify, doctor.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

/** Adds them to the program. */
export function addAuditCommands(program: Command, run: RunCommand): void {
  program
    .command("fsck")
    .summary("Check that names, chunks and replicas fit together.")
    .description(
      "Check that names, chunks and replicas fit together; changes nothing. Exit code 0: all is " +
        "well, 1: problems were found, 2: not everything could be checked.",
    )
    .argument("[path]", "only what is here and below; without it, the whole cluster")
    .option("--bytes", "also read every replica from its disk")
    .option("--patience <time>", "how long to wait for what nobody needs to go, such as 10m")
    .addHelpText(
      "after",
      examples(
        ["lumeo fsck", "metadata, and what each chunkserver says that it has"],
        ["lumeo fsck --bytes /photos", "every byte of every replica of these files"],
        ["lumeo fsck --json", "one finding a line, then the summary"],
      ),
    )
    .action(async (path: string | undefined, options, command: Command) => {
      const { fsck } = await import("../commands/fsck.js");
      await run(command.optsWithGlobals(), (context) => fsck(context, path, options));
    });
  program
    .command("verify")
    .summary("Read all replicas of files, checked end to end.")
    .description(
      "Read all replicas of files, checked end to end. Exit code 0: all are intact, 1: some are " +
        "not (they are made again), 2: some could not be read.",
    )
    .argument("<path...>", "files in the cluster, or directories with -r")
    .option("-r, --recursive", "directories with all that is in them")
    .addHelpText(
      "after",
      examples(
        ["lumeo verify /photos/photo.jpg", "which replica is bad, if one is"],
        ["lumeo verify -r --json /photos", "one chunk a line, then the summary"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      const { verify } = await import("../commands/verify.js");
      await run(command.optsWithGlobals(), (context) => verify(context, paths, options));
    });
  addDoctor(program, run);
}

function addDoctor(program: Command, run: RunCommand): void {
  program
    .command("doctor")
    .summary("Look for what is wrong with a cluster, and say what mends it.")
    .description(
      "Look for what is wrong with a cluster, also one that is down, and say what mends it. Exit " +
        "code 0: nothing is to be done, 1: something is, 2: not everything could be seen.",
    )
    .option("--dir <folder>", "of a cluster of lumeo dev: also look which of its processes run")
    .addHelpText(
      "after",
      examples(
        ["lumeo doctor", "each line a finding, with the command that mends it"],
        ["lumeo doctor --json", "one finding a line, then the summary"],
        ["lumeo doctor --dir ./.lumeo-dev", "a cluster on this machine"],
      ),
    )
    .action(async (options, command: Command) => {
      const { doctor } = await import("../commands/doctor.js");
      await run(command.optsWithGlobals(), (context) => doctor(context, options));
    });
}
