// Commands about the cluster itself.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

/** Adds them to the program. */
export function addClusterCommands(program: Command, run: RunCommand): void {
  const cluster = program.command("cluster").description("Look at the cluster.");
  cluster
    .command("status")
    .description("Show masters and chunkservers.")
    .addHelpText(
      "after",
      examples(
        ["lumeo cluster status", "for people"],
        ["lumeo cluster status --json", "for scripts"],
      ),
    )
    .action(async (_options, command: Command) => {
      const { clusterStatus } = await import("../commands/cluster-status.js");
      await run(command.optsWithGlobals(), clusterStatus);
    });
}
