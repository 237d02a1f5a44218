import { asLumeoError, type Disk, type LumeoError } from "@lumeofs/base";
import type { Backup } from "./backup.js";
import { readCatalogue } from "./catalogue.js";
import { chainOf, stateOf } from "./chain.js";

/** What is found about one file. */
export type Verdict =
  | { readonly kind: "intact"; readonly backup: Backup }
  | { readonly kind: "damaged"; readonly name: string; readonly error: LumeoError };

/**
 * Reads every backup of a folder with all that it builds on, and compares the state that they give
 * with the one that was backed up. By revision; what cannot be read at all comes first.
 */
export async function* verifyBackups(disk: Disk): AsyncGenerator<Verdict, void, undefined> {
  const { backups, unreadable } = await readCatalogue(disk);
  for (const { name, error } of unreadable) yield { kind: "damaged", name, error };
  for (const backup of backups) {
    try {
      for await (const _ of stateOf(disk, chainOf(backup, backups))) continue;
      yield { kind: "intact", backup };
    } catch (thrown) {
      const error = asLumeoError(thrown);
      if (error.code !== "CORRUPT") throw error;
      yield { kind: "damaged", name: backup.name, error };
    }
  }
}
