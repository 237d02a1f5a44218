import { LumeoError } from "@lumeofs/client";
import type { Context } from "../context.js";
import { forEach } from "../each.js";
import { entryJson } from "../entry-view.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { parseRemotePath } from "../remote-path.js";

/** Shows the earlier contents of a file, newest first; also of one that was removed. */
export async function versionList(context: Context, text: string): Promise<ExitStatus> {
  const { path } = parseRemotePath(text);
  const client = await context.client();
  let count = 0;
  for await (const entry of client.versions.list(path, context.call)) {
    const { version, size, modifiedAt } = entry;
    const time = modifiedAt.toISOString().replace("T", " ").slice(0, 19);
    const line = `${version.padStart(10)}  ${String(size).padStart(12)}  ${time}`;
    await context.output.line(line, entryJson(entry));
    count++;
  }
  // Nothing is kept: of a file that is there that is an answer, of anything else it is not.
  if (count === 0) await refuseDirectory(context, path);
  return EXIT.ok;
}

async function refuseDirectory(context: Context, path: string): Promise<void> {
  const { kind } = await (await context.client()).stat(path, context.call);
  if (kind === "file") return;
  const why = "it is a directory, and versions are kept of files; see lumeo snapshot ls";
  throw new LumeoError("LUMEO_IS_DIRECTORY", `Cannot show versions of "${path}": ${why}`);
}

/** Makes an earlier content the current one again; what is there now becomes a version. */
export async function versionRestore(
  context: Context,
  text: string,
  version: string,
): Promise<ExitStatus> {
  const { path } = parseRemotePath(text);
  const { output, call } = context;
  const client = await context.client();
  const restored = await client.copy(path, path, { ...call, version, overwrite: true });
  const { etag, size } = restored;
  if (output.json) output.result("", { path, version: restored.version, etag, size });
  return EXIT.ok;
}

/** Frees earlier contents. */
export async function versionRemove(
  context: Context,
  text: string,
  versions: readonly string[],
): Promise<ExitStatus> {
  const { path } = parseRemotePath(text);
  const { output, call } = context;
  const client = await context.client();
  return forEach(context, versions, async (version) => {
    await client.versions.remove(path, version, call);
    if (output.json) output.result("", { path, version, removed: true });
  });
}
