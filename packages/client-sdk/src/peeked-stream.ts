// A stream of which the beginning has been looked at: it is given out again from its first byte.

import type { StreamSource } from "./body.js";

export class PeekedStream implements StreamSource {
  readonly kind = "stream";
  readonly #source: StreamSource;
  /** Looked at and not given out yet; copies, because pieces belong to the caller. */
  readonly #pieces: Uint8Array[] = [];
  #isOver = false;

  constructor(source: StreamSource) {
    this.#source = source;
  }

  /** Reads so many bytes ahead, or all there are. @returns How many. */
  async peek(bytes: number): Promise<number> {
    let peeked = 0;
    while (peeked < bytes && !this.#isOver) {
      const piece = await this.#source.next();
      this.#isOver = piece === undefined;
      if (piece === undefined) break;
      this.#pieces.push(new Uint8Array(piece)); // a copy, also of a Buffer
      peeked += piece.byteLength;
    }
    return peeked;
  }

  async next(): Promise<Uint8Array | undefined> {
    const peeked = this.#pieces.shift();
    if (peeked !== undefined || this.#isOver) return peeked;
    return this.#source.next();
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
