import { parseCount, UsageError } from "../args.js";
import type { Context } from "../context.js";
import { forEach } from "../each.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { formatBytes, plural, printable } from "../format.js";
import { parseRemotePath } from "../remote-path.js";

/** Shows what was removed and is still kept, in the order of removal. */
export async function trashList(context: Context): Promise<ExitStatus> {
  const { output, call } = context;
  const client = await context.client();
  for await (const item of client.trash.list(call)) {
    const { id, path, kind, removedAt, expiresAt, usage } = item;
    const until = expiresAt.toISOString().replace("T", " ").slice(0, 19);
    const size = formatBytes(usage.bytes).padStart(10);
    const name = kind === "dir" ? `${printable(path)}/` : printable(path);
    await output.line(`${String(id).padStart(10)}  ${size}  until ${until}  ${name}`, {
      ...{ id, path, kind, usage },
      removedAt: removedAt.toISOString(),
      expiresAt: expiresAt.toISOString(),
    });
  }
  return EXIT.ok;
}

/** Puts things back where they were, or one thing at `--to`. */
export async function trashRestore(
  context: Context,
  ids: readonly string[],
  options: { readonly to?: string },
): Promise<ExitStatus> {
  if (options.to !== undefined && 1 < ids.length) throw new UsageError("--to takes one id");
  const { output, call } = context;
  const target = options.to === undefined ? {} : { target: parseRemotePath(options.to).path };
  const client = await context.client();
  return forEach(context, ids.map(parseId), async (id) => {
    await client.trash.restore(id, { ...call, ...target });
    if (output.json) output.result("", { id, restored: true, ...target });
  });
}

/** Frees these, or everything that is in the trash. */
export async function trashEmpty(
  context: Context,
  ids: readonly string[],
  options: { readonly yes?: boolean },
): Promise<ExitStatus> {
  if (ids.length === 0 && options.yes !== true) {
    throw new UsageError("This frees all of the trash for good: add --yes, or name ids");
  }
  const { output, call } = context;
  const client = await context.client();
  const some = ids.length === 0 ? {} : { ids: ids.map(parseId) };
  const freed = await client.trash.empty({ ...call, ...some });
  output.result(`Freed ${plural(freed, "item")}`, { freed });
  return EXIT.ok;
}

function parseId(text: string): number {
  return parseCount(text, 1, Number.MAX_SAFE_INTEGER);
}
