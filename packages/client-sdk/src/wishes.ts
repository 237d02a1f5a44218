// What callers say about content, in the words of the parts that move it.

import type { GetOptions, PutOptions } from "./options.js";
import type { ReadWish } from "./reader.js";

/** Reports of a put to whoever wants them. */
export function progressTo(
  onProgress: PutOptions["onProgress"],
): ((loaded: number, total: number | undefined) => void) | undefined {
  if (onProgress === undefined) return undefined;
  return (loaded, total) => onProgress(total === undefined ? { loaded } : { loaded, total });
}

/** What a get is to read. @param version  0 for the current one. */
export function readWishOf(options: GetOptions, version: number): ReadWish {
  return { range: options.range ?? {}, version, onlyReplica: options.onlyReplica };
}
