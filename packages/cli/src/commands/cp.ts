// cp: copies inside of the cluster. The masters let both files share their content: no bytes move.

import { UsageError } from "../args.js";
import type { Client } from "../client.js";
import type { Context } from "../context.js";
import { type ExitStatus, exitStatusOfMany } from "../exit-status.js";
import { childPath, nameBelow } from "../remote-path.js";
import { type Job, transfer } from "../transfer.js";
import { placeRemote } from "./mv.js";

export interface CpOptions {
  readonly recursive?: boolean;
  /** False with `--no-clobber`. */
  readonly clobber?: boolean;
  readonly version?: string;
}

/** Copies `paths` but the last into the last. */
export async function cp(
  context: Context,
  paths: readonly string[],
  options: CpOptions,
): Promise<ExitStatus> {
  if (options.version !== undefined && (2 < paths.length || options.recursive === true)) {
    throw new UsageError("--version takes one file, without -r");
  }
  const { output, signal, settings, call } = context;
  const client = await context.client();
  const places = await placeRemote(client, paths, call);
  async function* jobs(): AsyncGenerator<Job> {
    for (const { source, to } of places) yield* copyJobs(context, client, { source, to }, options);
  }
  const tally = await transfer(jobs(), {
    concurrency: settings.concurrency,
    signal,
    onFailure: (error, action) => output.error(error, action),
  });
  return exitStatusOfMany(tally);
}

/** The copies that make `to` what `source` is, found while they are made. */
export async function* copyJobs(
  context: Context,
  client: Client,
  { source, to }: { readonly source: string; readonly to: string },
  options: CpOptions,
): AsyncGenerator<Job> {
  const { call } = context;
  const version = options.version === undefined ? {} : { version: options.version };
  const action = `Cannot copy "${source}" to "${to}"`;
  try {
    const entry = await client.stat(source, { ...call, ...version });
    if (entry.kind === "file") {
      yield copying(context, client, { source, to }, options);
      return;
    }
    if (options.recursive !== true) {
      throw new UsageError(`Cannot copy "${source}": it is a directory; add -r`);
    }
    if (to === source || to.startsWith(`${source === "/" ? "" : source}/`)) {
      throw new UsageError(`Cannot copy "${source}" into itself`);
    }
    await client.mkdir(to, { ...call, recursive: true });
    for await (const below of client.list(source, { ...call, recursive: true })) {
      const target = nameBelow(source, below.path).split("/").reduce(childPath, to);
      if (below.kind === "dir") await client.mkdir(target, { ...call, recursive: true });
      else yield copying(context, client, { source: below.path, to: target }, options);
    }
  } catch (error) {
    if (context.signal.aborted) throw error;
    yield { action, run: () => Promise.reject(error) };
  }
}

function copying(
  context: Context,
  client: Client,
  { source, to }: { readonly source: string; readonly to: string },
  { clobber, version }: CpOptions,
): Job {
  return {
    action: `Cannot copy "${source}" to "${to}"`,
    run: async () => {
      const { output, call } = context;
      const from = version === undefined ? {} : { version };
      const copied = await client.copy(source, to, {
        ...call,
        ...from,
        overwrite: clobber ?? true,
      });
      if (!output.json) return;
      const { etag, size } = copied;
      output.result("", { source, target: to, version: copied.version, etag, size });
    },
  };
}
