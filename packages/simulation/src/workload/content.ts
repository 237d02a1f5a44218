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

/** A content that was made of another one: cut or filled with zeros, then overwritten in part. */
export interface Edit {
  readonly base: number;
  readonly baseBytes: number;
  readonly at: number;
  readonly bytes: number;
}

/** All contents there are: those that were put, and those that were edited. */
export class Contents {
  readonly #edits = new Map<number, Edit>();

  /** What is to be written for this edit, and where: who it is, and its part. */
  edit(id: number, size: number, edit: Edit): readonly { at: number; part: Uint8Array }[] {
    this.#edits.set(id, edit);
    const own = contentOf(id, size);
    return [
      { at: 0, part: own.subarray(0, CONTENT_BYTES_MIN) },
      { at: edit.at, part: own.subarray(edit.at, edit.at + edit.bytes) },
    ];
  }

  /** All bytes of a content. */
  bytesOf(id: number, size: number): Buffer {
    const own = contentOf(id, size);
    const edit = this.#edits.get(id);
    if (edit === undefined) return own;
    const bytes = Buffer.alloc(size);
    this.bytesOf(edit.base, edit.baseBytes).copy(bytes);
    own.copy(bytes, 0, 0, CONTENT_BYTES_MIN);
    own.copy(bytes, edit.at, edit.at, edit.at + edit.bytes);
    return bytes;
  }

  /** Which content this is the whole of; undefined if it is none. */
  identify(bytes: Uint8Array): number | undefined {
    if (bytes.byteLength < CONTENT_BYTES_MIN) return undefined;
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const id = headOf(view);
    return this.bytesOf(id, bytes.byteLength).equals(view) ? id : undefined;
  }
}

/** Which content it says to be the beginning of. */
export function headOf(bytes: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).readUInt32LE(0);
}
