// What callers say about content, in the words of the parts that move it.

import {
  attributesOf,
  chunkBytesOf,
  type GetOptions,
  type PutOptions,
  preconditionOf,
  replicasOf,
} from "./options.js";
import type { ReadWish } from "./reader.js";
import { codePolicyOf } from "./redundancy.js";
import type { WriteOptions } from "./writer.js";

/** How a put is to write. @throws LumeoError INVALID_ARGUMENT for options that make no sense. */
export function writeOptionsOf(options: PutOptions): WriteOptions {
  return {
    chunkBytes: chunkBytesOf(options),
    replicas: replicasOf(options),
    code: options.code === undefined ? undefined : codePolicyOf(options.code),
    fallback: options.codeFallback,
    isInlineable: options.inline ?? true,
    precondition: preconditionOf(options),
    makeParents: options.makeParents ?? true,
    attributes: attributesOf(options),
    fence: options.fence,
    sizeBytes: options.size,
    onProgress: progressTo(options.onProgress),
  };
}

/** Reports of a put to whoever wants them. */
function progressTo(
  onProgress: PutOptions["onProgress"],
): ((loaded: number, total: number | undefined) => void) | undefined {
  if (onProgress === undefined) return undefined;
  return (loaded, total) => onProgress(total === undefined ? { loaded } : { loaded, total });
}

/** What a get is to read. @param version  0 for the current one. */
export function readWishOf(options: GetOptions, version: number): ReadWish {
  return { range: options.range ?? {}, version, onlyReplica: options.onlyReplica };
}
