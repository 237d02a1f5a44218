// @lumeofs/backup: the metadata of a cluster in files, and back.
export type { Backup, BackupMode, OnProgress } from "./backup.js";
export { type Catalogue, readCatalogue, type Unreadable } from "./catalogue.js";
export { type Created, type CreateOptions, createBackup } from "./create-backup.js";
export { type ExportedState, type ExportOptions, openExport } from "./export-source.js";
export { type IndexEntry, indexEntries } from "./index-entries.js";
export { type Restored, type RestoreOptions, restoreMasters } from "./restore-masters.js";
export { type Verdict, verifyBackups } from "./verify-backups.js";
