// Messages as bytes. All are written into one buffer, which is used again and again: with a new one
// for each message, which grows while it is written, what is left behind costs more than the
// writing, from a few kilobytes on.
//
// Long fields of bytes need not be written at all (`encodedInParts`): what lies around them is, and
// they stay where they are. Protobuf's own writer moves them once for each message around them, to
// make room for its length, and copies them twice besides.

import protobuf from "protobufjs/minimal.js";
import { PartsWriter } from "./parts-writer.js";

/** A buffer that has grown further is let go: few messages are so long. */
const KEPT_BYTES_MAX = 2 * 1024 * 1024;

export interface Encoder<T> {
  encode(message: T, writer?: protobuf.Writer): protobuf.Writer;
}

let idle: protobuf.Writer | undefined;

/** The bytes of a message, in memory of their own. */
export function encoded<T>(codec: Encoder<T>, message: T): Buffer {
  const writer = idle ?? protobuf.Writer.create();
  idle = undefined; // one that fails in the middle is not used again
  const bytes = codec.encode(message, writer).finish() as Buffer;
  if (bytes.byteLength <= KEPT_BYTES_MAX) idle = writer.reset();
  return bytes;
}

let idleParts: PartsWriter | undefined;

/**
 * The bytes of a message in parts, one behind the other. Long fields of bytes are parts as they
 * are, without a copy: nobody may change them until the parts are not needed any more.
 */
export function encodedInParts<T>(codec: Encoder<T>, message: T): readonly Uint8Array[] {
  const writer = idleParts ?? new PartsWriter();
  idleParts = undefined; // as above
  codec.encode(message, writer);
  const parts = writer.takeParts();
  if (writer.buf.byteLength <= KEPT_BYTES_MAX) idleParts = writer;
  return parts;
}
