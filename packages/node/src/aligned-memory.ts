// Memory that begins at the border of a page, which the kernel demands for writes past its cache.
// JavaScript cannot ask for that, and cannot see where memory lies; but the memory of WebAssembly
// begins at such a border by its nature, and is an ordinary ArrayBuffer to everybody else.

import { KiB } from "@lumeofs/base";

/** Borders of memory, positions and lengths of a direct write are multiples of this. */
export const PAGE_BYTES = 4 * KiB;

/** The unit in which WebAssembly counts. */
const WASM_PAGE_BYTES = 64 * KiB;

/** What is used of it; the compiler's library has WebAssembly only for browsers. */
declare const WebAssembly: {
  readonly Memory: new (pages: {
    readonly initial: number;
    readonly maximum: number;
  }) => { readonly buffer: ArrayBuffer };
};

const aligned = new WeakSet<ArrayBufferLike>();

/**
 * New memory, filled with zeros. Each call takes some gigabytes of address space (not of memory),
 * so ask for much at a time. Where that is not to be had, the memory lies anywhere.
 *
 * @param bytes  A multiple of 64 KiB.
 */
export function alignedMemory(bytes: number): ArrayBuffer {
  const pages = bytes / WASM_PAGE_BYTES;
  try {
    const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages });
    aligned.add(buffer);
    return buffer;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return new ArrayBuffer(bytes);
  }
}

/** Whether these bytes are known to begin at the border of a page. */
export function beginsAtPage(part: Uint8Array): boolean {
  return aligned.has(part.buffer) && part.byteOffset % PAGE_BYTES === 0;
}
