// What the folders of a chunkserver say at a start, before anything is written to them.

import { type Crc32c, type Disk, InvariantViolation, LumeoError } from "@lumeofs/base";
import type { ChunkserverHost } from "../host.js";
import { SealedFile } from "../store/sealed-file.js";
import { Volume } from "../store/volume.js";
import type { Found } from "./muster.js";
import { decodeRoster, ROSTER_BYTES_MAX, type Roster } from "./roster.js";

/** How the roster lies on each disk. */
export const ROSTER_FILE = {
  path: "disks",
  magic: "LUMEODSK",
  version: 1,
  bytesMax: ROSTER_BYTES_MAX,
} as const;

/** A folder, and its disk if that could be opened. */
export interface Looked {
  readonly found: Found;
  readonly disk: Disk | undefined;
  /** Of a store. */
  readonly volume: Volume | undefined;
}

/** Looks at one folder; makes nothing. What it throws is a bug. */
export async function lookAt(
  folder: string,
  host: Pick<ChunkserverHost, "openDisk">,
  crc32c: Crc32c,
): Promise<Looked> {
  try {
    const disk = await host.openDisk(folder, { make: false });
    const volume = await Volume.find(disk, crc32c);
    if (volume === undefined) {
      return { found: { kind: "empty", folder }, disk, volume: undefined };
    }
    const { membership, uuid, server } = volume;
    const roster = await readRoster(disk, crc32c);
    const name = { uuid, server };
    return { found: { kind: "store", folder, name, membership, roster }, disk, volume };
  } catch (error) {
    if (error instanceof InvariantViolation) throw error;
    return { found: notFound(folder, error), disk: undefined, volume: undefined };
  }
}

function notFound(folder: string, error: unknown): Found {
  if (!(error instanceof LumeoError)) {
    const message = `Cannot look at "${folder}": ${(error as Error).message}`;
    const failure = new LumeoError("STORE_FAILED", message, { cause: error });
    return { kind: "failed", folder, error: failure };
  }
  return error.code === "NOT_FOUND"
    ? { kind: "missing", folder }
    : { kind: "failed", folder, error };
}

async function readRoster(disk: Disk, crc32c: Crc32c): Promise<Roster | undefined> {
  const content = await new SealedFile({ disk, crc32c, ...ROSTER_FILE }).read();
  return content === undefined ? undefined : decodeRoster(content);
}
