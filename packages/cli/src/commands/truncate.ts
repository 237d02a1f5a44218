import { parseSize } from "../args.js";
import type { Context } from "../context.js";
import { forEach } from "../each.js";
import type { ExitStatus } from "../exit-status.js";
import { formatBytes, printable } from "../format.js";
import { parseRemotePath } from "../remote-path.js";

export interface TruncateOptions {
  readonly size: string;
}

/** Cuts files to a length, or makes them longer with zeros; each in one step. */
export async function truncate(
  context: Context,
  paths: readonly string[],
  options: TruncateOptions,
): Promise<ExitStatus> {
  const { output, call } = context;
  const size = parseSize(options.size);
  const client = await context.client();
  return forEach(context, paths.map(parseRemotePath), async ({ path }) => {
    const file = await client.open(path, "r+", call);
    await file.truncate(size, call);
    await file.close(call);
    output.result(`"${printable(path)}" has ${formatBytes(size)} now`, { path, size });
  });
}
