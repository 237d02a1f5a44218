import { UsageError } from "../args.js";
import type { Context } from "../context.js";
import { codeOf, EXIT, type ExitStatus, exitStatusOf, exitStatusOfMany } from "../exit-status.js";
import { parseRemotePath } from "../remote-path.js";
import { type Job, transfer } from "../transfer.js";

export interface RmOptions {
  readonly recursive?: boolean;
  readonly force?: boolean;
  readonly skipTrash?: boolean;
}

/** Removes files, and with `-r` directories with all that is in them. */
export async function rm(
  context: Context,
  paths: readonly string[],
  options: RmOptions,
): Promise<ExitStatus> {
  const parsed = paths.map(parseRemotePath);
  if (parsed.some(({ path }) => path === "/")) {
    throw new UsageError('Cannot remove "/": name what is in it');
  }
  const { output, signal, settings, call } = context;
  const client = await context.client();
  async function* jobs(): AsyncGenerator<Job> {
    for (const { path } of parsed) {
      yield {
        action: `Cannot remove "${path}"`,
        run: async () => {
          const removed = await remove(path);
          if (output.json) output.result("", { path, removed });
        },
      };
    }
  }
  async function remove(path: string): Promise<boolean> {
    try {
      const { recursive = false, skipTrash = false } = options;
      await client.remove(path, { ...call, recursive, skipTrash });
      return true;
    } catch (error) {
      const isMissing = exitStatusOf(codeOf(error)) === EXIT.notFound;
      if (isMissing && options.force === true) return false;
      throw error;
    }
  }
  const tally = await transfer(jobs(), {
    concurrency: settings.concurrency,
    signal,
    onFailure: (error, action) => output.error(error, action),
  });
  return exitStatusOfMany(tally);
}
