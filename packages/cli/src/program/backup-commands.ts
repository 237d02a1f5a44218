// Backups of the metadata: backup create, ls, show, verify, restore.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

const FOLDER = "<dir>";
const FOLDER_MEANING = "local folder of backups";

/** Adds them to the program. */
export function addBackupCommands(program: Command, run: RunCommand): void {
  const backup = program
    .command("backup")
    .description("Save what the masters know into files, check them, found masters from them.");
  addMaking(backup, run);
  addLooking(backup, run);
  backup
    .command("restore")
    .description("Make the folders of new masters from the newest full backup.")
    .argument(FOLDER, FOLDER_MEANING)
    .requiredOption("--to-dir <dir>", "a folder for each master is made in it, by its name")
    .requiredOption("--masters <list>", "the new masters: m1=host:port,m2=host:port,...")
    .option("--revision <n>", "that one of the backups, as ls shows it")
    .option("--keep-lost <duration>", "keep chunks written after the backup so long, 7d without it")
    .option(
      "--restored-before <n>",
      "so many groups have run from this backup already, 0 without it",
    )
    .addHelpText(
      "after",
      examples(
        ["lumeo backup restore --to-dir new --masters m1=h1:7400,m2=h2:7400 bak", "two masters"],
        [
          "lumeo backup restore --revision 4711 --to-dir new --masters m1=h1:7400 bak",
          "as of then",
        ],
      ),
    )
    .action(async (folder: string, options, command: Command) => {
      const { backupRestore } = await import("../commands/backup.js");
      await run(command.optsWithGlobals(), (context) => backupRestore(context, folder, options));
    });
}

function addMaking(backup: Command, run: RunCommand): void {
  backup
    .command("create")
    .description("Save the metadata at one revision, while writes go on.")
    .argument(FOLDER, FOLDER_MEANING)
    .option("--mode <mode>", "full (default): for restoring; index: names, sizes, attributes")
    .option("--incremental", "only what changed since the newest one there")
    .option("--limit-rate <size>", "read no faster than this in a second, such as 10M")
    .addHelpText(
      "after",
      examples(
        ["lumeo backup create bak", "everything"],
        ["lumeo backup create --incremental --json bak", "what changed since, for a script"],
      ),
    )
    .action(async (folder: string, options, command: Command) => {
      const { backupCreate } = await import("../commands/backup.js");
      await run(command.optsWithGlobals(), (context) => backupCreate(context, folder, options));
    });
}

function addLooking(backup: Command, run: RunCommand): void {
  backup
    .command("ls")
    .description("List the backups of a folder.")
    .argument(FOLDER, FOLDER_MEANING)
    .addHelpText(
      "after",
      examples(
        ["lumeo backup ls bak", "for people"],
        ["lumeo backup ls --json bak", "for scripts"],
      ),
    )
    .action(async (folder: string, _options, command: Command) => {
      const { backupList } = await import("../commands/backup.js");
      await run(command.optsWithGlobals(), (context) => backupList(context, folder));
    });
  backup
    .command("show")
    .description("Print the files and directories of the newest backup in index mode.")
    .argument(FOLDER, FOLDER_MEANING)
    .option("--revision <n>", "that one of the backups, as ls shows it")
    .addHelpText(
      "after",
      examples(
        ["lumeo backup show bak", "kind, size, time, path"],
        ["lumeo backup show --json --revision 4711 bak", "with attributes, for an audit"],
      ),
    )
    .action(async (folder: string, options, command: Command) => {
      const { backupShow } = await import("../commands/backup.js");
      await run(command.optsWithGlobals(), (context) => backupShow(context, folder, options));
    });
  backup
    .command("verify")
    .description("Read every backup of a folder with all that it builds on, and check it.")
    .argument(FOLDER, FOLDER_MEANING)
    .addHelpText(
      "after",
      examples(
        ["lumeo backup verify bak", "exit code 7 if one is damaged"],
        ["lumeo backup verify --json bak", "one object for each"],
      ),
    )
    .action(async (folder: string, _options, command: Command) => {
      const { backupVerify } = await import("../commands/backup.js");
      await run(command.optsWithGlobals(), (context) => backupVerify(context, folder));
    });
}
