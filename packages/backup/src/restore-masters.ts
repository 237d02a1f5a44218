// New masters from a backup: one folder for each, from which they start as if they had always been
// there.

import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Disk, LumeoError, type NodeId, type WallMs } from "@lumeofs/base";
import { restoreMember } from "@lumeofs/master";
import { FileDisk } from "@lumeofs/node";
import type { Backup, OnProgress, Pair } from "./backup.js";
import { newestOf, readCatalogue } from "./catalogue.js";
import { chainOf, stateOf } from "./chain.js";

const PROGRESS_RECORDS = 10_000;

export interface RestoreOptions {
  /** Folder in which a folder for each master is made, by its name. */
  readonly targetFolder: string;
  /** All founding masters with host:port. */
  readonly members: Readonly<Record<NodeId, string>>;
  /** Undefined: the newest backup in full mode. */
  readonly revision: number | undefined;
  /** Until when chunks are kept that were written after the backup. */
  readonly keepLostUntil: WallMs;
  /** So many groups were founded from this backup before, and have run; 0 to 99. */
  readonly restoredBefore: number;
  readonly onProgress?: OnProgress | undefined;
}

export interface Restored {
  readonly backup: Backup;
  /** The folders, in the order of the names. */
  readonly folders: readonly string[];
  /** Where the new group goes on. */
  readonly revision: number;
}

/**
 * Makes the folders of all founding masters; all or none of them have their final names.
 *
 * @throws NOT_FOUND  There is no such backup.
 * @throws EXISTS     A folder is there already.
 * @throws CORRUPT    The backup, or one that it builds on, is damaged.
 */
export async function restoreMasters(disk: Disk, options: RestoreOptions): Promise<Restored> {
  const { backups } = await readCatalogue(disk);
  const backup = newestOf(backups, { mode: "full", revision: options.revision });
  if (backup === undefined) throw notThere(options.revision);
  const chain = chainOf(backup, backups);
  const target = await FileDisk.open(options.targetFolder);
  const ids = (Object.keys(options.members) as NodeId[]).sort();
  for (const id of ids) if (await target.exists(id)) throw taken(options.targetFolder, id);
  let revision = 0;
  const part = (id: NodeId): string => join(options.targetFolder, `${id}.part`);
  try {
    for (const id of ids) {
      await rm(part(id), { recursive: true, force: true });
      const member = { id, folder: part(id), members: options.members };
      const pairs = counted(stateOf(disk, chain), options.onProgress);
      const { keepLostUntil, restoredBefore } = options;
      const state = { revision: backup.revision, pairs, keepLostUntil, restoredBefore };
      revision = await restoreMember(member, state);
    }
  } catch (error) {
    for (const id of ids) await rm(part(id), { recursive: true, force: true });
    throw error;
  }
  const folders = ids.map((id) => join(options.targetFolder, id));
  for (const [i, id] of ids.entries()) await rename(part(id), folders[i] as string);
  await target.syncFolder("");
  return { backup, folders, revision };
}

async function* counted(
  pairs: AsyncIterable<Pair>,
  onProgress: OnProgress | undefined,
): AsyncGenerator<Pair, void, undefined> {
  const done = { records: 0, bytes: 0 };
  for await (const pair of pairs) {
    yield pair;
    done.records++;
    done.bytes += pair[0].byteLength + pair[1].byteLength;
    if (done.records % PROGRESS_RECORDS === 0) onProgress?.({ ...done });
  }
}

function notThere(revision: number | undefined): LumeoError {
  const which = revision === undefined ? "no backup" : `no backup of revision ${revision}`;
  return new LumeoError(
    "NOT_FOUND",
    `Cannot restore: ${which} in full mode is in the folder; "lumeo backup ls" shows what is`,
  );
}

function taken(folder: string, id: NodeId): LumeoError {
  return new LumeoError(
    "EXISTS",
    `Cannot restore "${id}" into "${folder}": it is there already; choose an empty folder`,
  );
}
