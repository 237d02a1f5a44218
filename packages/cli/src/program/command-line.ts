// What all commands are declared with.

import type { Command } from "commander";
import type { Context } from "../context.js";
import type { ExitStatus } from "../exit-status.js";
import type { RawSettings } from "../settings.js";

/** Runs a command with what it needs; the exit code is the answer. */
export type RunCommand = (
  raw: RawSettings,
  command: (context: Context) => Promise<ExitStatus>,
) => Promise<void>;

/** Refuses fewer than two paths: sources, then a target. */
export function requireTwo(command: Command, paths: readonly string[], usage: string): void {
  if (paths.length < 2) command.error(`error: missing target: ${command.name()} takes ${usage}`);
}

/** The part of a help text that shows how a command is used. */
export function examples(...lines: readonly (readonly [string, string])[]): string {
  const width = Math.max(...lines.map(([text]) => text.length));
  const shown = lines.map(([text, meaning]) => `  ${text.padEnd(width)}  # ${meaning}`);
  return `\nExamples:\n${shown.join("\n")}`;
}

/** For a flag that may be given several times. */
export function collect(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text];
}
