// The command line: every command with its flags and examples, and nothing that a command needs to
// run, so that `lumeo --version` and help come at once. What runs is imported when it is chosen.

import { Command, Option } from "commander";
import type { Context } from "./context.js";
import type { ExitStatus } from "./exit-status.js";
import { CONCURRENCY_DEFAULT, type RawSettings, TIMEOUT_DEFAULT } from "./settings.js";

/** Runs a command with what it needs; the exit code is the answer. */
export type RunCommand = (
  raw: RawSettings,
  command: (context: Context) => Promise<ExitStatus>,
) => Promise<void>;

const EXIT_CODES = `
Exit codes: 0 done, 1 failed (also: some of many), 2 wrong usage, 3 not found, 4 conflict or
condition not met, 5 permission, 6 cluster unavailable (try again later), 7 integrity, 8 no space,
10 configuration, 130 Ctrl-C, 143 terminated.`;

/** The parser of the whole command. */
export function buildProgram(version: string, run: RunCommand): Command {
  const program = new Command("lumeo")
    .description("Store files in a LumeoFS cluster, and run one on this machine.")
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "explain a command")
    .helpCommand("help [command]", "explain a command")
    .configureHelp({ showGlobalOptions: true })
    // Wrong usage is said by whoever catches it, like every other error.
    .configureOutput({ outputError: () => {} })
    .exitOverride();
  addGlobalOptions(program);
  program.addHelpText("after", EXIT_CODES);
  addDataCommands(program, run);
  addLookCommands(program, run);
  addChangeCommands(program, run);
  addClusterCommands(program, run);
  addDevCommands(program, run);
  return program;
}

function addGlobalOptions(program: Command): void {
  const collect = (text: string, before: readonly string[] | undefined): readonly string[] => [
    ...(before ?? []),
    text,
  ];
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

function addDataCommands(program: Command, run: RunCommand): void {
  program
    .command("put")
    .description("Store local files, trees with -r, or standard input (-).")
    .usage("[options] <source...> <target>")
    .argument("<source...>", "local files and directories, then the target in the cluster")
    .option("-r, --recursive", "store directories with all that is in them")
    .option("--no-follow", "skip symbolic links instead of storing what they lead to")
    .option("--replicas <n>", "copies of every chunk, 3 without it")
    .option("--chunk-size <size>", "largest chunk, 64M without it")
    .option("--if-not-exists", "store only what is not there yet")
    .option("--if-match <etag>", "replace a file only if it is still this one")
    .option("--stdin-name <name>", "name for standard input in a target directory")
    .addHelpText(
      "after",
      examples(
        ["lumeo put photo.jpg /photos/", "into the directory /photos, made if missing"],
        ["lumeo put -r ./site /www", "into /www/site if /www is there, else as /www"],
        ["tar c . | lumeo put - /backup/today.tar", "from a pipe"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      requireTwo(command, paths, "SOURCE... TARGET");
      const { put } = await import("./commands/put.js");
      await run(command.optsWithGlobals(), (context) => put(context, paths, options));
    });
  program
    .command("get")
    .description("Copy files, and trees with -r, from the cluster; - is standard output.")
    .usage("[options] <source...> <target>")
    .argument("<source...>", "paths in the cluster, then the local target")
    .option("-r, --recursive", "copy directories with all that is in them")
    .option("--range <first-last>", "these bytes only, both ends included")
    .addHelpText(
      "after",
      examples(
        ["lumeo get /photos/photo.jpg .", "into the current directory"],
        ["lumeo get -r /www ./site", "into ./site/www if ./site is there, else as ./site"],
        ["lumeo get /backup/today.tar - | tar t", "into a pipe"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      requireTwo(command, paths, "SOURCE... TARGET");
      const { get } = await import("./commands/get.js");
      await run(command.optsWithGlobals(), (context) => get(context, paths, options));
    });
  program
    .command("cat")
    .description("Write the content of files to standard output.")
    .argument("<path...>", "files in the cluster")
    .option("--range <first-last>", "these bytes only, both ends included")
    .addHelpText(
      "after",
      examples(
        ["lumeo cat /logs/today", "one file"],
        ["lumeo cat --range 0-99 /logs/today", "its first hundred bytes"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      const { cat } = await import("./commands/cat.js");
      await run(command.optsWithGlobals(), (context) => cat(context, paths, options));
    });
}

function addLookCommands(program: Command, run: RunCommand): void {
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
    .addHelpText(
      "after",
      examples(
        ["lumeo ls -l -h /photos", "with readable sizes"],
        ["lumeo ls --json --limit 100 --after m /photos", "a page for a script"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      const { ls } = await import("./commands/ls.js");
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
    .addHelpText(
      "after",
      examples(
        ["lumeo stat /photos/photo.jpg", "size, etag, times"],
        ["lumeo stat --chunks --json /photos/photo.jpg", "chunks and replicas for a script"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      const { stat } = await import("./commands/stat.js");
      await run(command.optsWithGlobals(), (context) => stat(context, paths, options));
    });
}

function addChangeCommands(program: Command, run: RunCommand): void {
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
      const { mkdir } = await import("./commands/mkdir.js");
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
      const { mv } = await import("./commands/mv.js");
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
      const { rm } = await import("./commands/rm.js");
      await run(command.optsWithGlobals(), (context) => rm(context, paths, options));
    });
}

function addClusterCommands(program: Command, run: RunCommand): void {
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
      const { clusterStatus } = await import("./commands/cluster-status.js");
      await run(command.optsWithGlobals(), clusterStatus);
    });
}

function addDevCommands(program: Command, run: RunCommand): void {
  const dev = program
    .command("dev")
    .description("Run a cluster on this machine, one process for each member.")
    .option("--dir <folder>", "where everything is kept, ./.lumeo-dev without it")
    .option("--masters <n>", "1, 3 or 5; 3 without it")
    .option("--chunkservers <n>", "4 without it")
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
        command.error(`error: unknown command 'dev ${unknown}': there are stop, status and revive`);
      }
      const { devStart } = await import("./commands/dev-start.js");
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
        const commands = await import("./commands/dev-control.js");
        const { dir } = command.optsWithGlobals<{ dir?: string }>();
        await run(command.optsWithGlobals(), (context) => commands[action](context, dir));
      });
  }
}

function requireTwo(command: Command, paths: readonly string[], usage: string): void {
  if (paths.length < 2) command.error(`error: missing target: ${command.name()} takes ${usage}`);
}

function examples(...lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([text]) => text.length));
  const shown = lines.map(([text, meaning]) => `  ${text.padEnd(width)}  # ${meaning}`);
  return `\nExamples:\n${shown.join("\n")}`;
}
