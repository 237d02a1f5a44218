// Bytes that look random and come out the same for the same seed, at memory speed: the key stream
// of AES in counter mode. With them nothing large has to be kept to compare with.

import { createCipheriv, createHash, type Hash } from "node:crypto";
import { MiB } from "@lumeofs/base";

const PIECE_BYTES = 1 * MiB;
const ZEROS = new Uint8Array(PIECE_BYTES);

export interface SeededBytes extends AsyncIterable<Uint8Array> {
  /** Of everything given out, hexadecimal; ask when all has been read. */
  sha256(): string;
}

/** Exactly `length` bytes in pieces, once. */
export function seededBytes(seed: number, length: number): SeededBytes {
  const hash = createHash("sha256");
  return {
    sha256: () => hash.copy().digest("hex"),
    [Symbol.asyncIterator]: () => generate(seed, length, hash),
  };
}

async function* generate(seed: number, length: number, hash: Hash): AsyncGenerator<Uint8Array> {
  const key = createHash("sha256").update(`lumeo ${seed}`).digest().subarray(0, 16);
  const cipher = createCipheriv("aes-128-ctr", key, ZEROS.subarray(0, 16));
  for (let left = length; 0 < left; left -= PIECE_BYTES) {
    const piece = cipher.update(ZEROS.subarray(0, Math.min(left, PIECE_BYTES)));
    hash.update(piece);
    yield piece;
  }
}
