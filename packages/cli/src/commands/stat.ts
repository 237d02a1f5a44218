import type { Context } from "../context.js";
import { forEach } from "../each.js";
import { describeChunk, describeEntry, entryJson } from "../entry-view.js";
import type { ExitStatus } from "../exit-status.js";
import { type ReadOptions, wishOf } from "../read-options.js";
import { parseRemotePath } from "../remote-path.js";

export interface StatOptions extends ReadOptions {
  readonly chunks?: boolean;
  readonly version?: string;
}

/** Shows what the cluster knows about files and directories; `--chunks`: where the bytes are. */
export async function stat(
  context: Context,
  paths: readonly string[],
  options: StatOptions,
): Promise<ExitStatus> {
  const { output, call } = context;
  const client = await context.client();
  let isFirst = true;
  return forEach(context, paths.map(parseRemotePath), async ({ path }) => {
    const version = options.version === undefined ? {} : { version: options.version };
    const ask = { ...call, ...version, ...wishOf(options), chunks: options.chunks ?? false };
    const entry = await client.stat(path, ask);
    const { chunks } = entry;
    const lines = [...describeEntry(entry), ...(chunks ?? []).map(describeChunk)];
    await output.line(`${isFirst ? "" : "\n"}${lines.join("\n")}`, {
      ...entryJson(entry),
      ...(chunks === undefined ? {} : { chunks }),
    });
    isFirst = false;
  });
}
