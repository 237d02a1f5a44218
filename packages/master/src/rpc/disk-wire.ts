import type { DiskReport } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";
import { decodeNumber, invalid } from "./field-wire.js";

const States = lumeo.common.v1.DiskState;
const STATES = {
  serving: States.DISK_STATE_SERVING,
  readOnly: States.DISK_STATE_READ_ONLY,
  suspect: States.DISK_STATE_SUSPECT,
  lost: States.DISK_STATE_LOST,
} as const;

/** More than a chunkserver can have. */
const DISKS_MAX = 64;
const TEXT_LENGTH_MAX = 4_096;

/** @throws LumeoError INVALID_ARGUMENT */
export function decodeDisks(
  wires: readonly lumeo.common.v1.IDiskStatus[] | null | undefined,
): readonly DiskReport[] {
  const disks = wires ?? [];
  if (DISKS_MAX < disks.length) throw invalid(`a server has at most ${DISKS_MAX} disks`);
  return disks.map((wire) => ({
    uuid: shortened(wire.uuid),
    folder: shortened(wire.folder),
    state: decodeState(wire.state),
    chunkCount: decodeNumber(wire.chunkCount, "chunks of a disk"),
    usedBytes: decodeNumber(wire.usedBytes, "used bytes of a disk"),
    capacityBytes: decodeNumber(wire.capacityBytes, "capacity of a disk"),
    freeBytes: decodeNumber(wire.freeBytes, "free bytes of a disk"),
    damagedCount: decodeNumber(wire.damagedCount, "damaged chunks of a disk"),
    scrubbedMs: decodeNumber(wire.scrubbedMs, "scrub of a disk"),
    lostSinceMs: decodeNumber(wire.lostSinceMs, "loss of a disk"),
    why: shortened(wire.why),
    hasTails: wire.tails ?? false,
  }));
}

export function encodeDisks(disks: readonly DiskReport[]): lumeo.common.v1.IDiskStatus[] {
  return disks.map(({ state, hasTails, ...facts }) => {
    return { ...facts, state: STATES[state], tails: hasTails };
  });
}

function decodeState(wire: lumeo.common.v1.DiskState | null | undefined): DiskReport["state"] {
  if (wire === States.DISK_STATE_LOST) return "lost";
  if (wire === States.DISK_STATE_SUSPECT) return "suspect";
  return wire === States.DISK_STATE_READ_ONLY ? "readOnly" : "serving";
}

function shortened(text: string | null | undefined): string {
  return (text ?? "").slice(0, TEXT_LENGTH_MAX);
}
