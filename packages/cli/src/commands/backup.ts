// Backups of the metadata: create, ls, show, verify, restore.

import { stat } from "node:fs/promises";
import {
  type Backup,
  type BackupMode,
  type Created,
  createBackup,
  type ExportedState,
  indexEntries,
  openExport,
  readCatalogue,
  restoreMasters,
  verifyBackups,
} from "@lumeofs/backup";
import { type Disk, LumeoError, type NodeId, nodeId, wallMs } from "@lumeofs/base";
import { FileDisk } from "@lumeofs/node";
import { parseCount, parseLifetime, parseSize, UsageError } from "../args.js";
import type { Context } from "../context.js";
import { EXIT, type ExitStatus } from "../exit-status.js";
import { formatBytes, formatCount, plural, printable } from "../format.js";
import { table } from "../table.js";
import { recordProgress } from "./record-progress.js";

export interface BackupCreateOptions {
  readonly mode?: string;
  readonly incremental?: boolean;
  readonly limitRate?: string;
}

/** Saves the metadata as it is now into a folder. */
export async function backupCreate(
  context: Context,
  folder: string,
  options: BackupCreateOptions,
): Promise<ExitStatus> {
  const { output, signal, clock } = context;
  const mode = parseMode(options.mode ?? "full");
  const rate = options.limitRate === undefined ? undefined : parseRate(options.limitRate);
  if ((await stat(folder).catch(() => undefined))?.isDirectory() === false) {
    throw new LumeoError("EXISTS", `Cannot keep backups in "${folder}": it is no folder`);
  }
  const startedMs = clock.monotonicMs();
  const endpoints = await followersFirst(context);
  const state = await openExport({ endpoints, mode, bytesPerSecond: rate, signal });
  const created = await save(context, folder, state, options.incremental ?? false);
  const { backup } = created;
  const durationMs = Math.round(clock.monotonicMs() - startedMs);
  const json = { ...backupJson(backup), created: created.kind === "created", durationMs };
  if (created.kind === "unchanged") {
    output.result(`Nothing has changed since ${backup.name}`, json);
    return EXIT.ok;
  }
  const size = formatBytes(backup.sizeBytes);
  const what = `${plural(backup.records, "record")}, ${size}, revision ${backup.revision}`;
  output.result(`Saved ${backup.name}: ${what}`, json);
  return EXIT.ok;
}

async function save(
  context: Context,
  folder: string,
  state: ExportedState,
  isIncremental: boolean,
): Promise<Created> {
  const onProgress = recordProgress("Saving", context);
  try {
    return await createBackup(await FileDisk.open(folder), state, { isIncremental, onProgress });
  } finally {
    await state.close();
  }
}

/** Lists the backups of a folder, oldest first. */
export async function backupList(context: Context, folder: string): Promise<ExitStatus> {
  const { output } = context;
  const { backups, unreadable } = await readCatalogue(await existing(folder));
  if (output.json) {
    for (const backup of backups) await output.line("", backupJson(backup));
  } else {
    const rows = backups.map((one) => [
      String(one.revision),
      new Date(one.atMs).toISOString().replace("T", " ").slice(0, 19),
      one.mode,
      one.base === undefined ? "full" : `since ${one.base.revision}`,
      formatCount(one.records),
      formatBytes(one.sizeBytes),
      one.name,
    ]);
    const head = ["REVISION", "TIME", "MODE", "HOLDS", "RECORDS", "SIZE", "FILE"];
    await output.line(await table(head, rows), {});
  }
  for (const { error } of unreadable) output.error(error);
  return unreadable.length === 0 ? EXIT.ok : EXIT.integrity;
}

/** Prints what was where, out of a backup in index mode. */
export async function backupShow(
  context: Context,
  folder: string,
  options: { readonly revision?: string },
): Promise<ExitStatus> {
  const { output } = context;
  const disk = await existing(folder);
  for await (const entry of indexEntries(disk, parseRevision(options.revision))) {
    const size = entry.kind === "dir" ? "-" : String(entry.size);
    const time = entry.modifiedAt.toISOString().replace("T", " ").slice(0, 19);
    const mark = entry.kind === "dir" && entry.path !== "/" ? "/" : "";
    const name = `${printable(entry.path)}${mark}`;
    await output.line(`${entry.kind.padEnd(4)}  ${size.padStart(12)}  ${time}  ${name}`, entry);
  }
  return EXIT.ok;
}

