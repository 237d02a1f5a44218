// From a full backup and the incremental ones behind it to the state at the last one's revision.

import type { Disk } from "@lumeofs/base";
import { PairSum } from "@lumeofs/node";
import { type Backup, type BackupRecord, compareKeys, isSameBytes, type Pair } from "./backup.js";
import { recordsOf } from "./backup-reader.js";
import { damaged } from "./format.js";

/** More incremental backups than this do not build on one full one: reading asks all of them. */
export const CHAIN_MAX = 100;

/** The backups that one needs, the full one first, itself last. @throws LumeoError CORRUPT */
export function chainOf(backup: Backup, all: readonly Backup[]): readonly Backup[] {
  const chain = [backup];
  for (let one = backup; one.base !== undefined; one = chain[0] as Backup) {
    const { base } = one;
    const found = all.find(
      (other) =>
        other.clusterId === one.clusterId &&
        other.mode === one.mode &&
        other.revision === base.revision &&
        other.revision < one.revision &&
        isSameBytes(other.totals.sha256, base.sha256),
    );
    if (found === undefined) {
      throw damaged(
        backup.name,
        `the backup of revision ${base.revision} that it needs is missing`,
      );
    }
    chain.unshift(found);
  }
  return chain;
}

/**
 * The whole state at the revision of the chain's last backup, in key order.
 *
 * @throws LumeoError CORRUPT at the end if it is not the state that was backed up, and before that
 *         if one of the files is damaged.
 */
export async function* stateOf(
  disk: Disk,
  chain: readonly Backup[],
): AsyncGenerator<Pair, void, undefined> {
  const last = chain.at(-1) as Backup;
  const cursors = await Promise.all(chain.map((one) => Cursor.open(recordsOf(disk, one))));
  const sum = new PairSum();
  try {
    for (let next = await newest(cursors); next !== undefined; next = await newest(cursors)) {
      const [key, value] = next;
      if (value === undefined) continue;
      sum.add(key, value);
      yield [key, value];
    }
  } finally {
    await Promise.all(cursors.map((cursor) => cursor.close()));
  }
  const { records, sha256 } = sum.totals();
  if (records !== last.totals.records || !isSameBytes(sha256, last.totals.sha256)) {
    throw damaged(last.name, "with those before it it does not give the state that it was made of");
  }
}

/** The record of the lowest key: the last file that has one decides; all move behind it. */
async function newest(cursors: readonly Cursor[]): Promise<BackupRecord | undefined> {
  let found: BackupRecord | undefined;
  for (const { head } of cursors) {
    if (head === undefined) continue;
    if (found === undefined || compareKeys(head[0], found[0]) <= 0) found = head;
  }
  if (found === undefined) return undefined;
  for (const cursor of cursors) {
    if (cursor.head === undefined || !isSameBytes(cursor.head[0], found[0])) continue;
    if (!cursor.step()) await cursor.load();
  }
  return found;
}

/** A place in the records of one file. */
class Cursor {
  readonly #blocks: AsyncGenerator<readonly BackupRecord[], void, undefined>;
  #block: readonly BackupRecord[] = [];
  #next = 0;

  private constructor(blocks: AsyncGenerator<readonly BackupRecord[], void, undefined>) {
    this.#blocks = blocks;
  }

  static async open(
    blocks: AsyncGenerator<readonly BackupRecord[], void, undefined>,
  ): Promise<Cursor> {
    const cursor = new Cursor(blocks);
    await cursor.load();
    return cursor;
  }

  /** Undefined at the end. */
  get head(): BackupRecord | undefined {
    return this.#block[this.#next];
  }

  /** Moves on within the block; false if that was its last record. */
  step(): boolean {
    this.#next++;
    return this.#next < this.#block.length;
  }

  async load(): Promise<void> {
    do {
      const { done, value } = await this.#blocks.next();
      this.#block = done === true ? [] : value;
      this.#next = 0;
      if (done === true) return;
    } while (this.#block.length === 0);
  }

  async close(): Promise<void> {
    await this.#blocks.return();
  }
}
