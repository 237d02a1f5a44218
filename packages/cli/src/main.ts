// argv → command → exit status.

import { readFileSync } from "node:fs";
import { CommanderError } from "commander";
import { UsageError } from "./args.js";
import type { Client } from "./client.js";
import type { Context } from "./context.js";
import { codeOf, EXIT, type ExitStatus, exitStatusOf } from "./exit-status.js";
import { Interruption } from "./interruption.js";
import { Output, ReaderGone } from "./output.js";
import { buildProgram } from "./program/program.js";
import { type RawSettings, resolveSettings, type Settings } from "./settings.js";

/** After this long without an answer another master is asked. */
const ATTEMPT_MS_MAX = 10_000;

const { version } = JSON.parse(
  readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
) as { version: string };

let status: ExitStatus = EXIT.ok;

const program = buildProgram(
  version,
  async (raw, command) => {
    status = await runCommand(raw, command);
  },
  process.argv.slice(2),
);
try {
  await program.parseAsync(process.argv);
} catch (error) {
  status = parseFailure(error);
}
// Left-over handles must not keep a finished command alive.
process.exit(status);

/** Gives a command what it needs and turns whatever happens into an exit code. */
async function runCommand(
  raw: RawSettings,
  command: (context: Context) => Promise<ExitStatus>,
): Promise<ExitStatus> {
  const settings = settingsOrUsage(raw);
  const output = new Output({ stdout: process.stdout, stderr: process.stderr }, settings);
  const interruption = new Interruption(() =>
    output.note("Stopping in good order; once more ends it at once"),
  );
  let opened: Promise<Client> | undefined;
  const client = (): Promise<Client> => {
    opened ??= open(settings);
    return opened;
  };
  const { signal } = interruption;
  try {
    const { SystemClock } = await import("@lumeofs/node");
    const clock = new SystemClock();
    const call = { signal, deadlineMs: settings.timeoutMs };
    const stdin = process.stdin;
    const ended = await command({ settings, output, signal, call, clock, stdin, client });
    await output.flush();
    return ended;
  } catch (error) {
    return commandFailure(error, output, interruption);
  } finally {
    await opened?.then((one) => one.close()).catch(() => {});
    await output.flush().catch(() => {}); // Said before.
    interruption.release();
  }
}

async function open(settings: Settings): Promise<Client> {
  if (settings.endpoints.length === 0) {
    throw new UsageError(
      "Cannot find the cluster: nobody said where its masters are. Set " +
        "LUMEO_ENDPOINTS=host:port,host:port or give --endpoint host:port",
    );
  }
  const { Lumeo } = await import("@lumeofs/client");
  const { endpoints, timeoutMs } = settings;
  return new Lumeo({ endpoints, timeoutMs: Math.min(timeoutMs, ATTEMPT_MS_MAX) });
}

function settingsOrUsage(raw: RawSettings): Settings {
  const { stdout, stderr, env } = process;
  return resolveSettings(raw, {
    environment: env,
    stdoutIsTty: stdout.isTTY === true,
    stderrIsTty: stderr.isTTY === true,
  });
}

function commandFailure(error: unknown, output: Output, interruption: Interruption): ExitStatus {
  if (interruption.status !== undefined) {
    output.warn("Interrupted. What was complete stays; run the same command again for the rest");
    return interruption.status;
  }
  if (error instanceof ReaderGone) return EXIT.ok;
  output.error(error);
  return exitStatusOf(codeOf(error));
}

/** Says what is wrong with the arguments, or does nothing: help and version came out already. */
function parseFailure(error: unknown): ExitStatus {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok;
    if (error.code.startsWith("commander.help")) return EXIT.usage;
    return usageFailure(
      `${error.message
        .replace(/^error: /, "")
        .replace("\n", " ")
        .replace(/\.$/, "")}; --help says how it is used`,
    );
  }
  if (!(error instanceof UsageError)) throw error;
  return usageFailure(error.message);
}

/** The settings may be what is wrong, so the wish for JSON is looked up where it was said. */
function usageFailure(message: string): ExitStatus {
  const json = process.argv.includes("--json") || process.env["LUMEO_OUTPUT"] === "json";
  const output = new Output(
    { stdout: process.stdout, stderr: process.stderr },
    { json, quiet: false, debug: false, color: false },
  );
  output.error(new UsageError(message));
  return EXIT.usage;
}
