// Frames of a chunk that have come and have not been coded yet, as one row of bytes.

import { invariant } from "@lumeofs/base";

export class FrameRow {
  #frames: Uint8Array[] = [];
  #bytes = 0;

  get byteLength(): number {
    return this.#bytes;
  }

  /** The frame must not change until its bytes are taken. */
  push(frame: Uint8Array): void {
    this.#frames.push(frame);
    this.#bytes += frame.byteLength;
  }

  /** Takes the next bytes out: as many as the target has. */
  take(target: Uint8Array): void {
    invariant(target.byteLength <= this.#bytes, "no more bytes are taken than have come");
    for (let at = 0; at < target.byteLength; ) {
      const frame = this.#frames[0] as Uint8Array;
      const part = frame.subarray(0, target.byteLength - at);
      target.set(part, at);
      at += part.byteLength;
      if (part.byteLength === frame.byteLength) this.#frames.shift();
      else this.#frames[0] = frame.subarray(part.byteLength);
    }
    this.#bytes -= target.byteLength;
  }
}
