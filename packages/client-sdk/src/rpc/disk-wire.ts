import { lumeo } from "@lumeofs/proto";
import type { DiskStatus } from "../cluster-status.js";

/** A disk of a chunkserver as it says. */
export function decodeDisk(disk: lumeo.common.v1.IDiskStatus): DiskStatus {
  return {
    uuid: disk.uuid ?? "",
    folder: disk.folder ?? "",
    state: decodeState(disk.state),
    chunks: disk.chunkCount ?? 0,
    usedBytes: disk.usedBytes ?? 0,
    capacityBytes: disk.capacityBytes ?? 0,
    freeBytes: disk.freeBytes ?? 0,
    damaged: disk.damagedCount ?? 0,
    scrubbedAt: disk.scrubbedMs ?? 0,
    lostSince: disk.lostSinceMs ?? 0,
    why: disk.why ?? "",
    tails: disk.tails ?? false,
  };
}

function decodeState(state: lumeo.common.v1.DiskState | null | undefined): DiskStatus["state"] {
  const { DiskState } = lumeo.common.v1;
  if (state === DiskState.DISK_STATE_LOST) return "lost";
  if (state === DiskState.DISK_STATE_SUSPECT) return "suspect";
  return state === DiskState.DISK_STATE_READ_ONLY ? "readOnly" : "serving";
}
