// The stores of a chunkserver, opened as its settings say.

import { resolve } from "node:path";
import type { ChunkHandle, LumeoError } from "@lumeofs/base";
import { nativeCrc32c } from "@lumeofs/node";
import type { ChunkserverConfig } from "../config.js";
import type { ChunkserverHost } from "../host.js";
import type { KeptContent } from "../store/kept-content.js";
import { MANDATE_FILE, Mandates, type MandatesPorts } from "../transfer/mandates.js";
import { NONE_STOPPED, STOPPED_FILE, StoppedChunks } from "../transfer/stopped-chunks.js";
import { ChunkDisks } from "./chunk-disks.js";
import { DiskSet, type DiskSetOptions } from "./disk-set.js";

export interface OpenChunkDisksPorts {
  readonly host: ChunkserverHost;
  readonly logger: DiskSetOptions["logger"];
  /** A chunk was found to be other bytes than were written. */
  readonly onDamage: (handle: ChunkHandle) => void;
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
    watch: {
      suspectMs: config.diskSuspectMs,
      stuckMs: config.diskStuckMs,
      threads: host.diskThreads,
    },
  });
  return { disks, store: new ChunkDisks(disks) };
}

/** The chunks with two histories, as the disks have kept them; all disks keep them from now on. */
export function openStopped(
  disks: DiskSet,
  ports: Parameters<typeof StoppedChunks.read>[1],
): Promise<StoppedChunks> {
  return StoppedChunks.read(keptOnAll(disks, STOPPED_FILE, NONE_STOPPED), ports);
}

/** Whose orders are obeyed, as the disks have kept it; all disks keep it from now on. */
export function openMandates(disks: DiskSet, ports: MandatesPorts): Promise<Mandates> {
  return Mandates.read(keptOnAll(disks, MANDATE_FILE, new Uint8Array(8)), ports);
}

/** @param none  The content of a disk that never had one. */
function keptOnAll(
  disks: DiskSet,
  form: Parameters<DiskSet["mirrored"]>[0],
  none: Uint8Array,
): KeptContent {
  const file = disks.mirrored(form);
  return {
    write: (content) => file.write(content),
    read: async () => {
      const contents = await disks.contents(file);
      // A disk that is new, or was away, learns what the others know.
      if (disks.hasOutdated) await file.write(contents[0] ?? none);
      return contents;
    },
  };
}
