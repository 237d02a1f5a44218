// Which bytes of which chunk make up a range of a file. Pure arithmetic.
//
// A span is what one data request asks for. Spans of a chunk are cut at multiples of `spanBytes`
// counted from the start of the chunk, so that only the first and the last span of a range can
// begin or end inside a checksum block, and no block between them is fetched twice.
//
// S1. The spans of a range are in order, do not overlap, and add up to the range.
// S2. A span lies inside one chunk, and 0 < length <= spanBytes.

import { BLOCK_BYTES, invariant, LumeoError } from "@lumeofs/base";

/** Bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** A piece of one chunk. */
export interface Span {
  /** Position of the chunk in the file, from 0. */
  readonly chunk: number;
  /** First byte, counted from the start of the chunk. */
  readonly offset: number;
  readonly length: number;
}

/**
 * The range that a caller means in a file of `sizeBytes`: missing ends are the file's, an end
 * behind the file is the file's end.
 *
 * @throws LumeoError INVALID_ARGUMENT if a bound is not a whole number from 0, if the start lies
 *         behind the end, or behind the end of the file.
 */
export function resolveRange(asked: Partial<ByteRange>, sizeBytes: number): ByteRange {
  const { start = 0, end = sizeBytes } = asked;
  for (const bound of [start, end]) {
    if (Number.isSafeInteger(bound) && 0 <= bound) continue;
    throw refusal(asked, sizeBytes, "bounds must be whole numbers from 0");
  }
  if (end < start) throw refusal(asked, sizeBytes, "the start lies behind the end");
  if (sizeBytes < start) throw refusal(asked, sizeBytes, "the start lies behind the end of file");
  return { start, end: Math.min(end, sizeBytes) };
}

/** The spans that make up a range, in order (S1, S2). `spanBytes` must be whole blocks. */
export function* spansOf(
  range: ByteRange,
  chunkBytes: number,
  spanBytes: number,
): Generator<Span, void, undefined> {
  invariant(0 < spanBytes && spanBytes % BLOCK_BYTES === 0, "spans must be whole blocks", {
    spanBytes,
  });
  invariant(0 < chunkBytes, "chunk size must be positive", { chunkBytes });
  for (let at = range.start; at < range.end; ) {
    const chunk = Math.floor(at / chunkBytes);
    const offset = at - chunk * chunkBytes;
    const spanEnd = (Math.floor(offset / spanBytes) + 1) * spanBytes;
    const chunkEnd = Math.min(chunkBytes, range.end - chunk * chunkBytes);
    const length = Math.min(spanEnd, chunkEnd) - offset;
    yield { chunk, offset, length };
    at += length;
  }
}

function refusal(asked: Partial<ByteRange>, sizeBytes: number, why: string): LumeoError {
  const shown = `${asked.start ?? 0}–${asked.end ?? sizeBytes}`;
  return new LumeoError(
    "INVALID_ARGUMENT",
    `Cannot read range ${shown} of ${sizeBytes} bytes: ${why}`,
  );
}
