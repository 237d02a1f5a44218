import { type Disk, LumeoError } from "@lumeofs/base";
import type { Backup, BackupRecord, OnProgress } from "./backup.js";
import { BackupWriter } from "./backup-writer.js";
import { newestOf, readCatalogue } from "./catalogue.js";
import { CHAIN_MAX, chainOf, stateOf } from "./chain.js";
import { difference } from "./difference.js";
import type { ExportedState } from "./export-source.js";

/** How often progress is told, in records. */
const PROGRESS_RECORDS = 10_000;

export interface CreateOptions {
  /** Only what changed since the newest backup of the same cluster and mode. */
  readonly isIncremental: boolean;
  readonly onProgress?: OnProgress | undefined;
}

export type Created =
  | { readonly kind: "created"; readonly backup: Backup }
  /** Nothing has happened since this one. */
  | { readonly kind: "unchanged"; readonly backup: Backup };

/**
 * Writes a state into a folder of backups, durably.
 *
 * @throws NOT_FOUND  There is nothing that an incremental backup could build on.
 * @throws CORRUPT    What it would build on is damaged.
 */
export async function createBackup(
  disk: Disk,
  state: ExportedState,
  options: CreateOptions,
): Promise<Created> {
  const { origin } = state;
  const { backups } = await readCatalogue(disk);
  const same = backups.find(
    (one) =>
      one.clusterId === origin.clusterId &&
      one.mode === origin.mode &&
      one.revision === origin.revision,
  );
  if (same !== undefined) return { kind: "unchanged", backup: same };
  const chain = options.isIncremental ? chainToBuildOn(backups, state) : [];
  const last = chain.at(-1);
  const base =
    last === undefined ? undefined : { revision: last.revision, sha256: last.totals.sha256 };
  const records: AsyncIterable<BackupRecord> =
    last === undefined ? state.pairs : difference(stateOf(disk, chain), state.pairs);
  const writer = await BackupWriter.create(disk, origin, base);
  try {
    await copy(records, writer, options.onProgress);
    return { kind: "created", backup: await writer.finish(state.totals()) };
  } catch (error) {
    await writer.discard();
    throw error;
  }
}

function chainToBuildOn(backups: readonly Backup[], { origin }: ExportedState): readonly Backup[] {
  const { clusterId, mode, revision } = origin;
  const last = newestOf(backups, { clusterId, mode });
  const what = "Cannot make an incremental backup";
  if (last === undefined) {
    const why = `there is none of cluster ${clusterId} in mode ${mode}`;
    throw new LumeoError("NOT_FOUND", `${what}: ${why}; make a full one first`);
  }
  if (revision < last.revision) {
    const why = `"${last.name}" is newer than the cluster, which is at revision ${revision}`;
    throw new LumeoError("CONFLICT", `${what}: ${why}; make a full one in another folder`);
  }
  const chain = chainOf(last, backups);
  if (CHAIN_MAX < chain.length) {
    const why = `${chain.length - 1} build on each other already`;
    throw new LumeoError("CONFLICT", `${what}: ${why}; make a full one`);
  }
  return chain;
}

async function copy(
  records: AsyncIterable<BackupRecord>,
  writer: BackupWriter,
  onProgress: OnProgress | undefined,
): Promise<void> {
  const done = { records: 0, bytes: 0 };
  for await (const record of records) {
    await writer.add(record);
    done.records++;
    done.bytes += record[0].byteLength + (record[1]?.byteLength ?? 0);
    if (done.records % PROGRESS_RECORDS === 0) onProgress?.({ ...done });
  }
  onProgress?.({ ...done });
}
