// Checksums of a payload, block by block: computed once by the client that writes, checked at every
// hop and after every read. A payload is a list of pieces that are cut anywhere; blocks start at
// the start of the payload, which is always at a multiple of the block size in its chunk.

import { BLOCK_BYTES, type Crc32c, crc32cCombine } from "@lumeofs/base";
import type { BlockCrcs } from "./message.js";

/** The CRC32C of each 64 KiB block of the pieces laid end to end. */
export function blockCrcs(pieces: readonly Uint8Array[], crc32c: Crc32c): BlockCrcs {
  const total = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
  const crcs = new Uint8Array(4 * Math.ceil(total / BLOCK_BYTES));
  const view = new DataView(crcs.buffer);
  let block = 0;
  let crc = 0;
  let filled = 0;
  for (const piece of pieces) {
    for (let at = 0; at < piece.byteLength; ) {
      const part = piece.subarray(at, at + BLOCK_BYTES - filled);
      crc = crc32c(part, crc);
      filled += part.byteLength;
      at += part.byteLength;
      if (filled === BLOCK_BYTES) {
        view.setUint32(4 * block++, crc, true);
        crc = 0;
        filled = 0;
      }
    }
  }
  if (0 < filled) view.setUint32(4 * block, crc, true);
  return crcs;
}

/** The index of the first block whose checksum is not the expected one, or undefined. */
export function firstBadBlock(
  pieces: readonly Uint8Array[],
  expected: BlockCrcs,
  crc32c: Crc32c,
): number | undefined {
  const actual = blockCrcs(pieces, crc32c);
  const count = Math.max(actual.byteLength, expected.byteLength);
  for (let i = 0; i < count; i++) {
    if (actual[i] !== expected[i]) return Math.floor(i / 4);
  }
  return undefined;
}

/**
 * The CRC32C of a row of blocks, from the checksums of the blocks.
 *
 * @param initial  CRC of what stands before them.
 * @param length   Bytes that the blocks hold together.
 */
export function crcOfBlocks(crcs: BlockCrcs, length: number, initial = 0): number {
  const view = new DataView(crcs.buffer, crcs.byteOffset, crcs.byteLength);
  let crc = initial;
  for (let at = 0, i = 0; at < length; at += BLOCK_BYTES, i += 4) {
    crc = crc32cCombine(crc, view.getUint32(i, true), Math.min(BLOCK_BYTES, length - at));
  }
  return crc;
}
