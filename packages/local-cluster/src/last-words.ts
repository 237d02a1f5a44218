// Why a member ended, from the last lines of its log, as one line for people.

import type { MemberExit } from "./member-process.js";

interface LogLine {
  readonly level?: string;
  readonly message?: string;
  readonly error?: string;
}

/** `exit status 1: start failed: Cannot open …`, or the signal, or the last line as it stands. */
export function lastWords(
  exit: Pick<MemberExit, "code" | "signal">,
  log: readonly string[],
): string {
  if (exit.signal !== null) return exit.signal;
  const said = lastError(log);
  return `exit status ${exit.code}${said === "" ? "" : `: ${said}`}`;
}

/** The last error of a log, or its last line. */
export function lastError(log: readonly string[]): string {
  return saidError(log) ?? log.at(-1) ?? "";
}

function saidError(log: readonly string[]): string | undefined {
  for (const text of log.toReversed()) {
    const line = parse(text);
    if (line?.level !== "error") continue;
    return [line.message, line.error].filter((part) => part !== undefined).join(": ");
  }
  return undefined;
}

function parse(text: string): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
