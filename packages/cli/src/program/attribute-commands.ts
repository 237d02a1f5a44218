// Commands about what files and directories carry: meta, tag, policy, quota, du.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

/** Adds them to the program. */
export function addAttributeCommands(program: Command, run: RunCommand): void {
  addPairCommands(program, run, { name: "meta", kind: "metadata", sample: "owner=ada" });
  addPairCommands(program, run, { name: "tag", kind: "tags", sample: "project=apollo" });
  addPolicyCommands(program, run);
  addQuotaCommands(program, run);
  program
    .command("du")
    .description("Show how many bytes, files and directories lie below.")
    .argument("[path...]", "paths in the cluster; / without it")
    .helpOption("--help", "explain this command")
    .option("-h, --human", "sizes in KiB, MiB, GiB")
    .addHelpText(
      "after",
      examples(
        ["lumeo du -h /photos /music", "bytes, files, directories, path"],
        ["lumeo du --json /", "for a script"],
      ),
    )
    .action(async (paths: readonly string[], options, command: Command) => {
      const { du } = await import("../commands/attributes.js");
      await run(command.optsWithGlobals(), (context) => du(context, paths, options));
    });
}

interface PairCommand {
  readonly name: "meta" | "tag";
  readonly kind: "metadata" | "tags";
  readonly sample: string;
}

function addPairCommands(program: Command, run: RunCommand, pair: PairCommand): void {
  const { name, kind, sample } = pair;
  const key = sample.slice(0, sample.indexOf("="));
  const group = program.command(name).description(`The ${kind} of files and directories.`);
  group
    .command("get")
    .description(`Show the ${kind}, or some of it.`)
    .argument("<path>", "path in the cluster")
    .argument("[key...]", "only these; exit code 3 if one is missing")
    .addHelpText(
      "after",
      examples(
        [`lumeo ${name} get /photo.jpg`, "all"],
        [`lumeo ${name} get /photo.jpg ${key}`, "one"],
      ),
    )
    .action(async (path: string, keys: readonly string[], _options, command: Command) => {
      const { getPairs } = await import("../commands/attributes.js");
      await run(command.optsWithGlobals(), (context) => getPairs(context, kind, path, keys));
    });
  group
    .command("set")
    .description(`Set some of the ${kind}; the rest stays.`)
    .argument("<path>", "path in the cluster")
    .argument("<key=value...>", "what to set")
    .addHelpText(
      "after",
      examples(
        [`lumeo ${name} set /photo.jpg ${sample}`, "one"],
        [`lumeo ${name} set /photos ${sample} year=2026`, "two, of a directory"],
      ),
    )
    .action(async (path: string, pairs: readonly string[], _options, command: Command) => {
      const { setPairs } = await import("../commands/attributes.js");
      await run(command.optsWithGlobals(), (context) => setPairs(context, kind, path, pairs));
    });
  group
    .command("rm")
    .description(`Take some of the ${kind} away; fine if it is not there.`)
    .argument("<path>", "path in the cluster")
    .argument("<key...>", "what to take away")
    .addHelpText(
      "after",
      examples(
        [`lumeo ${name} rm /photo.jpg ${key}`, "one"],
        [`lumeo ${name} rm /photo.jpg ${key} year`, "two"],
      ),
    )
    .action(async (path: string, keys: readonly string[], _options, command: Command) => {
      const { removePairs } = await import("../commands/attributes.js");
      await run(command.optsWithGlobals(), (context) => removePairs(context, kind, path, keys));
    });
}

function addPolicyCommands(program: Command, run: RunCommand): void {
  const policy = program
    .command("policy")
    .description("How the files below a directory are kept. Directories below inherit it.");
  policy
    .command("get")
    .description("Show what holds for the files of a directory, and what it sets itself.")
    .argument("<directory>", "directory in the cluster")
    .addHelpText(
      "after",
      examples(
        ["lumeo policy get /photos", "for people"],
        ["lumeo policy get --json /photos", "for scripts"],
      ),
    )
    .action(async (path: string, _options, command: Command) => {
      const { getPolicy } = await import("../commands/attributes.js");
      await run(command.optsWithGlobals(), (context) => getPolicy(context, path));
    });
  policy
    .command("set")
    .description('Set some of it; "none" lets it be inherited again.')
    .argument("<directory>", "directory in the cluster")
    .option("--replicas <n>", "copies of every chunk of files written from now on")
    .option("--versions <n>", "earlier contents of each file that stay readable")
    .option("--trash <duration>", "how long what is removed stays in the trash; 0 for not at all")
    .option("--ttl <duration>", "files are removed so long after they were written; 0 for never")
    .option("--ec <code>", "4+2: files are coded, auto: those from 1 MiB on, replicated: copies")
    .option("--ec-after <duration>", "files are coded so long after they were written; 0 for never")
    .option("--ec-fallback <what>", "with too few chunkservers for the code: refuse, or replicate")
    .addHelpText(
      "after",
      examples(
        ["lumeo policy set / --trash 7d", "a trash for everything"],
        ["lumeo policy set /docs --versions 10", "ten earlier contents of each file"],
        ["lumeo policy set /tmp --ttl 1d --trash 0", "gone after a day"],
        ["lumeo policy set /films --ec auto", "large files coded 4+2, small ones as copies"],
      ),
    )
    .action(async (path: string, options, command: Command) => {
      const { setPolicy } = await import("../commands/attributes.js");
      await run(command.optsWithGlobals(), (context) => setPolicy(context, path, options));
    });
}

function addQuotaCommands(program: Command, run: RunCommand): void {
  const quota = program.command("quota").description("How much may lie below a directory.");
  quota
    .command("get")
    .description("Show limits and use.")
    .argument("<directory>", "directory in the cluster")
    .addHelpText(
      "after",
      examples(
        ["lumeo quota get /teams/apollo", "for people"],
        ["lumeo quota get --json /teams/apollo", "for scripts"],
      ),
    )
    .action(async (path: string, _options, command: Command) => {
      const { getQuota } = await import("../commands/attributes.js");
      await run(command.optsWithGlobals(), (context) => getQuota(context, path));
    });
  quota
    .command("set")
    .description('Set limits; "none" takes one away. What lies there already stays.')
    .argument("<directory>", "directory in the cluster")
    .option("--bytes <size>", "bytes of all files below")
    .option("--files <n>", "files below")
    .addHelpText(
      "after",
      examples(
        ["lumeo quota set /teams/apollo --bytes 10G --files 100000", "both"],
        ["lumeo quota set /teams/apollo --files none", "one less"],
      ),
    )
    .action(async (path: string, options, command: Command) => {
      const { setQuota } = await import("../commands/attributes.js");
      await run(command.optsWithGlobals(), (context) => setQuota(context, path, options));
    });
}
