// Advisory locks: lock acquire, renew, release, ls, run.

import type { Command } from "commander";
import { examples, type RunCommand } from "./command-line.js";

const TTL = "--ttl <duration>";
const TTL_MEANING = "how long it lasts without being renewed, 30s without it";
const HOLDER = "--holder <text>";
const HOLDER_MEANING = "who holds it, for people who look";
const TOKEN = "--token <number>";

/** Adds them to the program. */
export function addLockCommands(program: Command, run: RunCommand): void {
  const lock = program
    .command("lock")
    .description("Advisory locks with fencing tokens, each larger than all before it.");
  lock
    .command("run")
    .description("Run a program while a lock is held; its exit code is the answer.")
    .argument("<name>", "name of the lock")
    .argument("<program...>", "program and arguments, behind --")
    .option(TTL, TTL_MEANING)
    .option(HOLDER, HOLDER_MEANING)
    .addHelpText(
      "after",
      examples(
        ["lumeo lock run nightly -- ./backup.sh", "exit code 4 if somebody else holds it"],
        ["lumeo lock run --ttl 2m nightly -- sh -c 'echo $LUMEO_LOCK_TOKEN'", "with its token"],
      ),
    )
    .action(async (name: string, argv: readonly string[], options, command: Command) => {
      const { lockRun } = await import("../commands/lock.js");
      await run(command.optsWithGlobals(), (context) => lockRun(context, name, argv, options));
    });
  lock
    .command("acquire")
    .description("Take a lock and print its token.")
    .argument("<name>", "name of the lock")
    .option(TTL, TTL_MEANING)
    .option(HOLDER, HOLDER_MEANING)
    .addHelpText(
      "after",
      examples(
        ["token=$(lumeo lock acquire nightly --ttl 5m)", "exit code 4 if it is held"],
        ["lumeo lock acquire nightly --holder host-7", "so that others see who"],
      ),
    )
    .action(async (name: string, options, command: Command) => {
      const { lockAcquire } = await import("../commands/lock.js");
      await run(command.optsWithGlobals(), (context) => lockAcquire(context, name, options));
    });
  addHeldCommands(lock, run);
}

function addHeldCommands(lock: Command, run: RunCommand): void {
  lock
    .command("renew")
    .description("Let a lock last from now.")
    .argument("<name>", "name of the lock")
    .option(TOKEN, "as acquire printed it")
    .option(TTL, TTL_MEANING)
    .addHelpText(
      "after",
      examples(
        ['lumeo lock renew nightly --token "$token"', "30 s more"],
        ['lumeo lock renew nightly --token "$token" --ttl 5m', "5 minutes more"],
      ),
    )
    .action(async (name: string, options, command: Command) => {
      const { lockRenew } = await import("../commands/lock.js");
      await run(command.optsWithGlobals(), (context) => lockRenew(context, name, options));
    });
  lock
    .command("release")
    .description("Give a lock up.")
    .argument("<name>", "name of the lock")
    .option(TOKEN, "as acquire printed it")
    .addHelpText(
      "after",
      examples(
        ['lumeo lock release nightly --token "$token"', "done"],
        ['lumeo lock release nightly --token "$token" --json', "for scripts"],
      ),
    )
    .action(async (name: string, options, command: Command) => {
      const { lockRelease } = await import("../commands/lock.js");
      await run(command.optsWithGlobals(), (context) => lockRelease(context, name, options));
    });
  lock
    .command("ls")
    .description("Show the locks that are held: token, time left, name, holder.")
    .addHelpText(
      "after",
      examples(["lumeo lock ls", "for people"], ["lumeo lock ls --json", "for scripts"]),
    )
    .action(async (_options, command: Command) => {
      const { lockList } = await import("../commands/lock.js");
      await run(command.optsWithGlobals(), lockList);
    });
}
