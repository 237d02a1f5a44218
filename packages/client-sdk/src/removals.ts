// Removing many paths, several at a time.

import { LumeoError } from "./error.js";

/** What `removeMany` says about each path. */
export interface Removed {
  readonly path: string;
  /** Absent if it was removed. */
  readonly error?: LumeoError;
}

/** Removals of one removeMany under way at once. */
const REMOVALS_IN_FLIGHT = 64;

/** Answers in the order of the paths, one for each. */
export async function* removeMany(
  paths: Iterable<string> | AsyncIterable<string>,
  remove: (path: string) => Promise<void>,
): AsyncGenerator<Removed, void, undefined> {
  const removals: Promise<Removed>[] = [];
  for await (const path of paths) {
    if (REMOVALS_IN_FLIGHT <= removals.length) yield await (removals.shift() as Promise<Removed>);
    removals.push(
      remove(path).then(
        () => ({ path }),
        (error: unknown) => {
          if (!LumeoError.is(error)) throw error;
          return { path, error };
        },
      ),
    );
  }
  for (const removal of removals) yield await removal;
}
