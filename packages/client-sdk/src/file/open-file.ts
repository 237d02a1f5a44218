// Ways to open a file, as Node's flags name them.

import { CHUNK_BYTES_DEFAULT, LumeoError } from "@lumeofs/base";
import type { Call } from "../call.js";
import { NO_PRECONDITION, type Precondition } from "../operations.js";
import type { Writer } from "../writer.js";
import { LumeoFile, type LumeoFileParts } from "./lumeo-file.js";

/**
 * "r": read. "r+": read and write a file that is there. "w+": the same of one that is made, or
 * emptied. "a+": the same of one that is made if it is not there.
 */
export type OpenFlags = "r" | "r+" | "w+" | "a+";

const FLAGS: readonly string[] = ["r", "r+", "w+", "a+"] satisfies OpenFlags[];
const NO_ATTRIBUTES = { contentType: "", metadata: {}, tags: {}, ttlMs: undefined };

export async function openFile(
  parts: LumeoFileParts & { readonly writer: Writer },
  call: Call,
  path: string,
  flags: OpenFlags,
): Promise<LumeoFile> {
  if (!FLAGS.includes(flags)) {
    const known = FLAGS.join(", ");
    throw new LumeoError("INVALID_ARGUMENT", `Cannot open with "${flags}": expected ${known}`);
  }
  if (flags === "w+") await makeEmpty(parts.writer, call, path, NO_PRECONDITION);
  if (flags === "a+") {
    await makeEmpty(parts.writer, call, path, { kind: "absent" }).catch((error: unknown) => {
      if (!(error instanceof LumeoError) || error.code !== "PRECONDITION") throw error;
    });
  }
  return LumeoFile.open(call, path, flags !== "r", parts);
}

async function makeEmpty(
  writer: Writer,
  call: Call,
  path: string,
  precondition: Precondition,
): Promise<void> {
  await writer.put(call, path, new Uint8Array(), {
    chunkBytes: CHUNK_BYTES_DEFAULT,
    replicas: undefined,
    code: undefined,
    fallback: undefined,
    isInlineable: false,
    precondition,
    makeParents: true,
    attributes: NO_ATTRIBUTES,
    fence: undefined,
    sizeBytes: undefined,
    onProgress: undefined,
  });
}
