// Writes one backup file.
//
// W1. A file has its final name only when it is complete and synced.
// W2. Records come in key order, each key once.

import { createHash } from "node:crypto";
import { type Disk, type File, invariant, KiB } from "@lumeofs/base";
import type { PairTotals } from "@lumeofs/node";
import { type Backup, type BackupRecord, type Base, compareKeys, type Origin } from "./backup.js";
import {
  encodeClosing,
  encodeFooter,
  encodeFrame,
  encodeHeader,
  encodeOpening,
  encodeRecords,
  FRAME,
  nameOf,
} from "./format.js";

/** A frame of records is closed when it has reached this size. */
const BLOCK_BYTES = 256 * KiB;
/** What is not finished ends so, and is removed by the next one who writes. */
export const PART = ".part";

export class BackupWriter {
  readonly #disk: Disk;
  readonly #file: File;
  readonly #origin: Origin;
  readonly #base: Base | undefined;
  readonly #hash = createHash("sha256");
  #position = 0;
  #block: BackupRecord[] = [];
  #blockBytes = 0;
  #blocks = 0;
  #records = 0;
  #removed = 0;
  #last: Uint8Array | undefined;

  private constructor(disk: Disk, file: File, origin: Origin, base: Base | undefined) {
    this.#disk = disk;
    this.#file = file;
    this.#origin = origin;
    this.#base = base;
  }

  static async create(disk: Disk, origin: Origin, base: Base | undefined): Promise<BackupWriter> {
    for (const name of await disk.list("")) if (name.endsWith(PART)) await disk.remove(name);
    const file = await disk.open(nameOf(origin, base) + PART, { create: true });
    const writer = new BackupWriter(disk, file, origin, base);
    await writer.#write(encodeOpening());
    await writer.#write(encodeFrame(FRAME.header, encodeHeader(origin, base)));
    return writer;
  }

  async add(record: BackupRecord): Promise<void> {
    const [key, value] = record;
    invariant(this.#last === undefined || compareKeys(this.#last, key) < 0, "keys out of order");
    this.#last = key;
    this.#block.push(record);
    this.#blockBytes += key.byteLength + (value?.byteLength ?? 0);
    this.#records++;
    if (value === undefined) this.#removed++;
    if (BLOCK_BYTES <= this.#blockBytes) await this.#closeBlock();
  }

  /** @param totals  Of the whole state at the revision. */
  async finish(totals: PairTotals): Promise<Backup> {
    await this.#closeBlock();
    const [records, removed, blocks] = [this.#records, this.#removed, this.#blocks];
    const footerAt = this.#position;
    const sha256 = this.#hash.copy().digest();
    const footer = encodeFooter({ records, removed, blocks, totals, sha256 });
    await this.#write(encodeFrame(FRAME.footer, footer));
    await this.#write(encodeClosing(footerAt));
    await this.#file.sync();
    await this.#file.close();
    const name = nameOf(this.#origin, this.#base);
    await this.#disk.rename(name + PART, name);
    await this.#disk.syncFolder("");
    const base = this.#base;
    return { ...this.#origin, name, sizeBytes: this.#position, base, records, removed, totals };
  }

  /** Leaves nothing behind. */
  async discard(): Promise<void> {
    await this.#file.close();
    await this.#disk.remove(nameOf(this.#origin, this.#base) + PART);
  }

  async #closeBlock(): Promise<void> {
    if (this.#block.length === 0) return;
    await this.#write(encodeFrame(FRAME.records, encodeRecords(this.#block)));
    this.#blocks++;
    [this.#block, this.#blockBytes] = [[], 0];
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    await this.#file.writeAt([bytes], this.#position);
    this.#position += bytes.byteLength;
  }
}
