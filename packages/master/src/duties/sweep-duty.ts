// Drops history that neither a snapshot nor a policy keeps, and things in the trash whose time is
// over. Both tables are paged through, over and over; where the round is, only this leader knows.

import { type Clock, wallMs } from "@lumeofs/base";
import { COMMAND_ITEMS_MAX } from "../metadata/command.js";
import type { HistoryId } from "../metadata/keys.js";
import { SWEEP_PAGE, sweepRound } from "../metadata/sweep.js";
import {
  historyPage,
  overdueTrash,
  snapshotRevisions,
  versionsKept,
} from "../metadata/sweep-queries.js";
import type { Duty } from "./duty.js";
import type { MetadataLog } from "./metadata-log.js";

/** Pause after the end of the table. */
const INTERVAL_MS = 60_000;
const SNAPSHOTS_PAGE = 1_000;

export function historySweepDuty(log: MetadataLog): Duty {
  let behind: HistoryId | undefined;
  return {
    name: "history sweep",
    intervalMs: INTERVAL_MS,
    async work() {
      const state = await log.read();
      const page = await historyPage(state, { behind, countMax: SWEEP_PAGE });
      if (page.length === 0) {
        behind = undefined;
        return "done";
      }
      const needs = {
        snapshots: await snapshotRevisions(state, SNAPSHOTS_PAGE),
        versionsKept: (directory: HistoryId["parent"]) => versionsKept(state, directory),
      };
      const round = sweepRound(page, SWEEP_PAGE, needs);
      for (let i = 0; i < round.unneeded.length; i += COMMAND_ITEMS_MAX) {
        const records = round.unneeded.slice(i, i + COMMAND_ITEMS_MAX);
        await log.change({ kind: "dropHistory", records });
      }
      behind = round.behind;
      return behind === undefined ? "done" : "more";
    },
  };
}

export function trashExpiryDuty(log: MetadataLog, clock: Clock): Duty {
  let after = 0;
  return {
    name: "trash expiry",
    intervalMs: INTERVAL_MS,
    async work() {
      const state = await log.read();
      const page = { after, countMax: COMMAND_ITEMS_MAX };
      const { found, next } = await overdueTrash(state, wallMs(clock.wallMs()), page);
      if (0 < found.length) await log.change({ kind: "purgeTrash", ids: found });
      after = next ?? 0;
      return next === undefined ? "done" : "more";
    },
  };
}
