// Commands that change names: mkdir, mv, rm.

import type { Command } from "commander";
import { examples, type RunCommand, requireTwo } from "./command-line.js";

/** Adds them to the program. */
export function addChangeCommands(program: Command, run: RunCommand): void {
  program
    .command("mkdir")
    .description("Make directories.")
    .argument("<path...>", "directories to make")
    .option("-p, --parents", "make missing parents; fine if it is there")
    .addHelpText(
      "after",
      examples(
        ["lumeo mkdir /photos", "one directory"],
        ["lumeo mkdir -p /photos/2026/summer", "with its parents"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      const { mkdir } = await import("../commands/mkdir.js");
      await run(command.optsWithGlobals(), (context) => mkdir(context, paths, options));
    });
  addMoveCommands(program, run);
  program
    .command("rm")
    .description("Remove files, and directories with -r.")
    .argument("<path...>", "paths in the cluster")
    .option("-r, --recursive", "remove directories with all that is in them")
    .option("-f, --force", "fine if it is not there")
    .option("--skip-trash", "free it at once, whatever the policy says")
    .addHelpText(
      "after",
      examples(
        ["lumeo rm /draft.txt", "one file"],
        ["lumeo rm -r -f /tmp/build", "a tree, if it is there"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      const { rm } = await import("../commands/rm.js");
      await run(command.optsWithGlobals(), (context) => rm(context, paths, options));
    });
}

function addMoveCommands(program: Command, run: RunCommand): void {
  program
    .command("mv")
    .description("Rename files and directories, each in one step.")
    .usage("[options] <source...> <target>")
    .argument("<source...>", "paths in the cluster, then the target")
    .option("-f, --force", "replace a file that is there (the default)")
    .option("-n, --no-clobber", "fail instead of replacing a file")
    .addHelpText(
      "after",
      examples(
        ["lumeo mv /draft.txt /final.txt", "one file"],
        ["lumeo mv /a /b /archive/", "several into a directory"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      requireTwo(command, paths, "SOURCE... TARGET");
      const { mv } = await import("../commands/mv.js");
      await run(command.optsWithGlobals(), (context) => mv(context, paths, options));
    });
  program
    .command("cp")
    .description("Copy files, and trees with -r, inside of the cluster. No bytes move.")
    .usage("[options] <source...> <target>")
    .argument("<source...>", "paths in the cluster, then the target")
    .option("-r, --recursive", "copy directories with all that is in them")
    .option("-n, --no-clobber", "fail instead of replacing a file")
    .option("--version <version>", "an earlier content, as version ls shows it")
    .addHelpText(
      "after",
      examples(
        ["lumeo cp /draft.txt /final.txt", "one file"],
        ["lumeo cp -r /docs /docs-copy", "a tree"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      requireTwo(command, paths, "SOURCE... TARGET");
      const { cp } = await import("../commands/cp.js");
      await run(command.optsWithGlobals(), (context) => cp(context, paths, options));
    });
}
