// The log of a member, in the kind of store that its settings name.

import { type Disk, integerBetween, LumeoError, type NodeId, type Random } from "@lumeofs/base";
import { readerAtSync } from "@lumeofs/node";
import type { Membership } from "../raft/entry.js";
import { LOG_STORE_DEFAULT, type LogStoreKind } from "./config.js";
import type { OpenLevel } from "./level-database.js";
import { LevelLogStore } from "./level-log-store.js";
import type { LogStore } from "./log-store.js";
import { WalLogStore } from "./wal-log-store.js";

/** Folder of each kind, below the member's. */
const FOLDERS: Readonly<Record<LogStoreKind, string>> = { level: "log", wal: "wal" };

const STORE_DIGITS = 16;

export interface OpenLogOptions {
  /** The member's folder, as a path of the file system. */
  readonly folder: string;
  /** The same folder. */
  readonly disk: Disk;
  readonly node: NodeId;
  /** Who takes part when the log is new; ignored afterwards. */
  readonly founders: Membership;
  /** Draws the name of a new store. */
  readonly random: Random;
  readonly logStore?: LogStoreKind | undefined;
  readonly openDatabase?: OpenLevel | undefined;
}

/** A log that knows which store it is. */
export type NamedLogStore = LogStore & { readonly store: string };

/**
 * Opens the log, makes it if there is none, and proves that it is whole.
 *
 * @throws CONFIG        The member has a log of the other kind.
 * @throws CORRUPT, STORE_FAILED  As the stores' `open`.
 */
export async function openLog(options: OpenLogOptions): Promise<NamedLogStore> {
  const { folder, disk, node, founders, random, logStore = LOG_STORE_DEFAULT } = options;
  await requireKind(disk, folder, logStore);
  const store = freshStore(random);
  const common = { node, founders, store };
  if (logStore === "wal") {
    const readAtSync = readerAtSync(folder);
    return WalLogStore.open({ ...common, disk, readAtSync, folder: FOLDERS.wal });
  }
  const { openDatabase } = options;
  return LevelLogStore.open({
    ...common,
    location: `${folder}/${FOLDERS.level}`,
    ...(openDatabase === undefined ? {} : { openDatabase }),
  });
}

/** What a log of the other kind holds was acknowledged: it must not be passed over. */
async function requireKind(disk: Disk, folder: string, wanted: LogStoreKind): Promise<void> {
  const other: LogStoreKind = wanted === "wal" ? "level" : "wal";
  if (!(await disk.exists(FOLDERS[other]))) return;
  throw new LumeoError(
    "CONFIG",
    `Cannot start in "${folder}" with logStore=${wanted}: its log was made with ` +
      `logStore=${other}. Start with that, or move the whole folder away: the member then gets ` +
      "everything from the others",
  );
}

/** So many digits that no two stores are ever called the same. */
function freshStore(random: Random): string {
  const digit = (): string => integerBetween(random, 0, 15).toString(16);
  return Array.from({ length: STORE_DIGITS }, digit).join("");
}
