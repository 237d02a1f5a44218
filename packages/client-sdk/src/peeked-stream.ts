// A stream of which the beginning has been looked at: it is given out again from its first byte.

import type { StreamSource } from "./body.js";

export class PeekedStream implements StreamSource {
  readonly kind = "stream";
  readonly #source: StreamSource;
  /** Looked at and not given out yet; copies, because pieces belong to the caller. */
  readonly #pieces: Uint8Array[] = [];
  /** In `#pieces`. */
  #peekedBytes = 0;
  #isOver = false;

  constructor(source: StreamSource) {
    this.#source = source;
  }

  /** Reads until so many bytes are here, or all there are. @returns How many are here. */
  async peek(bytes: number): Promise<number> {
    while (this.#peekedBytes < bytes && !this.#isOver) {
      const piece = await this.#source.next();
      this.#isOver = piece === undefined;
      if (piece === undefined) break;
      this.#pieces.push(new Uint8Array(piece)); // a copy, also of a Buffer
      this.#peekedBytes += piece.byteLength;
    }
    return this.#peekedBytes;
  }

  /** All that is left of it, if that is at most so many bytes; it can be read all the same. */
  async whole(bytesMax: number): Promise<Uint8Array | undefined> {
    await this.peek(bytesMax + 1);
    if (bytesMax < this.#peekedBytes) return undefined;
    return this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces);
  }

  async next(): Promise<Uint8Array | undefined> {
    const peeked = this.#pieces.shift();
    if (peeked !== undefined) this.#peekedBytes -= peeked.byteLength;
    if (peeked !== undefined || this.#isOver) return peeked;
    return this.#source.next();
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}
