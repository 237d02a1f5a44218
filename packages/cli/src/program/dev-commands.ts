// A cluster on this machine: dev, and what it is controlled with.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

const DEV_COMMANDS = "stop, status, revive, add-master and remove-master";

const START_OPTIONS = [
  { key: "masters", flag: "--masters" },
  { key: "chunkservers", flag: "--chunkservers" },
  { key: "disks", flag: "--disks" },
  { key: "portBase", flag: "--port-base" },
  { key: "detach", flag: "--detach" },
] as const;

/** Adds them to the program. */
export function addDevCommands(program: Command, run: RunCommand): void {
  const dev = program
    .command("dev")
    .description("Run a cluster on this machine, one process for each member.")
    .option("--dir <folder>", "where everything is kept, ./.lumeo-dev without it")
    .option("--masters <n>", "1, 3 or 5; 3 without it")
    .option("--chunkservers <n>", "4 without it")
    .option("--disks <n>", "folders of each chunkserver, as if each were a disk; 1 without it")
    .option("--port-base <port>", "first port, 7400 without it")
    .allowExcessArguments()
    .option("--detach", "return when the cluster accepts writes; it runs on")
    .addHelpText(
      "after",
      examples(
        ["lumeo dev --dir ./cluster", "until Ctrl-C; the data stays for the next start"],
        ["lumeo dev --dir ./cluster --detach", "in the background"],
        ["export LUMEO_ENDPOINTS=$(cat ./cluster/endpoints)", "all that other commands need"],
      ),
    )
    .action(async (options, command: Command) => {
      const [unknown] = command.args;
      if (unknown !== undefined) {
        command.error(`error: unknown command 'dev ${unknown}': there are ${DEV_COMMANDS}`);
      }
      const { devStart } = await import("../commands/dev-start.js");
      await run(command.optsWithGlobals(), (context) => devStart(context, options));
    });
  const others = [
    ["stop", "Stop a cluster; its data stays.", "stop"],
    ["status", "Show which members run.", "status"],
    ["revive", "Start the members that do not run.", "revive"],
  ] as const;
  for (const [name, description, action] of others) {
    dev
      .command(name)
      .description(description)
      .option("--dir <folder>", "the folder of the cluster, ./.lumeo-dev without it")
      .addHelpText(
        "after",
        examples(
          [`lumeo dev ${name} --dir ./cluster`, "the cluster of that folder"],
          [`lumeo dev ${name}`, "the one of ./.lumeo-dev"],
        ),
      )
      .action(async (_options, command: Command) => {
        refuseStartOptions(command);
        const commands = await import("../commands/dev-control.js");
        const { dir } = command.optsWithGlobals<{ dir?: string }>();
        await run(command.optsWithGlobals(), (context) => commands[action](context, dir));
      });
  }
  addMasterCommands(dev, run);
}

function addMasterCommands(dev: Command, run: RunCommand): void {
  dev
    .command("add-master")
    .description("Start a master and take it into the group, which works meanwhile.")
    .option("--dir <folder>", "the folder of the cluster, ./.lumeo-dev without it")
    .option("--count <n>", "how many at once, 1 without it")
    .addHelpText(
      "after",
      examples(
        ["lumeo dev add-master --count 2", "one becomes three, or three five"],
        ["lumeo dev add-master --dir ./cluster", "in the cluster of that folder"],
      ),
    )
    .action(async (_options, command: Command) => {
      refuseStartOptions(command);
      const { addMaster } = await import("../commands/dev-control.js");
      const options = command.optsWithGlobals<{ dir?: string; count?: string }>();
      await run(command.optsWithGlobals(), (context) => addMaster(context, options));
    });
  dev
    .command("remove-master")
    .description("Take masters out of the group, end them and delete their data.")
    .argument("<name...>", "such as m4")
    .option("--dir <folder>", "the folder of the cluster, ./.lumeo-dev without it")
    .addHelpText(
      "after",
      examples(
        ["lumeo dev remove-master m4 m5", "five become three"],
        ["lumeo dev remove-master m1 --dir ./cluster", "also the one that leads"],
      ),
    )
    .action(async (names: readonly string[], _options, command: Command) => {
      refuseStartOptions(command);
      const { removeMaster } = await import("../commands/dev-control.js");
      const options = command.optsWithGlobals<{ dir?: string }>();
      await run(command.optsWithGlobals(), (context) => removeMaster(context, names, options));
    });
}

/** The parser takes what `dev` itself understands for its commands too: there it means nothing. */
function refuseStartOptions(command: Command): void {
  const given = START_OPTIONS.find((one) => command.parent?.opts()[one.key] !== undefined);
  if (given === undefined) return;
  command.error(
    `error: 'dev ${command.name()}' takes no ${given.flag}: it is for starting a cluster`,
  );
}
