// Commands that move content, or change it: put, append, truncate, get, cat.

import type { Command } from "commander";
import { collect, examples, type RunCommand, requireTwo } from "./command-line.js";

/** Adds them to the program. */
export function addDataCommands(program: Command, run: RunCommand): void {
  addPut(program, run);
  addAppend(program, run);
  addTruncate(program, run);
  addGet(program, run);
  addCat(program, run);
}

function addPut(program: Command, run: RunCommand): void {
  program
    .command("put")
    .description("Store local files, trees with -r, or standard input (-).")
    .usage("[options] <source...> <target>")
    .argument("<source...>", "local files and directories, then the target in the cluster")
    .option("-r, --recursive", "store directories with all that is in them")
    .option("--no-follow", "skip symbolic links instead of storing what they lead to")
    .option("--replicas <n>", "copies of every chunk, 3 without it")
    .option("--ec <code>", "4+2: coded, auto: from 1 MiB on, none: copies; by policy without it")
    .option("--ec-fallback <what>", "with too few chunkservers: refuse, or replicate")
    .option("--chunk-size <size>", "largest chunk, 64M without it")
    .option("--no-inline", "put small files on chunkservers, too, not with the masters")
    .option("--if-not-exists", "store only what is not there yet")
    .option("--if-match <etag>", "replace a file only if it is still this one")
    .option("--stdin-name <name>", "name for standard input in a target directory")
    .option("--content-type <type>", "what the content is, such as image/png")
    .option("--meta <key=value>", "metadata to carry; repeat it for each", collect)
    .option("--tag <key=value>", "a tag to carry; repeat it for each", collect)
    .option("--ttl <duration>", "remove it after this time; by policy without it")
    .addHelpText(
      "after",
      examples(
        ["lumeo put photo.jpg /photos/", "into the directory /photos, made if missing"],
        ["lumeo put -r ./site /www", "into /www/site if /www is there, else as /www"],
        ["tar c . | lumeo put - /backup/today.tar", "from a pipe"],
        ["lumeo put --ec 4+2 film.mkv /films/", "in half the space: any two servers may be lost"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      requireTwo(command, paths, "SOURCE... TARGET");
      const { put } = await import("../commands/put.js");
      await run(command.optsWithGlobals(), (context) => put(context, paths, options));
    });
}

function addAppend(program: Command, run: RunCommand): void {
  program
    .command("append")
    .description("Add records at the end of a file, each in one piece and exactly once.")
    .usage("[options] <path> [source...]")
    .argument("<path>", "a file in the cluster; made if it is not there")
    .argument("[source...]", "local files, or - for standard input, which it is without one")
    .option("--record", "each source is one record; without it, each line is one")
    .option("--text <text>", "append this line, and read nothing")
    .option("--offsets", "print where each record stands: offset and length, in bytes")
    .option("--no-create", "fail if the file is not there")
    .option("--replicas <n>", "copies of a file that is made; by policy without it")
    .addHelpText(
      "after",
      examples(
        ["lumeo append /logs/app.log --text 'it began'", "one line"],
        ["tail -f app.log | lumeo append /logs/app.log", "each line as it comes"],
        ["lumeo append --record /events event.json", "a whole file as one record"],
      ),
    )
    .action(async (path: string, sources: readonly string[], options, command: Command) => {
      const { append } = await import("../commands/append.js");
      await run(command.optsWithGlobals(), (context) => append(context, path, sources, options));
    });
}

function addTruncate(program: Command, run: RunCommand): void {
  program
    .command("truncate")
    .description("Cut files to a length, or make them longer with zeros.")
    .argument("<path...>", "files in the cluster")
    .requiredOption("--size <size>", "bytes that they have then")
    .addHelpText(
      "after",
      examples(
        ["lumeo truncate --size 0 /logs/app.log", "empty, with its attributes"],
        ["lumeo truncate --size 1M /images/disk", "a mebibyte, cut or filled up"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      const { truncate } = await import("../commands/truncate.js");
      await run(command.optsWithGlobals(), (context) => truncate(context, paths, options));
    });
}

function addGet(program: Command, run: RunCommand): void {
  program
    .command("get")
    .description("Copy files, and trees with -r, from the cluster; - is standard output.")
    .usage("[options] <source...> <target>")
    .argument("<source...>", "paths in the cluster, then the local target")
    .option("-r, --recursive", "copy directories with all that is in them")
    .option("--range <first-last>", "these bytes only, both ends included")
    .option("--version <version>", "an earlier content, as version ls shows it")
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
      const { get } = await import("../commands/get.js");
      await run(command.optsWithGlobals(), (context) => get(context, paths, options));
    });
}

function addCat(program: Command, run: RunCommand): void {
  program
    .command("cat")
    .description("Write the content of files to standard output.")
    .argument("<path...>", "files in the cluster")
    .option("--range <first-last>", "these bytes only, both ends included")
    .option("--version <version>", "an earlier content, as version ls shows it")
    .addHelpText(
      "after",
      examples(
        ["lumeo cat /logs/today", "one file"],
        ["lumeo cat --range 0-99 /logs/today", "its first hundred bytes"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      const { cat } = await import("../commands/cat.js");
      await run(command.optsWithGlobals(), (context) => cat(context, paths, options));
    });
}
