// Several things named on the command line, one after the other: what fails is named, and the rest
// goes on.

import type { Context } from "./context.js";
import { type ExitStatus, exitStatusOfMany } from "./exit-status.js";
import { transfer } from "./transfer.js";

/** Acts on each, in their order; the exit code of all. */
export async function forEach<T>(
  context: Context,
  things: Iterable<T>,
  act: (thing: T) => Promise<void>,
): Promise<ExitStatus> {
  const { output, signal } = context;
  async function* jobs() {
    for (const thing of things) yield { action: "", run: () => act(thing) };
  }
  const tally = await transfer(jobs(), {
    concurrency: 1,
    signal,
    onFailure: (error) => output.error(error),
  });
  return exitStatusOfMany(tally);
}
