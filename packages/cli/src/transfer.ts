// Many files at the same time, a bounded number of them, with every failure told and counted.

import { codeOf, type ExitStatus, exitStatusOf, stopsTheRest, type Tally } from "./exit-status.js";

/** One thing to do. */
export interface Job {
  /** What is said in front of an error: `Cannot store "a"`. */
  readonly action: string;
  run(): Promise<void>;
}

export interface TransferOptions {
  readonly concurrency: number;
  readonly signal: AbortSignal;
  readonly onFailure: (error: unknown, action: string) => void;
}

/**
 * Runs jobs as they are found.
 *
 * A failure that would hit every other file too (no cluster, no space) ends the search for more;
 * what had begun is finished. Errors of `jobs` itself are thrown after what had begun has ended.
 */
export async function transfer(jobs: AsyncIterable<Job>, options: TransferOptions): Promise<Tally> {
  let done = 0;
  let failed = 0;
  let firstFailure: ExitStatus | undefined;
  let stoppedBy: ExitStatus | undefined;
  const source = jobs[Symbol.asyncIterator]();

  const work = async (): Promise<void> => {
    while (stoppedBy === undefined && !options.signal.aborted) {
      const next = await source.next();
      if (next.done === true) return;
      try {
        await next.value.run();
        done++;
      } catch (error) {
        if (options.signal.aborted) return;
        failed++;
        const status = exitStatusOf(codeOf(error));
        firstFailure ??= status;
        if (stopsTheRest(status)) stoppedBy ??= status;
        options.onFailure(error, next.value.action);
      }
    }
  };

  const workers = Array.from({ length: options.concurrency }, work);
  const ends = await Promise.allSettled(workers);
  const isRestLeft = stoppedBy !== undefined && (await source.next()).done !== true;
  await source.return?.();
  for (const end of ends) if (end.status === "rejected") throw end.reason;
  if (options.signal.aborted) throw options.signal.reason;
  return { done, failed, firstFailure, stoppedBy: isRestLeft ? stoppedBy : undefined };
}
