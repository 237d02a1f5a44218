// A small file that every disk of a server has: as SealedFile on each of those that work. A disk
// that cannot write it has failed; the content is kept as long as one is left.

import type { Crc32c } from "@lumeofs/base";
import { SealedFile, type SealedFileOptions } from "../store/sealed-file.js";
import type { ServerDisk } from "./server-disk.js";

export interface MirroredFileOptions extends Omit<SealedFileOptions, "disk" | "crc32c"> {
  readonly crc32c: Crc32c;
  /** Those that work now. */
  readonly disks: () => readonly ServerDisk[];
}

/** See the head of this file. One writer at a time. */
export class MirroredFile {
  readonly #options: MirroredFileOptions;

  constructor(options: MirroredFileOptions) {
    this.#options = options;
  }

  /** Replaces the content on all disks, durably. Rejects if none could keep it. */
  async write(content: Uint8Array): Promise<void> {
    const { disks } = this.#options;
    const written = await Promise.allSettled(
      disks().map((disk) => disk.io(() => this.#on(disk).write(content))),
    );
    const failed = written.find((one) => one.status === "rejected");
    if (failed !== undefined && written.every((one) => one.status === "rejected")) {
      throw failed.reason;
    }
  }

  /** What a disk has; undefined for nothing. @throws LumeoError CORRUPT, and as the disk. */
  read(disk: ServerDisk): Promise<Uint8Array | undefined> {
    return this.#on(disk).read();
  }

  #on(disk: ServerDisk): SealedFile {
    return new SealedFile({ ...this.#options, disk: disk.disk });
  }
}
