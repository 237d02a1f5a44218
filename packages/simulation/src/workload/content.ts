// What is stored: bytes that say which content they are, and where in it they belong.

/** The smallest content that can say who it is. */
export const CONTENT_BYTES_MIN = 16;

const WORD = 4;

/** The bytes of a content: its number, its size, then words that follow from both. */
export function contentOf(id: number, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, Math.floor(size / WORD));
  let word = (Math.imul(id, 0x9e3779b1) ^ size) >>> 0;
  for (let i = 2; i < words.length; i++) {
    word = (Math.imul(word, 1_664_525) + 1_013_904_223) >>> 0;
    words[i] = word;
  }
  words[0] = id;
  words[1] = size;
  return bytes;
}

/** Which content this is the whole of; undefined if it is none. */
export function identify(bytes: Uint8Array): number | undefined {
  if (bytes.byteLength < CONTENT_BYTES_MIN) return undefined;
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const id = view.readUInt32LE(0);
  return contentOf(id, bytes.byteLength).equals(view) ? id : undefined;
}
