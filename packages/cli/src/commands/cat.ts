import { parseRange } from "../args.js";
import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { parseRemotePath } from "../remote-path.js";

export interface CatOptions {
  readonly range?: string;
  readonly version?: string;
}

/** Writes the content of files to the standard output, one behind the other. */
export async function cat(
  context: Context,
  paths: readonly string[],
  options: CatOptions,
): Promise<ExitStatus> {
  const { output, signal } = context;
  const range = options.range === undefined ? {} : { range: parseRange(options.range) };
  const version = options.version === undefined ? {} : { version: options.version };
  const client = await context.client();
  for (const { path } of paths.map(parseRemotePath)) {
    await using content = await client.get(path, { signal, ...range, ...version });
    for await (const piece of content) await output.write(piece);
  }
  return EXIT.ok;
}
