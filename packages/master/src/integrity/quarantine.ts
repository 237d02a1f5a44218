// A master whose state is wrong never serves again: a file in its folder says so, and stays.

import { type Disk, LumeoError } from "@lumeofs/base";

/** The file; its text is for people. */
export const QUARANTINE = "QUARANTINE";

/** What an operator does about it. */
export const REPLACEMENT =
  "Its folder is not to be used again: remove this master from the group (lumeo master remove), " +
  "and add a new one with an empty folder and a new name (lumeo master add)";

const TEXT_BYTES_MAX = 4_096;

/** Makes it known for ever, durably. */
export async function quarantine(disk: Disk, why: string): Promise<void> {
  const file = await disk.open(QUARANTINE, { create: true });
  try {
    await file.truncate(0);
    await file.writeAt([new TextEncoder().encode(`${why}\n`).slice(0, TEXT_BYTES_MAX)], 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.syncFolder("");
}

/** @throws LumeoError CORRUPT if this folder was put into quarantine. */
export async function refuseQuarantined(disk: Disk): Promise<void> {
  if (!(await disk.exists(QUARANTINE))) return;
  const file = await disk.open(QUARANTINE, { create: false });
  try {
    const bytes = new Uint8Array(TEXT_BYTES_MAX);
    const text = new TextDecoder().decode(bytes.subarray(0, await file.readAt(bytes, 0))).trim();
    throw new LumeoError("CORRUPT", `Cannot start on this folder: it is in quarantine. ${text}`);
  } finally {
    await file.close();
  }
}
