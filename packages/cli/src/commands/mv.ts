import type { CallOptions } from "@lumeofs/client";
import { UsageError } from "../args.js";
import type { Client } from "../client.js";
import type { Context } from "../context.js";
import { choosePlacement, type Target } from "../destination.js";
import { codeOf, EXIT, type ExitStatus, exitStatusOf } from "../exit-status.js";
import { baseName, childPath, parseRemotePath } from "../remote-path.js";

export interface MvOptions {
  /** False with `--no-clobber`. */
  readonly clobber?: boolean;
  /** Replaces a file that is there, which is the default: scripts say it. */
  readonly force?: boolean;
}

/** Renames files and directories in the cluster, each in one step. */
export async function mv(
  context: Context,
  paths: readonly string[],
  options: MvOptions,
): Promise<ExitStatus> {
  const { output, call } = context;
  const { clobber = true, force = false } = options;
  if (force && !clobber) throw new UsageError("Choose one of --force and --no-clobber");
  const client = await context.client();
  for (const { source, to } of await placeRemote(client, paths, call)) {
    await client.rename(source, to, { ...call, overwrite: clobber });
    if (output.json) output.result("", { source, target: to });
  }
  return EXIT.ok;
}

/**
 * Where each of `paths` but the last one goes, which is the target, inside of the cluster. Makes a
 * target directory that is missing.
 */
export async function placeRemote(
  client: Client,
  paths: readonly string[],
  call: CallOptions,
): Promise<readonly { readonly source: string; readonly to: string }[]> {
  const sources = paths.slice(0, -1).map((text) => parseRemotePath(text).path);
  const target = parseRemotePath(paths.at(-1) ?? "");
  const found = await findRemote(client, target.path, call);
  const placement = choosePlacement(sources.length, {
    shown: target.path,
    found,
    isFolder: target.isFolder,
  });
  if (placement === "inside" && found === "nothing") {
    // A slip of the pen must not leave a directory behind.
    for (const source of sources) await client.stat(source, call);
    await client.mkdir(target.path, { ...call, recursive: true });
  }
  return sources.map((source) => {
    const inside = childPath(target.path, baseName(source));
    return { source, to: placement === "as" ? target.path : inside };
  });
}

/** What is at a path of the cluster. */
export async function findRemote(
  client: Client,
  path: string,
  call: CallOptions,
): Promise<Target["found"]> {
  try {
    return (await client.stat(path, call)).kind === "dir" ? "directory" : "file";
  } catch (error) {
    if (exitStatusOf(codeOf(error)) === EXIT.notFound) return "nothing";
    throw error;
  }
}
