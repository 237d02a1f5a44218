// What has a time of its own: files with an expiry, and locks. The tables say where to look, the
// command looks again, so what was renewed or replaced in the meantime stays.

import { type Clock, type InodeId, LumeoError } from "@lumeofs/base";
import { dueExpiries, type Expiry } from "../metadata/expiry.js";
import { getInode } from "../metadata/inodes.js";
import { locksPage } from "../metadata/locks.js";
import type { StateReader } from "../metadata/state.js";
import { getTail } from "../metadata/tail-table.js";
import { livePath } from "../metadata/tree.js";
import type { Duty } from "./duty.js";
import type { MetadataLog } from "./metadata-log.js";

const FILES = 200;
/** Files that are sealed at once. */
const GROWING_MAX = 32;
const LOCKS = 256;
/** So late a file may be removed, on an idle cluster. */
const FILES_INTERVAL_MS = 1_000;
/** Lapsed locks are of no effect: clearing them only frees their place. */
const LOCKS_INTERVAL_MS = 60_000;

/** Does some work on a path when what is appended there is sealed, and lets no more begin. */
export type WhenSealed = (path: string, work: () => Promise<unknown>) => Promise<unknown>;

/**
 * Removes files whose time is over. One that is being appended to goes when what was appended is
 * sealed, and nobody can go on before it is gone. No other file waits for that.
 */
export function fileExpiryDuty(log: MetadataLog, clock: Clock, whenSealed: WhenSealed): Duty {
  /** Files that are being sealed. */
  const growing = new Set<InodeId>();
  const end = async (file: Expiry, path: string): Promise<void> => {
    growing.add(file.inode);
    try {
      await whenSealed(path, () => log.change({ kind: "expireFiles", files: [file] }));
    } catch (error) {
      if (!(error instanceof LumeoError)) throw error; // it is tried again
    } finally {
      growing.delete(file.inode);
    }
  };
  let after: Expiry | undefined;
  return {
    name: "file expiry",
    intervalMs: FILES_INTERVAL_MS,
    async work() {
      const state = await log.read();
      const due = await dueExpiries(state, clock.wallMs(), FILES, after);
      const files = due.filter((file) => {
        const path = growingPath(state, file);
        const isNew = !growing.has(file.inode) && growing.size < GROWING_MAX;
        if (path !== undefined && isNew) void end(file, path);
        return path === undefined;
      });
      if (0 < files.length) await log.change({ kind: "expireFiles", files });
      after = due.length < FILES ? undefined : due.at(-1);
      return after === undefined ? "done" : "more";
    },
  };
}

/** Where a file is that is being appended to; undefined of any other. */
function growingPath(state: StateReader, { inode, parent, name }: Expiry): string | undefined {
  const file = getInode(state, inode);
  if (file?.kind !== "file" || file.tail === undefined) return undefined;
  if (getTail(state, file.tail) === undefined) return undefined;
  const directory = livePath(state, parent);
  return directory === undefined ? undefined : `${directory === "/" ? "" : directory}/${name}`;
}

/** Clears away locks that have lapsed. */
export function lockExpiryDuty(log: MetadataLog, clock: Clock): Duty {
  let after = "";
  return {
    name: "lock expiry",
    intervalMs: LOCKS_INTERVAL_MS,
    async work() {
      const state = await log.read();
      const lapsed = { are: "lapsed", at: clock.wallMs() } as const;
      const page = await locksPage(state, { after, countMax: LOCKS }, lapsed);
      const names = page.locks.map((lock) => lock.name);
      if (0 < names.length) await log.change({ kind: "expireLocks", names });
      after = page.hasMore ? page.last : "";
      return page.hasMore ? "more" : "done";
    },
  };
}
