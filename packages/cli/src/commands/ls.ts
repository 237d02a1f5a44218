import { parseCount } from "../args.js";
import type { RemoteEntry } from "../client.js";
import type { Context } from "../context.js";
import { entryJson, entryName, longLine } from "../entry-view.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { baseName, parseRemotePath } from "../remote-path.js";
import { walkRemote } from "../remote-tree.js";

export interface LsOptions {
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
      await output.write(`${i === 0 ? "" : "\n"}${path}:\n`);
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
): AsyncGenerator<{ readonly entry: RemoteEntry; readonly name: string }> {
  const { signal } = context;
  const client = await context.client();
  const self = await client.stat(path, signal);
  if (self.kind === "file") {
    yield { entry: self, name: path };
  } else if (options.recursive === true) {
    for await (const { entry, names } of walkRemote(client, path, signal)) {
      const name = names.join("/");
      if (options.after === undefined || options.after < name) yield { entry, name };
    }
  } else {
    const { after } = options;
    const entries = client.list(path, { signal, ...(after === undefined ? {} : { after }) });
    for await (const entry of entries) yield { entry, name: baseName(entry.path) };
  }
}
