// The stores of a chunkserver, opened as its settings say.

import { resolve } from "node:path";
import type { LumeoError } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import type { ChunkserverConfig } from "../config.js";
import type { ChunkserverHost } from "../host.js";
import { NONE_STOPPED, STOPPED_FILE, StoppedChunks } from "../transfer/stopped-chunks.js";
import { ChunkDisks } from "./chunk-disks.js";
import { DiskSet, type DiskSetOptions } from "./disk-set.js";

export interface OpenChunkDisksPorts {
  readonly host: ChunkserverHost;
  readonly logger: DiskSetOptions["logger"];
  /** A chunk was found to be other bytes than were written. */
  readonly onDamage: () => void;
  /** The last disk has failed. */
  readonly onFailure: (error: LumeoError) => void;
}

/** @throws LumeoError as DiskSet.open; nothing is open then. */
export async function openChunkDisks(
  config: ChunkserverConfig,
  { host, logger, onDamage, onFailure }: OpenChunkDisksPorts,
): Promise<{ readonly disks: DiskSet; readonly store: ChunkDisks }> {
  const disks = await DiskSet.open({
    ...{ host, clock: host.clock, logger, onFailure, crc32c: nativeCrc32c },
    folders: [config.dir].flat().map((folder) => resolve(folder)),
    retired: config.retiredDisks ?? [],
    store: {
      capacityBytes: config.capacityBytes,
      lowWaterBytes: config.reserveBytes,
      compactBytesPerSecond: config.compactBytesPerSecond,
      onDamage,
    },
  });
  return { disks, store: new ChunkDisks(disks) };
}

/** The chunks with two histories, as the disks have kept them; all disks keep them from now on. */
export async function openStopped(
  disks: DiskSet,
  ports: Parameters<typeof StoppedChunks.read>[1],
): Promise<StoppedChunks> {
  const file = disks.mirrored(STOPPED_FILE);
  const write = (content: Uint8Array): Promise<void> => file.write(content);
  const read = async (): Promise<readonly Uint8Array[]> => {
    const contents = await disks.contents(file);
    // A disk that is new, or was away, learns what the others know.
    if (disks.hasOutdated) await file.write(contents[0] ?? NONE_STOPPED);
    return contents;
  };
  return StoppedChunks.read({ read, write }, ports);
}
