// Small files whose bytes come with their commit: how they become a chunk, and whether that chunk
// is whole. The table of the bytes is in inline-table.ts.

import {
  type ChunkHandle,
  crc32c,
  grantId,
  handleIn,
  type InodeId,
  invariant,
} from "@lumeofs/base";
import { type ChunkRecord, putInlineChunk } from "./chunk-table.js";
import { type Command, quoted, type Refused, refuse, type SealedChunk } from "./command.js";
import { takeNumber } from "./counters.js";
import { FRESH_EPOCH } from "./grants.js";
import { getInlineBytes, INLINE_BYTES_MAX, inlineTotals, putInlineBytes } from "./inline-table.js";
import type { State, StateView } from "./state.js";

type Commit = Extract<Command, { kind: "commit" }>;
type Kept = { readonly kind: "kept"; readonly chunk: SealedChunk };

/**
 * Makes the chunk of a commit that brings its bytes. Its handle is the first of a grant's number
 * that nobody else ever gets.
 *
 * @returns INLINE_REFUSED if the leader has decided so, or all that is kept would be too much:
 *          the file can be written as a chunk. INVALID_ARGUMENT if the command says two things.
 */
export function keepInline(state: State, inode: InodeId, commit: Commit): Kept | Refused {
  const { inline, path, crc32c: checksum } = commit;
  const what = `Cannot keep the bytes of ${quoted(path)} with the metadata`;
  if (inline === undefined) return refuse("INVALID_ARGUMENT", `${what}: none came`);
  if (inline.kind === "refused") return refuse("INLINE_REFUSED", `${what}: ${inline.why}`);
  if (0 < commit.chunks.length || commit.upload !== undefined || commit.code !== undefined) {
    return refuse("INVALID_ARGUMENT", `${what}: it has chunks, an upload or a code, too`);
  }
  invariant(inline.kind === "kept", "a commit was not read from the log");
  const lengthBytes = inline.record.byteLength - 1;
  if (lengthBytes < 1 || INLINE_BYTES_MAX < lengthBytes) {
    const why = `it has ${lengthBytes} bytes, expected 1 to ${INLINE_BYTES_MAX}`;
    return refuse("INVALID_ARGUMENT", `${what}: ${why}`);
  }
  if (inline.totalBytesMax < inlineTotals(state).bytes + lengthBytes) {
    const why = `at most ${inline.totalBytesMax} bytes of small files are kept so (inline-total)`;
    return refuse("INLINE_REFUSED", `${what}: ${why}`);
  }
  const handle = handleIn(grantId(takeNumber(state, "grant")), 0);
  putInlineChunk(state, handle, { lengthBytes, crc32c: checksum, inode });
  putInlineBytes(state, handle, inline.record);
  const chunk = { handle, epoch: FRESH_EPOCH, lengthBytes, crc32c: checksum, coding: undefined };
  return { kind: "kept", chunk };
}

/** What is wrong with the bytes of an inline chunk, for people; undefined if they are whole. */
export function faultOfInline(
  view: StateView,
  handle: ChunkHandle,
  chunk: Pick<ChunkRecord, "lengthBytes" | "crc32c">,
): string | undefined {
  return faultOfBytes(getInlineBytes(view, handle), chunk);
}

/** The same of bytes that were read; undefined if there are none that can be. */
export function faultOfBytes(
  bytes: Uint8Array | undefined,
  { lengthBytes, crc32c: checksum }: Pick<ChunkRecord, "lengthBytes" | "crc32c">,
): string | undefined {
  if (bytes === undefined) return "the masters keep it, and its bytes are missing";
  if (bytes.byteLength !== lengthBytes) {
    return `the masters keep ${bytes.byteLength} bytes of it, expected ${lengthBytes}`;
  }
  const found = crc32c(bytes);
  if (found === checksum) return undefined;
  const [is, said] = [found, checksum].map((crc) => crc.toString(16));
  return `the checksum of the bytes that the masters keep of it is ${is}, expected ${said}`;
}
