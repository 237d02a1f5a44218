// The command line: every command with its flags and examples, and nothing that a command needs to
// run, so that `lumeo --version` and help come at once. What runs is imported when it is chosen.

import { Command, Option } from "commander";
import { CONCURRENCY_DEFAULT, TIMEOUT_DEFAULT } from "../settings.js";
import { addAttributeCommands } from "./attribute-commands.js";
import { addAuditCommands } from "./audit-commands.js";
import { addBackupCommands } from "./backup-commands.js";
import { addChangeCommands } from "./change-commands.js";
import { addChunkCommands } from "./chunk-commands.js";
import { addClusterCommands } from "./cluster-commands.js";
import { addCodingCommands } from "./coding-commands.js";
import { collect, type RunCommand } from "./command-line.js";
import { addDataCommands } from "./data-commands.js";
import { addDevCommands } from "./dev-commands.js";
import { addFeedCommands } from "./feed-commands.js";
import { addHistoryCommands } from "./history-commands.js";
import { addJobCommands } from "./job-commands.js";
import { addLockCommands } from "./lock-commands.js";
import { addLookCommands } from "./look-commands.js";
import { addMasterCommands } from "./master-commands.js";
import { addNodeCommands } from "./node-commands.js";
import { addRebalanceCommands } from "./rebalance-commands.js";

const EXIT_CODES = `
Exit codes: 0 done, 1 failed (also: some of many), 2 wrong usage, 3 not found, 4 conflict or
condition not met, 5 permission, 6 cluster unavailable (try again later), 7 integrity, 8 no space,
10 configuration, 130 Ctrl-C, 143 terminated.`;

/**
 * The parser of the whole command.
 *
 * @param args  What it will parse: behind the name of a command, --version is that command's own.
 */
export function buildProgram(version: string, run: RunCommand, args: readonly string[]): Command {
  const program: Command = new Command("lumeo")
    .description("Store files in a LumeoFS cluster, and run one on this machine.")
    .helpOption("-h, --help", "explain a command")
    .helpCommand("help [command]", "explain a command")
    .configureHelp({
      showGlobalOptions: true,
      // Not those of commands in between: `dev stop` takes nothing of what `dev` takes.
      visibleGlobalOptions: (command) => (command === program ? [] : [...program.options]),
    })
    // Wrong usage is said by whoever catches it, like every other error.
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  addGlobalOptions(program);
  program.addHelpText("after", EXIT_CODES);
  addDataCommands(program, run);
  addLookCommands(program, run);
  addFeedCommands(program, run);
  addChangeCommands(program, run);
  addAttributeCommands(program, run);
  addHistoryCommands(program, run);
  addLockCommands(program, run);
  addClusterCommands(program, run);
  addMasterCommands(program, run);
  addNodeCommands(program, run);
  addJobCommands(program, run);
  addRebalanceCommands(program, run);
  addCodingCommands(program, run);
  addChunkCommands(program, run);
  addAuditCommands(program, run);
  addBackupCommands(program, run);
  addDevCommands(program, run);
  const isCommand = (arg: string): boolean => program.commands.some((one) => one.name() === arg);
  if (!args.some(isCommand)) program.version(version, "-V, --version", "print the version");
  return program;
}

function addGlobalOptions(program: Command): void {
  program
    .addOption(
      new Option(
        "--endpoint <host:port>",
        "a master; repeat it for each (env: LUMEO_ENDPOINTS)",
      ).argParser(collect),
    )
    .option("--json", "print JSON, one object a line (env: LUMEO_OUTPUT=json)")
    .option("-q, --quiet", "print errors only")
    .option(
      "-j, --concurrency <n>",
      `files at the same time, ${CONCURRENCY_DEFAULT} without it (env: LUMEO_CONCURRENCY)`,
    )
    .option(
      "--timeout <duration>",
      `how long the cluster may stay silent, ${TIMEOUT_DEFAULT} without it (env: LUMEO_TIMEOUT)`,
    )
    .option("--progress <kind>", "auto, bar, plain, json or none (env: LUMEO_NO_PROGRESS)")
    .option("--color <when>", "auto, always or never (env: NO_COLOR)")
    .option("--debug", "show where errors come from (env: LUMEO_DEBUG)");
}
