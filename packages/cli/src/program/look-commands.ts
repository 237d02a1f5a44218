// Commands that look: ls, stat.

import { type Command, Option } from "commander";
import { CONSISTENCIES } from "../read-options.js";
import { examples, type RunCommand } from "./command-line.js";

function consistencyOption(): Option {
  const what = "how fresh: linearizable (default), lease, or stale from the nearest master";
  return new Option("--consistency <kind>", what).choices(CONSISTENCIES);
}

/** Adds them to the program. */
export function addLookCommands(program: Command, run: RunCommand): void {
  program
    .command("ls")
    .description("List directories, one entry a line, in byte order of the names.")
    .argument("[path...]", "directories or files in the cluster; / without it")
    .helpOption("--help", "explain this command")
    .option("-l, --long", "with kind, size and time")
    .option("-h, --human", "sizes in KiB, MiB, GiB")
    .option("-R, --recursive", "with everything below")
    .addOption(new Option("-r").hideHelp())
    .addOption(new Option("-1").hideHelp())
    .option("--limit <n>", "this many entries of each path")
    .option("--after <name>", "begin behind this name")
    .addOption(consistencyOption())
    .option("--max-age <time>", "with stale: no answer that may be older, such as 5s")
    .addHelpText(
      "after",
      examples(
        ["lumeo ls -l -h /photos", "with readable sizes"],
        ["lumeo ls --json --limit 100 --after m /photos", "a page for a script"],
        ["lumeo ls --consistency stale --json /photos", "from any master, with index and age"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      const { ls } = await import("../commands/ls.js");
      const recursive = options.recursive === true || options.r === true;
      await run(command.optsWithGlobals(), (context) =>
        ls(context, paths, { ...options, recursive }),
      );
    });
  program
    .command("stat")
    .description("Show what is known about files and directories.")
    .argument("<path...>", "paths in the cluster")
    .option("--chunks", "with every chunk and where its replicas are")
    .option("--version <version>", "an earlier content, as version ls shows it")
    .addOption(consistencyOption())
    .option("--max-age <time>", "with stale: no answer that may be older, such as 5s")
    .addHelpText(
      "after",
      examples(
        ["lumeo stat /photos/photo.jpg", "size, etag, times"],
        ["lumeo stat --chunks --json /photos/photo.jpg", "chunks and replicas for a script"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      const { stat } = await import("../commands/stat.js");
      await run(command.optsWithGlobals(), (context) => stat(context, paths, options));
    });
}
