// Bytes of small files, kept by the masters themselves: docs/design/0031. Such a file has one
// chunk, like any other small file; only that its bytes are here, under the chunk's handle, instead
// of on chunkservers. They have a table of their own so that looks at all chunks stay cheap.
//
// B1. There are bytes under a handle exactly while its chunk has a record that says it is inline;
//     length and checksum are those of the record.
// B2. The counters `inlineChunks` and `inlineBytes` are the number of these records and the sum of
//     their lengths.
// B3. Bytes are never changed: whoever writes the file again gets another handle.

import { type ByteWriter, type ChunkHandle, KiB } from "@lumeofs/base";
import { addToCount, getCount } from "./counters.js";
import { inlineKey } from "./keys.js";
import type { State, StateView } from "./state.js";

/** A file that the masters keep has at most so many bytes, whatever the settings say. */
export const INLINE_BYTES_MAX = 16 * KiB;

/** First byte of a record; the bytes of the file follow. */
export const INLINE_VERSION = 1;

/**
 * Writes the record of some bytes, behind its length: as it travels in the command and the log, so
 * that no master has to copy it when it is applied.
 */
export function writeInlineRecord(writer: ByteWriter, bytes: Uint8Array): void {
  writer
    .u32(1 + bytes.byteLength)
    .u8(INLINE_VERSION)
    .bytes(bytes);
}

/** The bytes in a record; a view. Undefined if its version is unknown: then it is damaged. */
export function bytesOfRecord(record: Uint8Array): Uint8Array | undefined {
  return record[0] === INLINE_VERSION ? record.subarray(1) : undefined;
}

/** Keeps a record under a handle that has none. It is kept as it is: nobody may change it. */
export function putInlineBytes(state: State, handle: ChunkHandle, record: Uint8Array): void {
  state.put(inlineKey(handle), record);
  addToCount(state, "inlineChunks", 1);
  addToCount(state, "inlineBytes", record.byteLength - 1);
}

/** Frees what `putInlineBytes` kept. @param lengthBytes  As the chunk's record says. */
export function dropInlineBytes(state: State, handle: ChunkHandle, lengthBytes: number): void {
  state.delete(inlineKey(handle));
  addToCount(state, "inlineChunks", -1);
  addToCount(state, "inlineBytes", -lengthBytes);
}

/** The bytes under a handle; undefined if there are none that can be read. */
export function getInlineBytes(view: StateView, handle: ChunkHandle): Uint8Array | undefined {
  const record = view.get(inlineKey(handle));
  return record === undefined ? undefined : bytesOfRecord(record);
}

/** How many files, versions and so on the masters keep the bytes of, and how many bytes. */
export function inlineTotals(view: StateView): { readonly chunks: number; readonly bytes: number } {
  return { chunks: getCount(view, "inlineChunks"), bytes: getCount(view, "inlineBytes") };
}
