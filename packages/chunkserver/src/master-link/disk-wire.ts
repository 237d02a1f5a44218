import type { DiskReport } from "@lumeofs/base";
import { lumeo } from "@lumeofs/proto";

const States = lumeo.common.v1.DiskState;
const STATES: Readonly<Record<DiskReport["state"], lumeo.common.v1.DiskState>> = {
  serving: States.DISK_STATE_SERVING,
  readOnly: States.DISK_STATE_READ_ONLY,
  suspect: States.DISK_STATE_SUSPECT,
  lost: States.DISK_STATE_LOST,
};

/** A disk as masters and operators are told. */
export function encodeDisk(report: DiskReport): lumeo.common.v1.IDiskStatus {
  const { state, hasTails, ...facts } = report;
  return { ...facts, state: STATES[state], tails: hasTails };
}
