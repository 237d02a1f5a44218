// What a list of chunks adds up to. Every chunk but the last has one length, so that a reader finds
// the chunk of an offset by dividing; size and checksum of the whole follow from the chunks.

import { CHUNK_BYTES_DEFAULT, crc32cCombine } from "@lumeofs/base";
import { COMMAND_CHUNKS_MAX, type Refused, refuse, type SealedChunk } from "./command.js";

export interface Content {
  readonly kind: "content";
  readonly count: number;
  readonly sizeBytes: number;
  readonly crc32c: number;
  /** Of the first chunk; 0 while there is none. */
  readonly chunkBytes: number;
  /** A shorter chunk has come: it is the last. */
  readonly isClosed: boolean;
}

export const NO_CONTENT: Content = {
  kind: "content",
  count: 0,
  sizeBytes: 0,
  crc32c: 0,
  chunkBytes: 0,
  isClosed: false,
};

/** The content with more chunks behind it, or INVALID_ARGUMENT if their lengths do not fit. */
export function extendContent(content: Content, chunks: readonly SealedChunk[]): Content | Refused {
  if (COMMAND_CHUNKS_MAX < chunks.length) {
    return refuseChunks(`${chunks.length} come at once, at most ${COMMAND_CHUNKS_MAX} do`);
  }
  let next = content;
  for (const { handle, lengthBytes, crc32c } of chunks) {
    const most = next.count === 0 ? CHUNK_BYTES_DEFAULT : next.chunkBytes;
    if (lengthBytes < 1 || most < lengthBytes) {
      return refuseChunks(`chunk ${handle} has ${lengthBytes} bytes, expected 1 to ${most}`);
    }
    if (next.isClosed) return refuseChunks(`chunk ${handle} follows one that is shorter`);
    const chunkBytes = next.count === 0 ? lengthBytes : next.chunkBytes;
    next = {
      kind: "content",
      count: next.count + 1,
      sizeBytes: next.sizeBytes + lengthBytes,
      crc32c: next.count === 0 ? crc32c : crc32cCombine(next.crc32c, crc32c, lengthBytes),
      chunkBytes,
      isClosed: lengthBytes < chunkBytes,
    };
  }
  return next;
}

/** What is wrong with the file's own account of its content, if anything. */
export function mismatch(
  content: Content,
  claimed: { readonly chunkSizeBytes: number; readonly crc32c: number },
): Refused | undefined {
  if (content.crc32c !== claimed.crc32c) {
    const [is, said] = [content.crc32c, claimed.crc32c].map((crc) => crc.toString(16));
    return refuseChunks(`their checksum is ${is}, but the file's is said to be ${said}`);
  }
  const { count, chunkBytes } = content;
  const fits =
    1 < count ? chunkBytes === claimed.chunkSizeBytes : chunkBytes <= claimed.chunkSizeBytes;
  if (fits) return undefined;
  return refuseChunks(`they have ${chunkBytes} bytes, expected ${claimed.chunkSizeBytes}`);
}

function refuseChunks(why: string): Refused {
  return refuse("INVALID_ARGUMENT", `Cannot use these chunks: ${why}`);
}
