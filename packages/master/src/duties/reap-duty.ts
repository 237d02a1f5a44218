import { firstNames, orphans } from "../metadata/queries.js";
import { firstHistory, firstSnapshots } from "../metadata/sweep-queries.js";
import type { Duty } from "./duty.js";
import type { MetadataLog } from "./metadata-log.js";

const INTERVAL_MS = 2_000;
/** Orphans looked at in one piece of work. */
const ORPHANS = 8;
/** Names in one command: each may release a few chunks. */
const NAMES = 200;
/** Pages in one command: each releases up to 256 chunks. */
const PAGES = 2;

/** Frees removed directories and long files, a bounded piece at a time. */
export function reapDuty(log: MetadataLog): Duty {
  return {
    name: "reaping",
    intervalMs: INTERVAL_MS,
    async work() {
      const state = await log.read();
      const found = await orphans(state, ORPHANS);
      for (const { id, kind } of found) {
        if (kind === "file") {
          await log.change({ kind: "reapFile", inode: id, pages: PAGES });
        } else {
          const names = await firstNames(state, id, NAMES);
          const history = await firstHistory(state, id, NAMES);
          const snapshots = await firstSnapshots(state, id, NAMES);
          await log.change({ kind: "reapDirectory", directory: id, names, history, snapshots });
        }
      }
      return found.length === 0 ? "done" : "more";
    },
  };
}
