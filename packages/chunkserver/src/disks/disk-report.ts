// How the disks of a chunkserver are, lost ones included, as masters and operators are told.

import type { DiskReport } from "@lumeofs/base";
import type { DiskScrubs } from "./disk-scrubs.js";
import type { DiskSet } from "./disk-set.js";
import type { MovableTails } from "./movable-tails.js";

const NOTHING = {
  chunkCount: 0,
  usedBytes: 0,
  capacityBytes: 0,
  freeBytes: 0,
  damagedCount: 0,
  scrubbedMs: 0,
  lostSinceMs: 0,
  why: "",
  hasTails: false,
} as const;

export function reportDisks({
  disks,
  scrubs,
  tails,
}: {
  readonly disks: DiskSet;
  readonly scrubs: DiskScrubs;
  readonly tails: MovableTails;
}): readonly DiskReport[] {
  const serving = disks.serving.map((disk): DiskReport => {
    const { state, chunkCount, usedBytes, capacityBytes, freeBytes } = disk.store.status();
    return {
      ...NOTHING,
      ...{ uuid: disk.uuid, folder: disk.folder, chunkCount, usedBytes, capacityBytes, freeBytes },
      state: state === "failed" ? "lost" : disk.suspicion === "" ? state : "suspect",
      why: disk.suspicion,
      damagedCount: disk.store.damaged().length,
      scrubbedMs: scrubs.statusOf(disk)?.lastRound?.beganAt ?? 0,
      hasTails: tails.disk === disk,
    };
  });
  const lost = disks.lost.map(({ uuid, folder, loss }): DiskReport => {
    return { ...NOTHING, uuid, folder, state: "lost", lostSinceMs: loss.sinceMs, why: loss.why };
  });
  return [...serving, ...lost];
}
