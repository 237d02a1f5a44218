// What files are kept as: ec-convert.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

/** Adds it to the program. */
export function addCodingCommands(program: Command, run: RunCommand): void {
  program
    .command("ec-convert")
    .description("Convert files between copies and coded units, or to more or fewer copies.")
    .argument("<path>", "a file, or with -r a directory")
    .requiredOption("--to <layout>", "a code such as 4+2, replicated, or replicated:N")
    .option("-r, --recursive", "all files below a directory")
    .option("--wait", "until every chunk is converted, and was read again from the disks")
    .addHelpText(
      "after",
      examples(
        ["lumeo ec-convert -r /archive --to 4+2 --wait", "half the bytes of three copies"],
        ["lumeo ec-convert /a/film.mp4 --to replicated", "back to copies"],
        ["lumeo ec-convert -r /logs --to replicated:2", "two copies of each, from now on"],
        ["lumeo job pause 7", "hold a conversion up; lumeo job cancel ends it"],
        ["lumeo policy set /archive --ec-after 30d", "for all that becomes old, from now on"],
      ),
    )
    .action(async (path: string, options, command: Command) => {
      const { ecConvert } = await import("../commands/ec-convert.js");
      await run(command.optsWithGlobals(), (context) => ecConvert(context, path, options));
    });
}
