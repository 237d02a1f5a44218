// What has come of one range of a unit's cell: whole checksum blocks, from which it is cut out.

import { BLOCK_BYTES, type Crc32c, crc32cCombine } from "@lumeofs/base";
import { cutOut } from "../byte-row.js";
import type { CheckedBytes } from "../rpc/chunkserver-pool.js";
import type { CellPart } from "./stripe-race.js";

/** Bytes with their checksum. */
export interface SummedBytes {
  readonly pieces: readonly Uint8Array[];
  readonly crc32c: number;
}

export class UnitPart {
  readonly part: CellPart;
  /** What is asked for, in the unit. */
  readonly begin: number;
  readonly end: number;
  /** Where the part begins in the unit. */
  readonly #offset: number;
  readonly #pieces: Uint8Array[] = [];
  #receivedBytes = 0;
  #crc32c = 0;

  /**
   * @param cellOffset  Where the cell begins in the unit: at a border of blocks.
   * @param unitBytes   Of the whole unit, which may end inside a block.
   */
  constructor(part: CellPart, cellOffset: number, unitBytes: number) {
    this.part = part;
    this.#offset = cellOffset + part.from;
    this.begin = Math.floor(this.#offset / BLOCK_BYTES) * BLOCK_BYTES;
    const end = Math.ceil((cellOffset + part.to) / BLOCK_BYTES) * BLOCK_BYTES;
    this.end = Math.min(end, unitBytes);
  }

  /** The next bytes have come. */
  take({ pieces, lengthBytes, crc32c }: CheckedBytes): void {
    this.#pieces.push(...pieces);
    this.#receivedBytes += lengthBytes;
    this.#crc32c = crc32cCombine(this.#crc32c, crc32c, lengthBytes);
  }

  /** A range within the part, when all of it is there. */
  cut(wanted: CellPart, crc32c: Crc32c): SummedBytes {
    const skip = this.#skip(wanted);
    const length = wanted.to - wanted.from;
    if (skip === 0 && length === this.#receivedBytes) {
      return { pieces: this.#pieces, crc32c: this.#crc32c };
    }
    const pieces = cutOut(this.#pieces, skip, length);
    return { pieces, crc32c: pieces.reduce((sum, piece) => crc32c(piece, sum), 0) };
  }

  /** The same range in one piece of exactly `length` bytes: zeros follow where it ends earlier. */
  padded({ from, to }: CellPart, length: number): Uint8Array {
    const pieces = cutOut(this.#pieces, this.#skip({ from }), to - from);
    const [only] = pieces;
    if (pieces.length === 1 && only?.byteLength === length) return only;
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.byteLength;
    }
    return bytes;
  }

  #skip({ from }: Pick<CellPart, "from">): number {
    return this.#offset - this.begin + from - this.part.from;
  }
}
