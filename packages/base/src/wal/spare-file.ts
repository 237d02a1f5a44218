// The file that will be the next segment of a preallocated log: it has its whole length already, so
// that no append has to wait for it to grow.
//
// P1. There is at most one, under a name of its own: a crash leaves nothing that looks like a
//     segment.
// P2. Its bytes are zeros or those of an old segment, without the header. Neither is ever taken for
//     a record of the new one, whose checksums are seeded with its number.
// P3. A failure to make one is the failure of the `take` that needs it.

import type { Disk, File } from "../disk.js";
import { MiB } from "../units.js";
import { SEGMENT_HEADER_BYTES } from "./record.js";

/** Never the name of a segment. */
export const SPARE_NAME = "spare";

const PIECE_BYTES = 1 * MiB;

export class SpareFile {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #bytes: number;
  #isReady = false;
  /** The last thing that was begun with the file; the next waits for it. */
  #work: Promise<void> = Promise.resolve();

  /** @param bytes  Length of a segment. */
  constructor(disk: Disk, path: string, bytes: number) {
    this.#disk = disk;
    this.#path = path;
    this.#bytes = bytes;
  }

  /** Makes the file, unless there is one from before. */
  prepare(): Promise<void> {
    return this.#next(async () => {
      if (!this.#isReady) await this.#fill();
    });
  }

  /** Moves the file to where the segment is to be; a next one is made behind. */
  async take(path: string): Promise<void> {
    await this.#work;
    if (!this.#isReady) await this.prepare();
    this.#isReady = false;
    await this.#disk.rename(this.#path, path);
    this.prepare().catch(() => undefined); // P3: whoever waits for `#work` hears of it
  }

  /** Takes over a segment that nobody needs, if a file is needed. @returns Whether it is gone. */
  async offer(path: string): Promise<boolean> {
    await this.#work;
    if (this.#isReady) return false;
    const file = await this.#disk.open(path, { create: false });
    const size = await file.size().finally(() => file.close());
    if (size < this.#bytes) return false;
    await this.#disk.rename(path, this.#path);
    await this.prepare();
    return true;
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await this.#work.catch(() => undefined);
  }

  #next(work: () => Promise<void>): Promise<void> {
    this.#work = this.#work.then(work);
    return this.#work;
  }

  async #fill(): Promise<void> {
    const file = await this.#disk.open(this.#path, { create: true });
    try {
      await file.writeAt([new Uint8Array(SEGMENT_HEADER_BYTES)], 0); // it begins no segment (P2)
      await this.#extend(file);
      await file.sync();
    } finally {
      await file.close();
    }
    this.#isReady = true;
  }

  async #extend(file: File): Promise<void> {
    const zeros = new Uint8Array(Math.min(PIECE_BYTES, this.#bytes));
    for (let at = await file.size(); at < this.#bytes; at += zeros.byteLength) {
      await file.writeAt([zeros.subarray(0, this.#bytes - at)], at);
    }
  }
}
