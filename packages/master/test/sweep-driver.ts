// Does in tests what the leader's duties do: one bounded piece of work, or all there is.

import { wallMs } from "@lumeofs/base";
import { COMMAND_ITEMS_MAX } from "../src/metadata/command.js";
import type { HistoryId } from "../src/metadata/keys.js";
import { firstNames, orphans } from "../src/metadata/queries.js";
import { sweepRound } from "../src/metadata/sweep.js";
import {
  firstHistory,
  firstSnapshots,
  historyPage,
  overdueTrash,
  snapshotRevisions,
  versionsKept,
} from "../src/metadata/sweep-queries.js";
import type { MetadataDriver } from "./metadata-driver.js";

/** Frees a piece of each of the first two orphans; whether there was one. */
export async function reapOnce(driver: MetadataDriver, count = 2): Promise<boolean> {
  const found = await orphans(driver.state, 2);
  for (const { id, kind } of found) {
    if (kind === "file") {
      driver.apply({ kind: "reapFile", inode: id, pages: 1 });
    } else {
      const names = await firstNames(driver.state, id, count);
      const history = await firstHistory(driver.state, id, count);
      const snapshots = await firstSnapshots(driver.state, id, count);
      driver.apply({ kind: "reapDirectory", directory: id, names, history, snapshots });
    }
  }
  return 0 < found.length;
}

export async function reapAll(driver: MetadataDriver): Promise<void> {
  while (await reapOnce(driver)) if (1e6 < driver.index) throw new Error("reaping has no end");
}

/** One round over the whole history, in pages of `pageCount`. */
export async function sweepHistory(driver: MetadataDriver, pageCount = 64): Promise<void> {
  let behind: HistoryId | undefined;
  do {
    const page = await historyPage(driver.state, { behind, countMax: pageCount });
    const round = sweepRound(page, pageCount, {
      snapshots: await snapshotRevisions(driver.state, 2),
      versionsKept: (directory) => versionsKept(driver.state, directory),
    });
    if (0 < round.unneeded.length) {
      driver.apply({ kind: "dropHistory", records: round.unneeded.slice(0, COMMAND_ITEMS_MAX) });
    }
    behind = round.behind;
  } while (behind !== undefined);
}

/** Frees what has been in the trash for long enough. */
export async function expireTrash(driver: MetadataDriver): Promise<void> {
  const page = { after: 0, countMax: 1_000 };
  const { found } = await overdueTrash(driver.state, wallMs(driver.now), page);
  if (0 < found.length) driver.apply({ kind: "purgeTrash", ids: found });
}
