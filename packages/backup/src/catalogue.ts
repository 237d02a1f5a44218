import { asLumeoError, type Disk, type LumeoError } from "@lumeofs/base";
import type { Backup, BackupMode } from "./backup.js";
import { describe } from "./backup-reader.js";
import { ENDING } from "./format.js";

/** A file that looks like a backup and is none, or is damaged where it says what it is. */
export interface Unreadable {
  readonly name: string;
  readonly error: LumeoError;
}

/** The backups of a folder. The folder is the catalogue: each file says what it is. */
export interface Catalogue {
  /** By revision. */
  readonly backups: readonly Backup[];
  readonly unreadable: readonly Unreadable[];
}

export async function readCatalogue(disk: Disk): Promise<Catalogue> {
  const backups: Backup[] = [];
  const unreadable: Unreadable[] = [];
  for (const name of await disk.list("")) {
    if (!name.endsWith(ENDING)) continue;
    try {
      backups.push(await describe(disk, name));
    } catch (thrown) {
      const error = asLumeoError(thrown);
      if (error.code !== "CORRUPT") throw error;
      unreadable.push({ name, error });
    }
  }
  backups.sort((a, b) => a.revision - b.revision);
  return { backups, unreadable };
}

/** The newest of a kind, or that of a revision. */
export function newestOf(
  backups: readonly Backup[],
  wanted: {
    readonly mode: BackupMode;
    readonly clusterId?: string | undefined;
    readonly revision?: number | undefined;
  },
): Backup | undefined {
  const { mode, clusterId, revision } = wanted;
  return backups.findLast(
    (one) =>
      one.mode === mode &&
      (clusterId === undefined || one.clusterId === clusterId) &&
      (revision === undefined || one.revision === revision),
  );
}
