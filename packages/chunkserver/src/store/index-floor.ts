// How old an index may be. When segments are given back, the log no longer tells what an older
// index would have to learn from them: such an index (one that has lost its newest writes, each
// value in it intact) must be built again instead.
//
// The file is written before the first segment goes; it names a mark that the index held durably
// then.

import {
  ByteReader,
  ByteWriter,
  type Crc32c,
  type Disk,
  LumeoError,
  type WalMark,
} from "@lumeofs/base";
import { SealedFile } from "./sealed-file.js";

type Floor = Pick<WalMark, "segment" | "position">;

const CONTENT_BYTES = 16;

/** See the head of this file. */
export class IndexFloor {
  readonly #file: SealedFile;

  constructor(disk: Disk, crc32c: Crc32c) {
    const names = { path: "index-floor", magic: "LUMEOFLR", version: 1 };
    this.#file = new SealedFile({ disk, crc32c, ...names, bytesMax: CONTENT_BYTES });
  }

  /** Whether an index that holds everything before `mark` has missed nothing that is gone. */
  async admits(mark: WalMark): Promise<boolean> {
    try {
      const content = await this.#file.read();
      if (content === undefined) return true; // nothing was ever given back
      const reader = new ByteReader(content);
      const floor = { segment: reader.u53(), position: reader.u53() };
      return !isBefore(mark, floor);
    } catch (error) {
      if (error instanceof LumeoError && error.code === "CORRUPT") return false;
      throw error;
    }
  }

  /** From now on an index must hold everything before `mark`; durable when it resolves. */
  async raise({ segment, position }: Floor): Promise<void> {
    await this.#file.write(new ByteWriter(CONTENT_BYTES).u53(segment).u53(position).finish());
  }
}

function isBefore(a: Floor, b: Floor): boolean {
  return a.segment < b.segment || (a.segment === b.segment && a.position < b.position);
}
