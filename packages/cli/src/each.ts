// Several things named on the command line, one after the other: what fails is named, and the rest
// goes on.

import type { Context } from "./context.js";
import {
  codeOf,
  type ExitStatus,
  exitStatusOf,
  exitStatusOfMany,
  stopsTheRest,
} from "./exit-status.js";
import { ReaderGone } from "./output.js";

/** Acts on each, in their order; the exit code of all. */
export async function forEach<T>(
  { output, signal }: Context,
  things: readonly T[],
  act: (thing: T) => Promise<void>,
): Promise<ExitStatus> {
  let done = 0;
  let failed = 0;
  let firstFailure: ExitStatus | undefined;
  for (const [i, thing] of things.entries()) {
    try {
      await act(thing);
      done++;
    } catch (error) {
      // Nobody is left to tell of the rest.
      if (error instanceof ReaderGone || signal.aborted) throw error;
      output.error(error);
      failed++;
      const status = exitStatusOf(codeOf(error));
      firstFailure ??= status;
      const isRestLeft = i < things.length - 1;
      if (isRestLeft && stopsTheRest(status)) return status;
    }
  }
  return exitStatusOfMany({ done, failed, firstFailure, stoppedBy: undefined });
}
