import type { FileInfo } from "@lumeofs/client";
import { parseCount } from "../args.js";
import type { Context } from "../context.js";
import { entryJson, entryName, longLine } from "../entry-view.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
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
  for (const [i, { path }] of parsed.entries()) {
    if (1 < parsed.length && !output.json) {
      await output.write(`${i === 0 ? "" : "\n"}${printable(path)}:\n`);
    }
    let left = limit;
    if (left === 0) continue;
    for await (const { entry, name } of entriesOf(context, path, options)) {
      const text =
        options.long === true
          ? longLine(entry, name, options.human ?? false)
          : entryName(entry, name);
      await output.line(text, entryJson(entry));
      if (--left === 0) break;
    }
  }
  return EXIT.ok;
}

async function* entriesOf(
  context: Context,
  path: string,
  options: LsOptions,
): AsyncGenerator<{ readonly entry: FileInfo; readonly name: string }> {
  const client = await context.client();
  const call = { ...context.call, ...wishOf(options) };
  const self = await client.stat(path, call);
  if (self.kind === "file") {
    yield { entry: self, name: path };
    return;
  }
  const listing = client.list(path, { ...call, recursive: options.recursive ?? false });
  const after = options.after === undefined ? {} : { after: childPath(path, options.after) };
  for await (const { items } of listing.pages(after)) {
    for (const entry of items) yield { entry, name: nameBelow(path, entry.path) };
  }
}
