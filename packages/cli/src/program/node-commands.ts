// The machines that hold copies: node ls, show, label, drain, undrain, decommission, maintenance.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

const NODE = "name of the chunkserver, such as cs1";

/** Adds them to the program. */
export function addNodeCommands(program: Command, run: RunCommand): void {
  const node = program
    .command("node")
    .description("Look at the chunkservers, say where they stand, and take them out of service.");
  node
    .command("ls")
    .description("Show all chunkservers: state, part, labels, chunks, room, jobs.")
    .addHelpText(
      "after",
      examples(["lumeo node ls", "for people"], ["lumeo node ls --json", "for scripts"]),
    )
    .action(async (_options, command: Command) => {
      const { nodeList } = await import("../commands/node.js");
      await run(command.optsWithGlobals(), nodeList);
    });
  node
    .command("show")
    .description("Show one chunkserver.")
    .argument("<node>", NODE)
    .addHelpText(
      "after",
      examples(
        ["lumeo node show cs1", "for people"],
        ["lumeo node show cs1 --json", "for scripts"],
      ),
    )
    .action(async (name: string, _options, command: Command) => {
      const { nodeShow } = await import("../commands/node.js");
      await run(command.optsWithGlobals(), (context) => nodeShow(context, name));
    });
  node
    .command("label")
    .description("Say where a chunkserver stands: copies of a chunk are kept in different racks.")
    .argument("<node>", NODE)
    .argument("<label...>", "rack=r1 sets a label, rack- removes it")
    .addHelpText(
      "after",
      examples(
        ["lumeo node label cs1 rack=r1 zone=eu", "comes before the labels of its own settings"],
        ["lumeo node label cs1 zone-", "as the chunkserver says again"],
      ),
    )
    .action(async (name: string, labels: readonly string[], _options, command: Command) => {
      const { nodeLabel } = await import("../commands/node.js");
      await run(command.optsWithGlobals(), (context) => nodeLabel(context, name, labels));
    });
  addLeave(node, run, "drain", "Move all copies away from a chunkserver that comes back later.");
  addLeave(node, run, "decommission", "Move all copies away from a chunkserver, and let it go.");
  addReturns(node, run);
}

function addLeave(
  node: Command,
  run: RunCommand,
  kind: "drain" | "decommission",
  description: string,
): void {
  node
    .command(kind)
    .description(description)
    .argument("<node>", NODE)
    .option("--wait", "until it holds nothing more")
    .option("--anyway", "though too few others are left: its copies wait for room")
    .addHelpText(
      "after",
      examples(
        [`lumeo node ${kind} cs2 --wait`, "says on the way how far it is"],
        [`lumeo node ${kind} cs2`, "lumeo job show tells how far it is"],
      ),
    )
    .action(async (name: string, options, command: Command) => {
      const { nodeLeave } = await import("../commands/node.js");
      await run(command.optsWithGlobals(), (context) => nodeLeave(context, kind, name, options));
    });
}

function addReturns(node: Command, run: RunCommand): void {
  node
    .command("undrain")
    .description("Let a chunkserver take new chunks again; cancels the job that empties it.")
    .argument("<node>", NODE)
    .addHelpText(
      "after",
      examples(
        ["lumeo node undrain cs2", "it is active again"],
        ["lumeo node undrain cs2 --json", "for scripts"],
      ),
    )
    .action(async (name: string, _options, command: Command) => {
      const { nodeUndrain } = await import("../commands/node.js");
      await run(command.optsWithGlobals(), (context) => nodeUndrain(context, name));
    });
  node
    .command("maintenance")
    .description("In maintenance a chunkserver gets no new chunks, and its absence is no loss.")
    .argument("<on|off>", "whether it begins or ends")
    .argument("<node>", NODE)
    .addHelpText(
      "after",
      examples(
        ["lumeo node maintenance on cs2", "before its machine is restarted"],
        ["lumeo node maintenance off cs2", "when it is back"],
      ),
    )
    .action(async (word: string, name: string, _options, command: Command) => {
      const { nodeMaintenance } = await import("../commands/node.js");
      await run(command.optsWithGlobals(), (context) => nodeMaintenance(context, word, name));
    });
}
