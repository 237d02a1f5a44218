// The group of masters: master ls, check, add, promote, remove, transfer-leader.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

/** Adds them to the program. */
export function addMasterCommands(program: Command, run: RunCommand): void {
  const master = program
    .command("master")
    .description("Look at the group of masters, and change it while it works.");
  master
    .command("ls")
    .description("Show the masters: who leads, who votes, how much of the log each one has.")
    .addHelpText(
      "after",
      examples(["lumeo master ls", "for people"], ["lumeo master ls --json", "for scripts"]),
    )
    .action(async (_options, command: Command) => {
      const { masterList } = await import("../commands/master.js");
      await run(command.optsWithGlobals(), masterList);
    });
  master
    .command("check")
    .description("Compare the states of all masters at one entry of the log, while they work.")
    .addHelpText(
      "after",
      examples(
        ["lumeo master check", "exit code 1 if two differ, 6 if not all are known"],
        ["lumeo master check --timeout 10m --json", "of many files, for scripts"],
      ),
    )
    .action(async (_options, command: Command) => {
      const { masterCheck } = await import("../commands/master.js");
      await run(command.optsWithGlobals(), masterCheck);
    });
  master
    .command("add")
    .description("Take masters in that run and wait (--join): they get the log, then vote.")
    .argument("<name=host:port...>", "a name that no master ever had, and where it serves")
    .option("--learner", "send them the log only; master promote lets them vote")
    .addHelpText(
      "after",
      examples(
        ["lumeo master add m4=host4:7400", "after starting it with --id m4 --join host1:7400"],
        ["lumeo master add m2=h2:7400 m3=h3:7400", "one becomes three in one step"],
      ),
    )
    .action(async (masters: readonly string[], options, command: Command) => {
      const { masterAdd } = await import("../commands/master.js");
      await run(command.optsWithGlobals(), (context) => masterAdd(context, masters, options));
    });
  master
    .command("promote")
    .description("Let learners vote, all from the same moment on.")
    .argument("<name...>", "masters that were added with --learner")
    .addHelpText(
      "after",
      examples(
        ["lumeo master promote m4", "waits until it has caught up"],
        ["lumeo master promote m4 m5", "both at once"],
      ),
    )
    .action(async (names: readonly string[], _options, command: Command) => {
      const { masterPromote } = await import("../commands/master.js");
      await run(command.optsWithGlobals(), (context) => masterPromote(context, names));
    });
  addLeavingCommands(master, run);
}

function addLeavingCommands(master: Command, run: RunCommand): void {
  master
    .command("remove")
    .description("Take masters out of the group for good; a leader among them hands over.")
    .argument("<name...>", "names are never used again")
    .addHelpText(
      "after",
      examples(
        ["lumeo master remove m2", "then stop it, and delete its folder"],
        ["lumeo master remove m4 m5", "five become three in one step"],
      ),
    )
    .action(async (names: readonly string[], _options, command: Command) => {
      const { masterRemove } = await import("../commands/master.js");
      await run(command.optsWithGlobals(), (context) => masterRemove(context, names));
    });
  master
    .command("transfer-leader")
    .description("Hand the leadership to another master, without anybody waiting for it.")
    .argument("[name]", "the one that shall lead; without it the nearest")
    .addHelpText(
      "after",
      examples(
        ["lumeo master transfer-leader", "before this machine goes down"],
        ["lumeo master transfer-leader m2", "to a certain one"],
      ),
    )
    .action(async (name: string | undefined, _options, command: Command) => {
      const { masterTransfer } = await import("../commands/master.js");
      await run(command.optsWithGlobals(), (context) => masterTransfer(context, name));
    });
}
