// One clear line for anything that goes wrong.

import { codeOf, exitStatusOf } from "./exit-status.js";

/** What an error says to people: one line, no code of the operating system, no stack. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message } = error;
  // "ENOENT: no such file or directory, open '/a'" becomes "no such file or directory".
  const system = /^E[A-Z0-9]+: (.+?)(?:, \w+(?: '.*')?)?$/s.exec(message);
  const text = system?.[1] ?? message;
  // The flag belongs to the command, not to the client library.
  return codeOf(error) === "LUMEO_TIMEOUT" ? `${text}; --timeout waits longer` : text;
}

/** The object that `--json` prints for an error, on the error output. */
export function errorJson(error: unknown): object {
  const facts =
    typeof error === "object" && error !== null && "toJSON" in error
      ? (error as { toJSON(): object }).toJSON()
      : {};
  const code = codeOf(error) ?? "LUMEO_INTERNAL";
  return {
    error: { ...facts, code, message: errorText(error), exitStatus: exitStatusOf(code) },
  };
}
