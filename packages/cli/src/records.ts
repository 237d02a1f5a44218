// A stream of bytes as records: each line with its line feed, or all of it at once.

import { RECORD_BYTES_MAX } from "@lumeofs/client";
import { UsageError } from "./args.js";

const LINE_FEED = 0x0a;

/**
 * Lines with their line feeds; the last one may have none. An empty input has no lines.
 *
 * @throws UsageError for a line that is longer than a record.
 */
export async function* lines(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let begun: Uint8Array[] = [];
  let bytes = 0;
  let count = 1;
  for await (const piece of input) {
    for (let at = 0; at < piece.byteLength; ) {
      const end = piece.indexOf(LINE_FEED, at) + 1;
      const part = piece.subarray(at, end === 0 ? piece.byteLength : end);
      begun.push(part);
      bytes += part.byteLength;
      at += part.byteLength;
      if (RECORD_BYTES_MAX < bytes) throw tooLong(`line ${count}`);
      if (end === 0) continue;
      yield Buffer.concat(begun, bytes);
      [begun, bytes, count] = [[], 0, count + 1];
    }
  }
  if (0 < bytes) yield Buffer.concat(begun, bytes);
}

/** All of the input. @throws UsageError if that is longer than a record, or nothing. */
export async function* whole(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of input) {
    pieces.push(piece);
    bytes += piece.byteLength;
    if (RECORD_BYTES_MAX < bytes) throw tooLong("the input");
  }
  if (bytes === 0) throw new UsageError("Cannot append an empty record: the input has no bytes");
  yield Buffer.concat(pieces, bytes);
}

function tooLong(what: string): UsageError {
  const limit = `a record has at most ${RECORD_BYTES_MAX} bytes`;
  return new UsageError(`Cannot append ${what}: ${limit}; store larger things with lumeo put`);
}
