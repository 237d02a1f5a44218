import type { CallOptions, FileInfo } from "@lumeofs/client";
import { parseCount } from "../args.js";
import type { Context } from "../context.js";
import { forEach } from "../each.js";
import { entryJson, entryName, longLine } from "../entry-view.js";
import type { ExitStatus } from "../exit-status.js";
import { printable } from "../format.js";
import { type ReadOptions, wishOf } from "../read-options.js";
import { childPath, nameBelow, parseRemotePath } from "../remote-path.js";

export interface LsOptions extends ReadOptions {
  readonly long?: boolean;
  readonly human?: boolean;
  readonly recursive?: boolean;
  readonly limit?: string;
  readonly after?: string;
}

/** Lists directories, one entry a line, as the answers arrive. */
export async function ls(
  context: Context,
  paths: readonly string[],
  options: LsOptions,
): Promise<ExitStatus> {
  const parsed = (paths.length === 0 ? ["/"] : paths).map(parseRemotePath);
  const limit =
    options.limit === undefined ? Infinity : parseCount(options.limit, 0, Number.MAX_SAFE_INTEGER);
  const { output } = context;
  let isFirst = true;
  /** Above the entries of one of several paths, once it is known to be there. */
  const title = async (path: string): Promise<void> => {
    if (parsed.length < 2 || output.json) return;
    await output.write(`${isFirst ? "" : "\n"}${printable(path)}:\n`);
    isFirst = false;
  };
  return forEach(context, parsed, async ({ path }) => {
    const call = { ...context.call, ...wishOf(options) };
    const self = await (await context.client()).stat(path, call);
    await title(path);
    let left = limit;
    if (left === 0) return;
    const entries = entriesOf(context, { self, path }, { ...options, call });
    for await (const { entry, name } of entries) {
      const text =
        options.long === true
          ? longLine(entry, name, options.human ?? false)
          : entryName(entry, name);
      await output.line(text, entryJson(entry));
      if (--left === 0) break;
    }
  });
}

async function* entriesOf(
  context: Context,
  { self, path }: { readonly self: FileInfo; readonly path: string },
  options: LsOptions & { readonly call: CallOptions },
): AsyncGenerator<{ readonly entry: FileInfo; readonly name: string }> {
  if (self.kind === "file") {
    yield { entry: self, name: path };
    return;
  }
  const client = await context.client();
  const { call, recursive = false } = options;
  const listing = client.list(path, { ...call, recursive });
  const after = options.after === undefined ? {} : { after: childPath(path, options.after) };
  for await (const { items } of listing.pages(after)) {
    for (const entry of items) yield { entry, name: nameBelow(path, entry.path) };
  }
}
