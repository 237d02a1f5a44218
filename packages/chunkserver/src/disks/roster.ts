// Which disks belong to a chunkserver: what the file `disks` of each of them says (chunk.md).
// Values only; disk-set.ts keeps them.
//
// R1. Every change is a new generation; of what the disks of a server say, the highest one counts.
// R2. A store that never had more than one disk has no roster on its disk.

import { ByteReader, ByteWriter, LumeoError } from "@lumeofs/base";

export interface RosterEntry {
  /** Empty if it was never known. */
  readonly uuid: string;
  /** As the server was given it last. */
  readonly folder: string;
  /** Undefined while the disk is in use. */
  readonly loss: DiskLoss | undefined;
}

/** Why nothing of a disk is served. */
export interface DiskLoss {
  /** Milliseconds since 1970. */
  readonly sinceMs: number;
  /** For people. */
  readonly why: string;
}

/**
 * Up to which handle a growing chunk may have been promised something in a log that is lost:
 * "unknown" until the masters have said it; 0 if none was ever lost.
 */
export type TailFloor = number | "unknown";

export interface Roster {
  readonly generation: number;
  readonly disks: readonly RosterEntry[];
  /** The disk that growing chunks live on. */
  readonly tailsOn: string;
  readonly tailFloor: TailFloor;
  /**
   * When a disk was lost last of which the masters may not know everything yet: milliseconds since
   * 1970, 0 for none.
   */
  readonly lossAtMs: number;
}

/** Disks of one chunkserver. */
export const DISKS_MAX = 32;
/** Lost ones that nobody has replaced or given up are remembered, too. */
const ENTRIES_MAX = 2 * DISKS_MAX;
const WHY_BYTES_MAX = 400;
const FOLDER_BYTES_MAX = 4_096;
export const ROSTER_BYTES_MAX = 64 + ENTRIES_MAX * (WHY_BYTES_MAX + FOLDER_BYTES_MAX + 128);
const FLOOR_UNKNOWN = Number.MAX_SAFE_INTEGER;

export function encodeRoster(roster: Roster): Uint8Array {
  const text = new TextEncoder();
  const disks = roster.disks.slice(0, ENTRIES_MAX);
  const writer = new ByteWriter(1_024).u53(roster.generation).u53(roster.lossAtMs);
  writer.sized(text.encode(roster.tailsOn));
  writer.u53(roster.tailFloor === "unknown" ? FLOOR_UNKNOWN : roster.tailFloor);
  writer.u32(disks.length);
  for (const { uuid, folder, loss } of disks) {
    writer.sized(text.encode(uuid)).sized(text.encode(folder).subarray(0, FOLDER_BYTES_MAX));
    writer.u53(loss?.sinceMs ?? 0);
    writer.sized(text.encode(loss?.why ?? "").subarray(0, WHY_BYTES_MAX));
  }
  return writer.finish();
}

/** @throws LumeoError CORRUPT if the bytes are no roster. */
export function decodeRoster(bytes: Uint8Array): Roster {
  const text = new TextDecoder();
  const reader = new ByteReader(bytes);
  const generation = reader.u53();
  const lossAtMs = reader.u53();
  const tailsOn = text.decode(reader.sized());
  const floor = reader.u53();
  const count = reader.u32();
  if (ENTRIES_MAX < count) {
    throw new LumeoError("CORRUPT", `Cannot read roster: it has ${count} disks`);
  }
  const disks = Array.from({ length: count }, (): RosterEntry => {
    const uuid = text.decode(reader.sized());
    const folder = text.decode(reader.sized());
    const sinceMs = reader.u53();
    const why = text.decode(reader.sized());
    return { uuid, folder, loss: sinceMs === 0 ? undefined : { sinceMs, why } };
  });
  const tailFloor = floor === FLOOR_UNKNOWN ? "unknown" : floor;
  return { generation, disks, tailsOn, tailFloor, lossAtMs };
}