/** Reads all backups of a folder and proves that each gives the state that it was made of. */
export async function backupVerify(context: Context, folder: string): Promise<ExitStatus> {
  const { output, signal } = context;
  let [intact, damaged] = [0, 0];
  for await (const verdict of verifyBackups(await existing(folder))) {
    signal.throwIfAborted();
    if (verdict.kind === "intact") {
      intact++;
      const { backup } = verdict;
      await output.line(`intact   ${backup.name}`, { ...backupJson(backup), intact: true });
    } else {
      damaged++;
      const { name, error } = verdict;
      await output.line(`damaged  ${name}: ${error.message}`, {
        ...{ name, intact: false, error: { code: error.code, message: error.message } },
      });
    }
  }
  if (intact + damaged === 0) throw new LumeoError("NOT_FOUND", `No backup is in "${folder}"`);
  output.note(`${plural(intact, "intact backup")}, ${damaged} damaged`);
  return damaged === 0 ? EXIT.ok : EXIT.integrity;
}

export interface BackupRestoreOptions {
  readonly toDir: string;
  readonly masters: string;
  readonly revision?: string;
  readonly keepLost?: string;
  readonly restoredBefore?: string;
}

const KEEP_LOST_DEFAULT = "7d";
const RESTORED_BEFORE_MAX = 99;

/** Makes the folders of new masters from a backup. */
export async function backupRestore(
  context: Context,
  folder: string,
  options: BackupRestoreOptions,
): Promise<ExitStatus> {
  const { output } = context;
  const members = parseMasters(options.masters);
  const keepLostMs = parseLifetime(options.keepLost ?? KEEP_LOST_DEFAULT);
  const { backup, folders, revision } = await restoreMasters(await existing(folder), {
    targetFolder: options.toDir,
    members,
    revision: parseRevision(options.revision),
    keepLostUntil: wallMs(context.clock.wallMs() + keepLostMs),
    restoredBefore: parseCount(options.restoredBefore ?? "0", 0, RESTORED_BEFORE_MAX),
    onProgress: recordProgress("Restoring", context),
  });
  output.result(
    `Restored ${plural(backup.totals.records, "record")} of revision ${backup.revision} into ` +
      `${folders.map((one) => `"${one}"`).join(", ")}. Start a master on each, with the same ` +
      "names; the old ones must not run any more",
    { ...backupJson(backup), folders, begins: revision },
  );
  return EXIT.ok;
}

function backupJson(backup: Backup): object {
  const { name, clusterId, mode, revision, base, records, removed, sizeBytes, totals } = backup;
  return {
    ...{ name, clusterId, mode, revision, at: new Date(backup.atMs).toISOString() },
    ...(base === undefined ? {} : { since: base.revision }),
    ...{ records, removed, sizeBytes, stateRecords: totals.records, stateBytes: totals.bytes },
    sha256: Buffer.from(totals.sha256).toString("hex"),
  };
}

/** Masters, the leader last: the others have more time. */
async function followersFirst(context: Context): Promise<readonly string[]> {
  const client = await context.client();
  const { masters } = await client.clusterStatus(context.call);
  const rank = (role: string): number => (role === "follower" ? 0 : role === "leader" ? 1 : 2);
  return [...masters].sort((a, b) => rank(a.role) - rank(b.role)).map(({ address }) => address);
}

/** A folder that is there: looking into it does not make it. */
async function existing(folder: string): Promise<Disk> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() === true) return FileDisk.open(folder);
  throw new LumeoError("NOT_FOUND", `Cannot read backups: "${folder}" is no folder`);
}

function parseMode(text: string): BackupMode {
  if (text === "full" || text === "index") return text;
  throw new UsageError(`"${text}" is not a mode: index or full`);
}

function parseRevision(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseCount(text, 1, Number.MAX_SAFE_INTEGER);
}

/** `m1=host:port,m2=host:port,…` */
function parseMasters(text: string): Readonly<Record<NodeId, string>> {
  const members: Record<NodeId, string> = {};
  for (const pair of text.split(",")) {
    const match = /^\s*([a-z0-9][a-z0-9-]{0,62})=([^\s:,=]+:\d{1,5})\s*$/.exec(pair);
    const [, id = "", address = ""] = match ?? [];
    if (match === null || Object.hasOwn(members, id)) {
      throw new UsageError(`"${pair}" is not a master: write m1=host:port,m2=host:port, each once`);
    }
    members[nodeId(id)] = address;
  }
  return members;
}

function parseRate(text: string): number {
  const rate = parseSize(text);
  if (0 < rate) return rate;
  throw new UsageError("--limit-rate 0 would never end: leave it out for as fast as it goes");
}
