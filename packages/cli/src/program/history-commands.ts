// Commands about what was: trash, version, snapshot.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

/** What stands behind the arguments when an action is called. */
type Parsed = readonly [options: unknown, command: Command];

/** Adds them to the program. */
export function addHistoryCommands(program: Command, run: RunCommand): void {
  addTrashCommands(program, run);
  addVersionCommands(program, run);
  addSnapshotCommands(program, run);
}

function addTrashCommands(program: Command, run: RunCommand): void {
  const trash = program
    .command("trash")
    .description("What was removed and is still kept: see policy set --trash.");
  trash
    .command("ls")
    .description("Show it, in the order of removal: id, size, until when, path.")
    .addHelpText(
      "after",
      examples(["lumeo trash ls", "for people"], ["lumeo trash ls --json", "for scripts"]),
    )
    .action(async (_options, command: Command) => {
      const { trashList } = await import("../commands/trash.js");
      await run(command.optsWithGlobals(), trashList);
    });
  trash
    .command("restore")
    .description("Put things back where they were. Nothing may be there.")
    .argument("<id...>", "as trash ls shows them")
    .option("--to <path>", "put the one thing there instead")
    .addHelpText(
      "after",
      examples(
        ["lumeo trash restore 1042", "where it was"],
        ["lumeo trash restore 1042 --to /rescued", "somewhere else"],
      ),
    )
    .action(async (ids: readonly string[], options, command: Command) => {
      const { trashRestore } = await import("../commands/trash.js");
      await run(command.optsWithGlobals(), (context) => trashRestore(context, ids, options));
    });
  trash
    .command("empty")
    .description("Free what is in the trash, for good.")
    .argument("[id...]", "only these")
    .option("-y, --yes", "all of it, without being asked")
    .addHelpText(
      "after",
      examples(["lumeo trash empty 1042", "one thing"], ["lumeo trash empty --yes", "everything"]),
    )
    .action(async (ids: readonly string[], options, command: Command) => {
      const { trashEmpty } = await import("../commands/trash.js");
      await run(command.optsWithGlobals(), (context) => trashEmpty(context, ids, options));
    });
}

function addVersionCommands(program: Command, run: RunCommand): void {
  const version = program
    .command("version")
    .description("Earlier contents of files: see policy set --versions.");
  version
    .command("ls")
    .description("Show them, newest first; also of a file that was removed.")
    .argument("<path>", "file in the cluster")
    .addHelpText(
      "after",
      examples(
        ["lumeo version ls /docs/plan.txt", "version, size, time"],
        ["lumeo cat --version 1042 /docs/plan.txt", "read one"],
      ),
    )
    .action(async (path: string, _options, command: Command) => {
      const { versionList } = await import("../commands/version.js");
      await run(command.optsWithGlobals(), (context) => versionList(context, path));
    });
  version
    .command("restore")
    .description("Make an earlier content the current one again.")
    .argument("<path>", "file in the cluster")
    .argument("<version>", "as version ls shows it")
    .addHelpText(
      "after",
      examples(
        ["lumeo version restore /docs/plan.txt 1042", "in its place"],
        ["lumeo cp --version 1042 /docs/plan.txt /docs/old.txt", "beside it"],
      ),
    )
    .action(async (path: string, wanted: string, _options, command: Command) => {
      const { versionRestore } = await import("../commands/version.js");
      await run(command.optsWithGlobals(), (context) => versionRestore(context, path, wanted));
    });
  version
    .command("rm")
    .description("Free earlier contents.")
    .argument("<path>", "file in the cluster")
    .argument("<version...>", "as version ls shows them")
    .addHelpText(
      "after",
      examples(
        ["lumeo version rm /docs/plan.txt 1042", "one"],
        ["lumeo version rm /docs/plan.txt 1042 1077", "two"],
      ),
    )
    .action(async (path: string, versions: readonly string[], _options, command: Command) => {
      const { versionRemove } = await import("../commands/version.js");
      await run(command.optsWithGlobals(), (context) => versionRemove(context, path, versions));
    });
}

