// Single chunks: chunk ls, show, verify, salvage.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

const HANDLE = "number of the chunk, from lumeo chunk ls or lumeo stat --chunks";

/** Adds them to the program. */
export function addChunkCommands(program: Command, run: RunCommand): void {
  const chunk = program.command("chunk").description("Look at single chunks and their copies.");
  chunk
    .command("ls")
    .description("List chunks with their copies: all, or those that are not as they should be.")
    .option("--under-replicated", "with fewer good copies than there should be")
    .option("--corrupt", "with a copy that is damaged or missing")
    .option("--orphan", "that no file has any more")
    .option("--limit <n>", "at most so many, 1000 without it")
    .addHelpText(
      "after",
      examples(
        ["lumeo chunk ls --under-replicated", "nothing, if all is well"],
        ["lumeo chunk ls --corrupt --json", "one object a line"],
      ),
    )
    .action(async (options, command: Command) => {
      const { chunkList } = await import("../commands/chunk.js");
      await run(command.optsWithGlobals(), (context) => chunkList(context, options));
    });
  chunk
    .command("show")
    .description("Show a chunk: length, checksum, copies, and a copy that is under way.")
    .argument("<handle>", HANDLE)
    .addHelpText(
      "after",
      examples(["lumeo chunk show 128", "for people"], ["lumeo chunk show 128 --json", "scripts"]),
    )
    .action(async (handle: string, _options, command: Command) => {
      const { chunkShow } = await import("../commands/chunk.js");
      await run(command.optsWithGlobals(), (context) => chunkShow(context, handle));
    });
  chunk
    .command("verify")
    .description("Have all copies of chunks read from their disks; what is bad is made again.")
    .argument("<handle...>", HANDLE)
    .addHelpText(
      "after",
      examples(
        ["lumeo chunk verify 128", "exit code 7 if a copy is bad, 6 if one cannot be asked"],
        ["lumeo chunk verify 128 129 --json", "one object a line"],
      ),
    )
    .action(async (handles: readonly string[], _options, command: Command) => {
      const { chunkVerify } = await import("../commands/chunk.js");
      await run(command.optsWithGlobals(), (context) => chunkVerify(context, handles));
    });
  chunk
    .command("salvage")
    .description("Complete a growing chunk with what is left, when too many of its disks are lost.")
    .argument("<handle>", HANDLE)
    .option("--yes", "do it: what only the lost disks had is given up for good")
    .addHelpText(
      "after",
      examples(
        ["lumeo chunk salvage 128", "says what would be kept and given up"],
        ["lumeo chunk salvage 128 --yes", "does it"],
      ),
    )
    .action(async (handle: string, options, command: Command) => {
      const { chunkSalvage } = await import("../commands/chunk.js");
      await run(command.optsWithGlobals(), (context) => chunkSalvage(context, handle, options));
    });
}
