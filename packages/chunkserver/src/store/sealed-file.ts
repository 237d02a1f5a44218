// A small file that is replaced as a whole: what it holds is the old content or the new one, never
// a mixture, and damage shows. Layout: magic (8 bytes), version (u32), content, CRC32C over all of
// it (u32), little-endian (docs/formats/chunk.md).

import { ByteReader, ByteWriter, type Crc32c, type Disk, LumeoError } from "@lumeofs/base";

const MAGIC_BYTES = 8;
const HEAD_BYTES = MAGIC_BYTES + 4;

export interface SealedFileOptions {
  readonly disk: Disk;
  readonly crc32c: Crc32c;
  /** In the store's folder; the draft is beside it with ".new" at the end. */
  readonly path: string;
  /** 8 ASCII characters. */
  readonly magic: string;
  readonly version: number;
  /** A longer file is damaged. */
  readonly bytesMax: number;
}

/** See the head of this file. One writer at a time. */
export class SealedFile {
  readonly #options: SealedFileOptions;

  constructor(options: SealedFileOptions) {
    this.#options = options;
  }

  /**
   * The content last written; undefined if there is none.
   *
   * @throws LumeoError CORRUPT if it is not what was written, or of another version.
   */
  async read(): Promise<Uint8Array | undefined> {
    const { disk, path, bytesMax } = this.#options;
    if (!(await disk.exists(path))) return undefined;
    const file = await disk.open(path, { create: false });
    try {
      const buffer = new Uint8Array(bytesMax + HEAD_BYTES + 5);
      const bytes = buffer.subarray(0, await file.readAt(buffer, 0));
      const content = this.#opened(bytes);
      await disk.syncFolder(""); // its writer may have been killed before it did
      return content;
    } finally {
      await file.close();
    }
  }

  /** Replaces the content, durably. */
  async write(content: Uint8Array): Promise<void> {
    const { disk, path, magic, version, crc32c } = this.#options;
    const draft = `${path}.new`;
    const writer = new ByteWriter(content.byteLength + HEAD_BYTES + 4);
    writer.bytes(new TextEncoder().encode(magic)).u32(version).bytes(content);
    const bytes = writer.u32(crc32c(writer.finish())).finish();
    const file = await disk.open(draft, { create: true });
    try {
      await file.truncate(0);
      await file.writeAt([bytes], 0);
      await file.sync();
    } finally {
      await file.close();
    }
    await disk.rename(draft, path);
    await disk.syncFolder("");
  }

  #opened(bytes: Uint8Array): Uint8Array {
    const { path, magic, version, bytesMax, crc32c } = this.#options;
    const end = bytes.byteLength - 4;
    const isWhole = HEAD_BYTES <= end && end - HEAD_BYTES <= bytesMax;
    const crc = isWhole ? new ByteReader(bytes.subarray(end)).u32() : undefined;
    const reader = new ByteReader(bytes);
    if (crc !== crc32c(bytes.subarray(0, Math.max(0, end)))) throw damaged(path, "it is damaged");
    if (new TextDecoder().decode(reader.bytes(MAGIC_BYTES)) !== magic) {
      throw damaged(path, "it is another file");
    }
    const found = reader.u32();
    if (found !== version) {
      throw damaged(path, `it has version ${found}, this program knows ${version}`);
    }
    return bytes.slice(HEAD_BYTES, end);
  }
}

function damaged(path: string, why: string): LumeoError {
  return new LumeoError("CORRUPT", `Cannot read "${path}": ${why}`);
}
