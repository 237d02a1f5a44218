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

/** Files with so few chunks may have some that the masters keep. */
const SHORT_CHUNKS_MAX = 16;

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
    const ask = { ...call, ...version, ...wishOf(options) };
    const found = await client.stat(path, { ...ask, chunks: options.chunks ?? false });
    // What chunks are may not be what their file is meant to be: units, or inline; look at them.
    const isMeant = found.layout !== undefined && found.layout !== "replicated";
    const isShort = 0 < (found.chunkCount ?? 0) && (found.chunkCount ?? 0) <= SHORT_CHUNKS_MAX;
    const isOpen = (isMeant || isShort) && found.chunks === undefined;
    const entry = isOpen ? await client.stat(path, { ...ask, chunks: true }) : found;
    const chunks = options.chunks === true ? entry.chunks : undefined;
    const lines = [...describeEntry(entry), ...(chunks ?? []).map(describeChunk)];
    await output.line(`${isFirst ? "" : "\n"}${lines.join("\n")}`, {
      ...entryJson(entry),
      ...(chunks === undefined ? {} : { chunks }),
    });
    isFirst = false;
  });
}
