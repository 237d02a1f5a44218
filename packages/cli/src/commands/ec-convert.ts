// Converting files between copies and coded units: a job in the background.

import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { parseRemotePath } from "../remote-path.js";
import { progressOf, viewOf } from "./job.js";
import { untilEnded, type WaitOptions } from "./node.js";

export interface EcConvertOptions extends WaitOptions {
  /** A code such as "4+2", or "replicated". */
  readonly to: string;
  readonly recursive?: boolean;
}

/** Begins to convert a file, or all files below a directory. */
export async function ecConvert(
  context: Context,
  text: string,
  { to, recursive = false, wait = false }: EcConvertOptions,
): Promise<ExitStatus> {
  const { path } = parseRemotePath(text);
  const client = await context.client();
  const options = { ...context.call, to, recursive };
  const job = await client.healing.convert(path, options);
  if (wait) return untilEnded(context, job.id);
  context.output.result(`job ${progressOf(job)}`, viewOf(job));
  return EXIT.ok;
}
