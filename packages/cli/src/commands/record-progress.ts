import type { OnProgress } from "@lumeofs/backup";
import type { Context } from "../context.js";
import { formatBytes, plural } from "../format.js";

/** How often a line says how far it is. */
const PERIOD_MS = 2_000;

/** How far work on many records is: a line now and then. Throws when the command is interrupted. */
export function recordProgress(
  verb: string,
  { settings, output, signal, clock }: Context,
): OnProgress {
  const isSilent = settings.progress === "none";
  let last = clock.monotonicMs();
  return ({ records, bytes }) => {
    signal.throwIfAborted();
    const now = clock.monotonicMs();
    if (isSilent || now < last + PERIOD_MS) return;
    last = now;
    const text = `${verb}: ${plural(records, "record")}, ${formatBytes(bytes)}`;
    const isJson = settings.progress === "json";
    output.progress(isJson ? JSON.stringify({ progress: { records, bytes } }) : text);
  };
}
