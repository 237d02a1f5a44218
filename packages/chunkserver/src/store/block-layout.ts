// Offsets ⇄ blocks of 64 KiB, and the checksums of a part of the blocks.

import { BLOCK_BYTES } from "@lumeofs/base";

/** Whole blocks of a chunk: `end` is a multiple of the block size or the end of the chunk. */
export interface BlockRange {
  readonly start: number;
  readonly end: number;
}

export function blockCount(length: number): number {
  return Math.ceil(length / BLOCK_BYTES);
}

/** The blocks that hold a range of bytes, as far as the chunk goes. */
export function coveringBlocks(offset: number, length: number, chunkLength: number): BlockRange {
  const asked = Math.min(offset + length, chunkLength);
  const start = Math.floor(Math.min(offset, chunkLength) / BLOCK_BYTES) * BLOCK_BYTES;
  if (asked <= offset || length === 0) return { start, end: start };
  return { start, end: Math.min(Math.ceil(asked / BLOCK_BYTES) * BLOCK_BYTES, chunkLength) };
}

/** The part of a chunk's checksums that stands for a range of whole blocks. */
export function crcsOfRange(crcs: Uint8Array, range: BlockRange): Uint8Array {
  return crcs.subarray(4 * (range.start / BLOCK_BYTES), 4 * blockCount(range.end));
}
