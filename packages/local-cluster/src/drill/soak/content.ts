// What a soak stores: bytes that follow from a seed, so that nothing has to be kept to compare
// with, and the comparison of what comes back, byte by byte.

import { seededBytes } from "../seeded-bytes.js";

/** A file's content: `size` bytes made from `seed`. */
export interface Content {
  readonly seed: number;
  /** Bytes. */
  readonly size: number;
}

/** The content as a stream that can be read once. */
export function streamOf({ seed, size }: Content): AsyncIterable<Uint8Array> {
  return { [Symbol.asyncIterator]: () => seededBytes(seed, size)[Symbol.asyncIterator]() };
}

/** The content in memory; for small ones. */
export async function bytesOf(content: Content): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of streamOf(content)) pieces.push(piece);
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
}

/**
 * Which of some contents the bytes are.
 *
 * @param expected  Contents that may be there; each is generated beside the bytes.
 * @returns         The one that equals the bytes from the first to the last; undefined if none.
 */
export async function recognize(
  bytes: AsyncIterable<Uint8Array>,
  expected: readonly Content[],
): Promise<Content | undefined> {
  let comparisons = expected.map((content) => new Comparison(content));
  for await (const piece of bytes) {
    const equal = await Promise.all(comparisons.map((one) => one.isNext(piece)));
    comparisons = comparisons.filter((_, i) => equal[i]);
  }
  const ended = await Promise.all(comparisons.map((one) => one.isOver()));
  return comparisons.find((_, i) => ended[i])?.content;
}

/** One content on its way beside the bytes that should be it. */
class Comparison {
  readonly content: Content;
  readonly #pieces: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(content: Content) {
    this.content = content;
    this.#pieces = streamOf(content)[Symbol.asyncIterator]();
  }

  /** Whether the content goes on with exactly these bytes. */
  async isNext(bytes: Uint8Array): Promise<boolean> {
    for (let at = 0; at < bytes.byteLength; ) {
      if (await this.isOver()) return false;
      const length = Math.min(this.#rest.byteLength, bytes.byteLength - at);
      const isEqual = Buffer.compare(
        bytes.subarray(at, at + length),
        this.#rest.subarray(0, length),
      );
      if (isEqual !== 0) return false;
      this.#rest = this.#rest.subarray(length);
      at += length;
    }
    return true;
  }

  /** Whether the content has no more bytes. */
  async isOver(): Promise<boolean> {
    if (0 < this.#rest.byteLength) return false;
    const { done, value } = await this.#pieces.next();
    if (done === true) return true;
    this.#rest = value;
    return false;
  }
}

/**
 * The content cut into parts of these lengths, each in memory while it is given.
 *
 * @param lengths  Bytes, together the size of the content.
 */
export async function* contentBytes(
  content: Content,
  lengths: readonly number[],
): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces = streamOf(content)[Symbol.asyncIterator]();
  let rest: Uint8Array = new Uint8Array(0);
  for (const length of lengths) {
    const part = new Uint8Array(length);
    for (let at = 0; at < length; ) {
      if (rest.byteLength === 0) rest = (await pieces.next()).value ?? rest;
      const taken = rest.subarray(0, length - at);
      part.set(taken, at);
      rest = rest.subarray(taken.byteLength);
      at += taken.byteLength;
    }
    yield part;
  }
}
