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
  program
    .command("mv")
    .description("Rename files and directories, each in one step.")
    .usage("[options] <source...> <target>")
    .argument("<source...>", "paths in the cluster, then the target")
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
    .command("rm")
    .description("Remove files, and directories with -r.")
    .argument("<path...>", "paths in the cluster")
    .option("-r, --recursive", "remove directories with all that is in them")
    .option("-f, --force", "fine if it is not there")
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
