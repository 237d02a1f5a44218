import { type Disk, MiB, type Timers } from "@lumeofs/base";
import type { OpenLevel } from "../consensus/level-database.js";
import type { FreezableState } from "./frozen-state.js";
import { LevelDatabases } from "./level-databases.js";
import { type WriteBehindLimits, WriteBehindState } from "./write-behind-state.js";

export interface LevelStateOptions {
  /** Folder of the member, as a path of the file system; `state-<n>` and CURRENT are made in it. */
  readonly folder: string;
  /** The same folder. */
  readonly disk: Disk;
  readonly timers: Timers;
  /** Blocks of the database that are kept in memory. */
  readonly cacheBytes?: number;
  readonly limits?: WriteBehindLimits;
  readonly openDatabase?: OpenLevel;
  readonly destroyDatabase?: (location: string) => Promise<void>;
}

const CACHE_BYTES_DEFAULT = 64 * MiB;
const WRITE_BUFFER_BYTES = 16 * MiB;

/**
 * Opens the state of one member on LevelDB, and makes it if there is none.
 *
 * @throws CORRUPT       It is not what was written: the message says the way out.
 * @throws STORE_FAILED  It does not open, for example because another process uses it.
 */
export async function openLevelState(options: LevelStateOptions): Promise<FreezableState> {
  const { folder, disk, timers, limits, openDatabase, destroyDatabase } = options;
  const databases = await LevelDatabases.open({
    folder,
    disk,
    cacheBytes: options.cacheBytes ?? CACHE_BYTES_DEFAULT,
    writeBufferBytes: WRITE_BUFFER_BYTES,
    ...(openDatabase === undefined ? {} : { openDatabase }),
    ...(destroyDatabase === undefined ? {} : { destroyDatabase }),
  });
  try {
    return await WriteBehindState.open(databases, timers, limits);
  } catch (error) {
    await databases.close();
    throw error;
  }
}
