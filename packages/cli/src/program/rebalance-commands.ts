// Evening the chunkservers out: rebalance start, status, stop.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

/** Adds them to the program. */
export function addRebalanceCommands(program: Command, run: RunCommand): void {
  const rebalance = program
    .command("rebalance")
    .description("Move copies from the fullest chunkservers to the emptiest.");
  rebalance
    .command("start")
    .description("Begin to even the chunkservers out, after some were added.")
    .option("--wait", "until none is much fuller than the others")
    .addHelpText(
      "after",
      examples(
        ["lumeo rebalance start --wait", "says on the way how far it is"],
        ["lumeo rebalance start", "lumeo rebalance status tells how far it is"],
      ),
    )
    .action(async (options, command: Command) => {
      const { rebalanceStart } = await import("../commands/rebalance.js");
      await run(command.optsWithGlobals(), (context) => rebalanceStart(context, options));
    });
  rebalance
    .command("status")
    .description("Show the rebalance under way, or the last one.")
    .addHelpText(
      "after",
      examples(
        ["lumeo rebalance status", "for people"],
        ["lumeo rebalance status --json", "for scripts"],
      ),
    )
    .action(async (_options, command: Command) => {
      const { rebalanceStatus } = await import("../commands/rebalance.js");
      await run(command.optsWithGlobals(), rebalanceStatus);
    });
  rebalance
    .command("stop")
    .description("End it; what has moved stays where it is.")
    .addHelpText(
      "after",
      examples(
        ["lumeo rebalance stop", "start begins anew later"],
        ["lumeo job pause 7", "holds it up instead"],
      ),
    )
    .action(async (_options, command: Command) => {
      const { rebalanceStop } = await import("../commands/rebalance.js");
      await run(command.optsWithGlobals(), rebalanceStop);
    });
}
