// Commands that follow what happens: watch.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

/** Adds them to the program. */
export function addFeedCommands(program: Command, run: RunCommand): void {
  program
    .command("watch")
    .description("Print what changes at a path and below, until Ctrl-C. Goes on by itself.")
    .argument("[path]", "file or directory in the cluster; / without it")
    .option("--since <revision>", "changes after this one; 0: all that are kept; now: what comes")
    .option("--events <list>", "only these: create,write,delete,rename,attributes")
    .option("--limit <n>", "end after this many events")
    .addHelpText(
      "after",
      examples(
        ["lumeo watch /photos", "what happens from now on"],
        ["lumeo watch --json --since 4711 --events create,write /", "go on behind revision 4711"],
      ),
    )
    .action(async (path: string | undefined, options, command: Command) => {
      const { watch } = await import("../commands/watch.js");
      await run(command.optsWithGlobals(), (context) => watch(context, path ?? "/", options));
    });
}
