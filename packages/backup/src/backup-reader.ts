// Reads one backup file, and proves while it reads that it is what was written: the CRC32C of each
// frame, the SHA-256 of the file, the counts, the order of the keys.

import { createHash } from "node:crypto";
import type { Disk, File } from "@lumeofs/base";
import { type Backup, type BackupRecord, compareKeys, isSameBytes } from "./backup.js";
import {
  CLOSING_BYTES,
  checkFrame,
  checkOpening,
  damaged,
  decodeClosing,
  decodeFooter,
  decodeFrameHead,
  decodeHeader,
  decodeRecords,
  type Footer,
  FRAME,
  FRAME_HEAD_BYTES,
  OPENING_BYTES,
} from "./format.js";

/** One frame, as it stands in the file. */
interface Frame {
  readonly type: number;
  readonly payload: Uint8Array;
  readonly bytes: Uint8Array;
}

/**
 * What a file says of itself: its header and footer, not what is between.
 *
 * @throws LumeoError CORRUPT
 */
export async function describe(disk: Disk, name: string): Promise<Backup> {
  const file = await disk.open(name, { create: false });
  try {
    const sizeBytes = await file.size();
    checkOpening(name, await take(file, name, 0, OPENING_BYTES));
    const { payload } = await readFrame(file, name, OPENING_BYTES);
    const { origin, base } = decodeHeader(name, payload);
    const { footer } = await readFooter(file, name, sizeBytes);
    const { records, removed, totals } = footer;
    return { ...origin, base, name, sizeBytes, records, removed, totals };
  } finally {
    await file.close();
  }
}

/**
 * All records, in key order. What was given out counts only when the last one has come.
 *
 * @throws LumeoError CORRUPT
 */
export async function* recordsOf(
  disk: Disk,
  { name, sizeBytes }: Backup,
): AsyncGenerator<readonly BackupRecord[], void, undefined> {
  const file = await disk.open(name, { create: false });
  try {
    const { footer, footerAt } = await readFooter(file, name, sizeBytes);
    const hash = createHash("sha256").update(await take(file, name, 0, OPENING_BYTES));
    const count = new Count(name);
    let position = OPENING_BYTES;
    while (position < footerAt) {
      const frame = await readFrame(file, name, position);
      hash.update(frame.bytes);
      position += frame.bytes.byteLength;
      if (frame.type === FRAME.header) continue;
      if (frame.type !== FRAME.records) throw damaged(name, `type of a frame is ${frame.type}`);
      const records = decodeRecords(name, frame.payload);
      count.add(records);
      yield records;
    }
    if (position !== footerAt) throw damaged(name, "its frames do not end at the footer");
    if (!isSameBytes(hash.digest(), footer.sha256)) throw damaged(name, "SHA-256 does not match");
    count.compare(footer);
  } finally {
    await file.close();
  }
}

/** Counts what comes, and sees that keys rise. */
class Count {
  readonly #name: string;
  #records = 0;
  #removed = 0;
  #blocks = 0;
  #last: Uint8Array | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  add(records: readonly BackupRecord[]): void {
    this.#blocks++;
    for (const [key, value] of records) {
      if (this.#last !== undefined && 0 <= compareKeys(this.#last, key)) {
        throw damaged(this.#name, "its keys are out of order");
      }
      this.#last = key;
      this.#records++;
      if (value === undefined) this.#removed++;
    }
  }

  compare({ records, removed, blocks }: Footer): void {
    const isEqual =
      records === this.#records && removed === this.#removed && blocks === this.#blocks;
    if (!isEqual) throw damaged(this.#name, `it has ${this.#records} records, not ${records}`);
  }
}

async function readFooter(
  file: File,
  name: string,
  sizeBytes: number,
): Promise<{ readonly footer: Footer; readonly footerAt: number }> {
  const closingAt = sizeBytes - CLOSING_BYTES;
  if (closingAt < OPENING_BYTES) throw damaged(name, "it is too short");
  const footerAt = decodeClosing(name, await take(file, name, closingAt, CLOSING_BYTES));
  if (closingAt < footerAt + FRAME_HEAD_BYTES) throw damaged(name, "its footer is misplaced");
  const { type, payload, bytes } = await readFrame(file, name, footerAt);
  const isPlaced = type === FRAME.footer && footerAt + bytes.byteLength === closingAt;
  if (!isPlaced) throw damaged(name, "its footer is misplaced");
  return { footer: decodeFooter(name, payload), footerAt };
}

async function readFrame(file: File, name: string, position: number): Promise<Frame> {
  const headBytes = await take(file, name, position, FRAME_HEAD_BYTES);
  const head = decodeFrameHead(name, headBytes);
  const payload = await take(file, name, position + FRAME_HEAD_BYTES, head.length);
  checkFrame(name, head, payload);
  return { type: head.type, payload, bytes: Buffer.concat([headBytes, payload]) };
}

async function take(file: File, name: string, position: number, length: number) {
  const bytes = new Uint8Array(length);
  if ((await file.readAt(bytes, position)) < length) throw damaged(name, "it ends too early");
  return bytes;
}