function addSnapshotCommands(program: Command, run: RunCommand): void {
  const snapshot = program
    .command("snapshot")
    .description("Directories as they once were, readable below DIRECTORY/.snapshot/NAME.");
  snapshot
    .command("create")
    .description("Keep a directory with all that is below as it is now, at once.")
    .argument("<directory>", "directory in the cluster")
    .argument("<name>", "name of the snapshot")
    .addHelpText(
      "after",
      examples(
        ["lumeo snapshot create /docs before-cleanup", "takes no longer for a large one"],
        ["lumeo ls /docs/.snapshot/before-cleanup", "look into it"],
      ),
    )
    .action(async (path: string, name: string, _options, command: Command) => {
      const { snapshotCreate } = await import("../commands/snapshot.js");
      await run(command.optsWithGlobals(), (context) => snapshotCreate(context, path, name));
    });
  snapshot
    .command("ls")
    .description("Show the snapshots of a directory.")
    .argument("<directory>", "directory in the cluster")
    .addHelpText(
      "after",
      examples(
        ["lumeo snapshot ls /docs", "for people"],
        ["lumeo snapshot ls --json /docs", "for scripts"],
      ),
    )
    .action(async (path: string, _options, command: Command) => {
      const { snapshotList } = await import("../commands/snapshot.js");
      await run(command.optsWithGlobals(), (context) => snapshotList(context, path));
    });
  snapshot
    .command("rm")
    .description("Give snapshots up; what only they kept is freed.")
    .argument("<directory>", "directory in the cluster")
    .argument("<name...>", "names of snapshots")
    .addHelpText(
      "after",
      examples(
        ["lumeo snapshot rm /docs before-cleanup", "one"],
        ["lumeo snapshot rm /docs monday tuesday", "two"],
      ),
    )
    .action(async (path: string, names: readonly string[], _options, command: Command) => {
      const { snapshotRemove } = await import("../commands/snapshot.js");
      await run(command.optsWithGlobals(), (context) => snapshotRemove(context, path, names));
    });
  addSnapshotUses(snapshot, run);
}

function addSnapshotUses(snapshot: Command, run: RunCommand): void {
  snapshot
    .command("restore")
    .description("Copy a snapshot to a new place; the content is shared, no bytes move.")
    .argument("<directory>", "directory in the cluster")
    .argument("<name>", "name of the snapshot")
    .argument("<target>", "path where nothing is yet")
    .addHelpText(
      "after",
      examples(
        ["lumeo snapshot restore /docs before-cleanup /docs-before", "all of it"],
        ["lumeo cp /docs/.snapshot/before-cleanup/plan.txt /docs/", "one file"],
      ),
    )
    .action(async (path: string, name: string, target: string, ...[, command]: Parsed) => {
      const { snapshotRestore } = await import("../commands/snapshot.js");
      await run(command.optsWithGlobals(), (context) =>
        snapshotRestore(context, path, name, target),
      );
    });
  snapshot
    .command("diff")
    .description("Show what differs: + added, - removed, ~ changed. Exit code 1 if anything does.")
    .argument("<directory>", "directory in the cluster")
    .argument("<from>", "name of a snapshot")
    .argument("[to]", "name of a later one; without it: now")
    .addHelpText(
      "after",
      examples(
        ["lumeo snapshot diff /docs monday", "between monday and now"],
        ["lumeo snapshot diff /docs monday tuesday", "between two snapshots"],
      ),
    )
    .action(async (path: string, from: string, to: string | undefined, ...[, command]: Parsed) => {
      const { snapshotDiff } = await import("../commands/snapshot.js");
      await run(command.optsWithGlobals(), (context) => snapshotDiff(context, path, { from, to }));
    });
}
