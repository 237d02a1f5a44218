// Small arrays of bytes cut from large ones. An array of more than 64 bytes has memory of its own
// outside of the JavaScript heap: asking for it and giving it back costs some thirty times as much
// as a view.

/** What is asked for at a time. Whatever is alive in it keeps all of it alive. */
const SLAB_BYTES = 64 * 1024;
/** Longer arrays have memory of their own. */
const CUT_BYTES_MAX = SLAB_BYTES / 8;

export class ByteSlab {
  #memory = new ArrayBuffer(0);
  #used = 0;

  /** An array of its own, filled with zeros. For arrays that live about as long as each other. */
  take(length: number): Uint8Array {
    if (CUT_BYTES_MAX < length) return new Uint8Array(length);
    if (this.#memory.byteLength < this.#used + length) {
      this.#memory = new ArrayBuffer(SLAB_BYTES);
      this.#used = 0;
    }
    const cut = new Uint8Array(this.#memory, this.#used, length);
    this.#used += length;
    return cut;
  }
}
