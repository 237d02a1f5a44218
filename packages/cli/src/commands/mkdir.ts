import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { parseRemotePath } from "../remote-path.js";

export interface MkdirOptions {
  readonly parents?: boolean;
}

/** Makes directories. */
export async function mkdir(
  context: Context,
  paths: readonly string[],
  options: MkdirOptions,
): Promise<ExitStatus> {
  const { output, call } = context;
  const client = await context.client();
  for (const { path } of paths.map(parseRemotePath)) {
    await client.mkdir(path, { ...call, recursive: options.parents ?? false });
    if (output.json) output.result("", { path, made: true });
  }
  return EXIT.ok;
}
