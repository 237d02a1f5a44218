// What has a time of its own: files with an expiry, and locks. The tables say where to look, the
// command looks again, so what was renewed or replaced in the meantime stays.

import type { ChunkHandle, Clock, InodeId } from "@lumeofs/base";
import { dueExpiries } from "../metadata/expiry.js";
import { getInode } from "../metadata/inodes.js";
import { locksPage } from "../metadata/locks.js";
import type { StateReader } from "../metadata/state.js";
import { getTail } from "../metadata/tail-table.js";
import type { Duty } from "./duty.js";
import type { MetadataLog } from "./metadata-log.js";

const FILES = 200;
const LOCKS = 256;
/** So late a file may be removed, on an idle cluster. */
const FILES_INTERVAL_MS = 1_000;
/** Lapsed locks are of no effect: clearing them only frees their place. */
const LOCKS_INTERVAL_MS = 60_000;

/**
 * Removes files whose time is over. One that is being appended to goes when what was appended is
 * sealed: then nobody appends to a file that is gone.
 */
export function fileExpiryDuty(
  log: MetadataLog,
  clock: Clock,
  sealTail: (handle: ChunkHandle) => Promise<unknown>,
): Duty {
  return {
    name: "file expiry",
    intervalMs: FILES_INTERVAL_MS,
    async work() {
      const state = await log.read();
      const due = await dueExpiries(state, clock.wallMs(), FILES);
      const growing = due.flatMap(({ inode }) => tailOfFile(state, inode) ?? []);
      await Promise.all(growing.map(sealTail));
      const files = due.filter(({ inode }) => tailOfFile(state, inode) === undefined);
      if (files.length === 0) return "done";
      await log.change({ kind: "expireFiles", files });
      return due.length < FILES ? "done" : "more";
    },
  };
}

function tailOfFile(state: StateReader, id: InodeId): ChunkHandle | undefined {
  const file = getInode(state, id);
  if (file?.kind !== "file" || file.tail === undefined) return undefined;
  return getTail(state, file.tail) === undefined ? undefined : file.tail;
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
