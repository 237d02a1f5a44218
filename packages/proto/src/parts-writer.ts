// A writer of Protobuf that leaves long fields of bytes where they are.
//
// H1. The parts, one behind the other, are the bytes that Protobuf's own writer makes.
// H2. A length counts what is held within it, too: each fork remembers how much was held before.

import protobuf from "protobufjs/minimal.js";

/** Shorter fields are copied: that costs less than one more part. */
export const HELD_BYTES_MIN = 2 * 1024;

/** Bytes that belong in front of what is written from `at` on. */
interface Held {
  at: number;
  readonly bytes: Uint8Array;
}

/** How much was held when a fork began. */
interface Mark {
  readonly count: number;
  readonly bytes: number;
}

export class PartsWriter extends protobuf.BufferWriter {
  readonly #marks: Mark[] = [];
  #held: Held[] = [];
  #heldBytes = 0;

  override bytes(value: Uint8Array | string): this {
    if (typeof value === "string" || value.byteLength < HELD_BYTES_MIN) {
      super.bytes(value as Uint8Array);
      return this;
    }
    this.uint32(value.byteLength);
    this.#held.push({ at: this.pos, bytes: value });
    this.#heldBytes += value.byteLength;
    return this;
  }

  override fork(): this {
    super.fork();
    this.#marks.push({ count: this.#held.length, bytes: this.#heldBytes });
    return this;
  }

  override ldelim(): this {
    const mark = this.#marks.pop();
    if (mark === undefined || mark.bytes === this.#heldBytes) {
      super.ldelim();
      return this;
    }
    const start = this.states?.pop() ?? 0;
    const end = this.pos;
    const length = end - start - 1 + this.#heldBytes - mark.bytes; // one byte was left for it (H2)
    this.uint32(length); // behind everything: makes room, and shows how much it takes
    const size = this.pos - end;
    this.buf.copyWithin(start + size, start + 1, end);
    this.pos = start;
    this.uint32(length);
    this.pos = end + size - 1;
    for (const held of this.#held.slice(mark.count)) held.at += size - 1;
    return this;
  }

  /** The parts of what was written; the writer is as new afterwards. */
  takeParts(): readonly Uint8Array[] {
    const written = this.finish();
    const parts: Uint8Array[] = [];
    let from = 0;
    for (const { at, bytes } of this.#held) {
      if (from < at) parts.push(written.subarray(from, at));
      parts.push(bytes);
      from = at;
    }
    if (from < written.byteLength || parts.length === 0) parts.push(written.subarray(from));
    this.#held = [];
    this.#heldBytes = 0;
    this.reset();
    return parts;
  }
}
