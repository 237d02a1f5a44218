// The whole state ⇄ a stream of bytes: docs/formats/snapshot.md, "Image".

import { ByteReader, ByteWriter, KiB, LumeoError, MiB } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import type { LevelPair, LevelScan } from "../consensus/level-database.js";
import { logIndex, term } from "../raft/entry.js";
import type { AppliedMark } from "./state-store.js";

/** A frame is closed when it has reached this size. */
const FRAME_BYTES = 64 * KiB;
/** No frame is larger: damage cannot ask for more memory than this. */
const FRAME_BYTES_MAX = 8 * MiB;
const FRAME_HEADER_BYTES = 8;
const PAGE_PAIRS = 256;

const PAIRS = 1;
const END = 2;

/** Writes everything that the scan gives, and the end. */
export async function* encodeImage(mark: AppliedMark, scan: LevelScan): AsyncIterable<Uint8Array> {
  let frame = new ByteWriter(2 * FRAME_BYTES).u8(PAIRS);
  let count = 0;
  let page = await scan.next(PAGE_PAIRS);
  while (0 < page.length) {
    for (const [key, value] of page) {
      frame.sized(key).sized(value);
      count += 1;
      if (FRAME_BYTES <= frame.length) {
        yield framed(frame);
        frame = new ByteWriter(2 * FRAME_BYTES).u8(PAIRS);
      }
    }
    page = await scan.next(PAGE_PAIRS);
  }
  if (1 < frame.length) yield framed(frame);
  yield framed(new ByteWriter().u8(END).u53(mark.index).u53(mark.term).u53(count));
}

/**
 * Reads an image, frame by frame. What was yielded counts only after the last one has been read.
 *
 * @param expected  The place in the log that was announced.
 * @throws CORRUPT  As listed in the format.
 */
export async function* decodeImage(
  expected: AppliedMark,
  pieces: AsyncIterable<Uint8Array>,
): AsyncIterable<readonly LevelPair[]> {
  let [count, ended] = [0, false];
  let previous: Uint8Array = new Uint8Array(0);
  for await (const payload of payloads(pieces)) {
    if (ended) throw damaged("there are bytes behind its end");
    const reader = new ByteReader(payload);
    const type = reader.u8();
    if (type === PAIRS) {
      const pairs = readPairs(reader, previous);
      previous = pairs.at(-1)?.[0] ?? previous;
      count += pairs.length;
      yield pairs;
    } else if (type === END) {
      checkEnd(reader, expected, count);
      ended = true;
    } else {
      throw damaged(`type of a frame is ${type}`);
    }
  }
  if (!ended) throw damaged("its end is missing");
}

function readPairs(reader: ByteReader, before: Uint8Array): LevelPair[] {
  const pairs: LevelPair[] = [];
  let previous = before;
  while (0 < reader.remaining) {
    const pair = [reader.sized(), reader.sized()] as const;
    if (Buffer.compare(previous, pair[0]) !== -1) throw damaged("its keys are out of order");
    pairs.push(pair);
    previous = pair[0];
  }
  return pairs;
}

function checkEnd(reader: ByteReader, expected: AppliedMark, count: number): void {
  const mark = { index: logIndex(reader.u53()), term: term(reader.u53()) };
  if (mark.index !== expected.index || mark.term !== expected.term) {
    throw damaged(
      `it stands at entry ${mark.index} of term ${mark.term}, ` +
        `announced were ${expected.index} and ${expected.term}`,
    );
  }
  const announced = reader.u53();
  if (announced !== count) throw damaged(`it has ${count} pairs instead of ${announced}`);
  if (reader.remaining !== 0) throw damaged("its end is too long");
}

/** The payloads of all frames, checked; views of the pieces. */
async function* payloads(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const piece of pieces) {
    rest = rest.byteLength === 0 ? piece : Buffer.concat([rest, piece]);
    let frame = firstFrame(rest);
    while (frame !== undefined) {
      yield frame;
      rest = rest.subarray(FRAME_HEADER_BYTES + frame.byteLength);
      frame = firstFrame(rest);
    }
  }
  if (rest.byteLength !== 0) throw damaged("it ends within a frame");
}

/** The payload of the first frame, undefined if it is not all there yet. */
function firstFrame(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.byteLength < FRAME_HEADER_BYTES) return undefined;
  const reader = new ByteReader(bytes);
  const [length, crc] = [reader.u32(), reader.u32()];
  if (length === 0 || FRAME_BYTES_MAX < length) throw damaged(`a frame of ${length} bytes`);
  if (reader.remaining < length) return undefined;
  const payload = reader.bytes(length);
  if (nativeCrc32c(payload) !== crc) throw damaged("CRC32C of a frame does not match");
  return payload;
}

function framed(payload: ByteWriter): Uint8Array {
  const bytes = payload.finish();
  return new ByteWriter(FRAME_HEADER_BYTES + bytes.byteLength)
    .u32(bytes.byteLength)
    .u32(nativeCrc32c(bytes))
    .bytes(bytes)
    .finish();
}

function damaged(why: string): LumeoError {
  return new LumeoError("CORRUPT", `Cannot use the image of the state: ${why}`);
}
