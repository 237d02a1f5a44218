// Commands that check: fsck, verify.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

/** Adds them to the program. */
export function addAuditCommands(program: Command, run: RunCommand): void {
  program
    .command("fsck")
    .description(
      "Check that names, chunks and replicas fit together; changes nothing. Exit code 0: all is " +
        "well, 1: problems were found, 2: not everything could be checked.",
    )
    .argument("[path]", "only what is here and below; without it, the whole cluster")
    .option("--bytes", "also read every replica from its disk")
    .option("--patience <time>", "how long what nobody needs may take to go, such as 1m")
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
}
